"""Linking in flow: the common motion is estimated, predicted and told, and left alone where there is none."""

import numpy as np
import pandas as pd
import pytest
import spheropack

from napari_colloids.dynamics import diffusion_coefficient, link, mean_squared_displacement
from napari_colloids.particles import POSITION

BOX = np.array([60.0, 90.0, 90.0])


@pytest.fixture(scope="module")
def suspension():
    """Return hard spheres of radius 5 at a volume fraction of 0.5."""
    count = round(0.5 * BOX.prod() / (4 / 3 * np.pi * 5**3))
    box = spheropack.PeriodicBox((float(BOX[0]), float(BOX[1]), float(BOX[2])))
    return np.asarray(spheropack.pack(radii=np.full(count, 5.0), container=box, seed=1).positions)


def moved(places, flow, frames=6, step=0.4, missing=0.0, leaving=False, seed=0):
    """Return a series of particles that diffuse and flow, with their true numbers in the column ``truth``.

    `flow` gives the displacements after a frame at these places; `leaving` keeps what is in the first frame's box.
    """
    rng = np.random.default_rng(seed)
    tables = []
    for frame in range(frames):
        seen = rng.random(len(places)) >= missing
        if leaving:
            seen &= np.all((places >= 0) & (places <= BOX), axis=1)
        table = pd.DataFrame(places, columns=POSITION).assign(frame=frame, truth=np.arange(len(places)))
        tables.append(table[seen])
        places = places + np.broadcast_to(flow(frame, places), places.shape) + rng.normal(0, step, places.shape)
    return pd.concat(tables, ignore_index=True)


def whole(tracks):
    """Return which part of the particles that are in the first and the last frame have one trajectory to themselves."""
    frames = tracks.groupby("truth")["frame"].agg(["min", "max"])
    there = frames.index[(frames["min"] == tracks["frame"].min()) & (frames["max"] == tracks["frame"].max())]
    assert len(there) > 50
    alone = tracks.groupby("particle")["truth"].transform("nunique") == 1
    kept = tracks.assign(alone=alone).groupby("truth").agg({"particle": "nunique", "alone": "all"}).loc[there]
    return ((kept["particle"] == 1) & kept["alone"]).mean()


def along(z, y, x):
    return lambda frame, places: (z, y, x)


def profile(of_z):
    return lambda frame, places: np.outer(of_z(places[:, 0] / BOX[0]), (0, 0, 1))


FLOWS = {
    **{f"{speed} px along x": along(0, 0, speed) for speed in (2, 5, 6, 7, 8, 9)},
    "along y": along(0, 7, 0),
    "against z": along(-8, 0, 0),
    "oblique": along(5, -4, 6),
    "far beyond the neighbours": along(0, 20, 12),
    "accelerating": lambda frame, places: (0, 2.0 * frame, 0),
    "reversing": lambda frame, places: (0, 0, 8 * (-1) ** frame),
    "starting": lambda frame, places: (0, 0, 8 * (frame > 2)),
    "one jump of the stage": lambda frame, places: (0, 9, 2 * (frame == 3)),
    "shear": profile(lambda z: 9 * z),
    "shear both ways": profile(lambda z: 18 * z - 9),
    "between plates": profile(lambda z: 36 * z * (1 - z)),
    "vortices": profile(lambda z: 5 * np.sin(2 * np.pi * z)),
    "rotation": lambda frame, places: 0.1 * np.column_stack([0 * places[:, 0], 45 - places[:, 2], places[:, 1] - 45]),
}


@pytest.mark.parametrize("flow", FLOWS.values(), ids=FLOWS)
def test_tracks_stay_whole_in_flow(suspension, flow):
    tracks = link(moved(suspension, flow))
    assert whole(tracks) >= 0.98
    (notice,) = tracks.attrs["notices"]
    assert "was estimated and predicted" in notice


def test_the_flow_is_part_of_the_displacements_unless_drift_is_subtracted(suspension):
    table = moved(suspension, along(0, 0, 7))
    flowing, still = link(table), link(table, subtract_drift=True)
    assert "subtract drift" in flowing.attrs["notices"][0]
    assert "subtract drift" not in still.attrs["notices"][0]
    speeds = [diffusion_coefficient(mean_squared_displacement(tracks)).coefficient for tracks in (flowing, still)]
    assert speeds[0] > 10
    assert speeds[1] == pytest.approx(0.4**2 / 2, rel=0.1)


@pytest.mark.parametrize(
    "flow", [along(0, 0, 7), along(4, 6, 5), profile(lambda z: 9 * z)], ids=["x", "oblique", "shear"]
)
def test_particles_that_are_missed_enter_or_leave_do_not_matter(suspension, flow):
    table = moved(suspension, flow, missing=0.05, leaving=True)
    assert whole(link(table, memory=2)) >= 0.98


def test_a_particle_that_was_missed_is_expected_where_it_flowed_meanwhile(suspension):
    table = moved(suspension, lambda frame, places: (0, 0, 6 + frame))
    table = table[~(table["frame"].isin([2, 3]) & (table["truth"] < 100))]
    assert whole(link(table, memory=2)) >= 0.98
    assert whole(link(table[table["frame"] != 1], memory=3)) >= 0.98  # nothing at all was found in a frame


@pytest.mark.parametrize("polydispersity", [0.1, 0.2])
def test_mixed_sizes_flow(polydispersity):
    radii = 5 * (1 + polydispersity * np.clip(np.random.default_rng(0).standard_normal(400), -2, 2))
    box = tuple(np.full(3, (4 / 3 * np.pi * np.sum(radii**3) / 0.5) ** (1 / 3)))
    places = np.asarray(spheropack.pack(radii=radii, container=spheropack.PeriodicBox(box), seed=1).positions)
    assert whole(link(moved(places, along(0, 0, 8)))) >= 0.98


def test_anisotropic_voxels_flow(suspension):
    table = moved(suspension, along(6, 0, 5))
    table["z"] /= 3
    tracks = link(table, voxel_size=(0.3, 0.1, 0.1))
    assert whole(tracks) >= 0.98
    for motion in tracks.attrs["common_motion"]:
        assert [motion[name] for name in POSITION] == pytest.approx([2, 0, 5], abs=0.1), "in voxels"


def test_false_particles_do_not_hide_the_flow(suspension):
    table = moved(suspension, along(0, 8, 0))
    false = pd.DataFrame(np.random.default_rng(0).random((480, 3)) * BOX, columns=POSITION)
    false = false.assign(frame=np.repeat(range(6), 80), truth=10_000 + np.arange(480))
    assert whole(link(pd.concat([table, false], ignore_index=True))) >= 0.96


def test_a_dilute_gas_flows(gas):
    places = gas(60, (100, 200, 200))[POSITION].to_numpy()
    tracks = link(moved(places, along(0, 30, 0)))
    assert whole(tracks) == 1
    assert tracks.attrs["common_motion"][0]["y"] == pytest.approx(30, abs=0.3)


def test_the_motion_is_told_frame_by_frame_and_channel_by_channel(suspension):
    flows = [along(0, 0, 7), lambda frame, places: (0, -6 * (frame > 2), 0)]
    tables = [moved(suspension, flow, seed=channel).assign(channel=channel) for channel, flow in enumerate(flows)]
    table = pd.concat(tables, ignore_index=True)
    table["frame"] = 2 * table["frame"] + 10
    table["truth"] += 1000 * table["channel"]
    tracks = link(table, memory=1)
    assert whole(tracks) >= 0.98
    motions = pd.DataFrame(tracks.attrs["common_motion"])
    assert motions["channel"].tolist() == [0] * 5 + [1] * 2
    assert motions["frame"].tolist() == [10, 12, 14, 16, 18, 16, 18]
    expected = [[0, 0, 7]] * 5 + [[0, -6, 0]] * 2
    np.testing.assert_allclose(motions[POSITION], expected, atol=0.1)
    assert "in 7 of 10 steps" in tracks.attrs["notices"][0]


@pytest.mark.parametrize("step", [0.3, 1.0, 2.0])
def test_where_nothing_flows_nothing_changes(suspension, step):
    table = moved(suspension, along(0, 0, 0.2), step=step)
    tracks = link(table, search_range=6, memory=1)
    assert tracks.attrs["common_motion"] == []
    expected = link(table, search_range=6, memory=1, predict_motion=False)
    assert tracks["particle"].tolist() == expected["particle"].tolist()


def test_a_motion_that_is_not_to_be_predicted_breaks_the_tracks_and_that_is_said(suspension):
    tracks = link(moved(suspension, along(0, 0, 7)), predict_motion=False)
    assert tracks.attrs["common_motion"] == []
    assert whole(tracks) < 0.1
    lost, long = tracks.attrs["notices"]
    assert "of the particles find no partner in the next frame within" in lost
    assert "in 5 of 5 steps" in lost
    assert "taken for a neighbour" in long


def test_a_crystal_may_have_moved_by_a_lattice_vector_more_which_is_said(fcc):
    places, _ = fcc(16, 5)
    tracks = link(moved(places, along(0, 0, 4)))
    assert whole(tracks) >= 0.98
    assert "one lattice vector more" in " ".join(tracks.attrs["notices"])
    assert link(moved(places, along(0, 0, 0))).attrs["notices"] == []


@pytest.mark.parametrize(("direction", "neighbour"), [((0, 1, 1), 10.0), ((0, 0, 1), 200**0.5)], ids=["110", "100"])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.6, 0.7, 0.9, 1.1, 1.2])
def test_a_crystal_that_flows_through_the_view_may_look_slower_which_is_said(fcc, direction, neighbour, share):
    """By about a lattice vector from frame to frame: its sites are where others have been."""
    places, _ = fcc(200**0.5, 8)
    speed = share * neighbour * np.array(direction) / np.linalg.norm(direction)
    table = moved(places - places.mean(axis=0) - speed, along(*speed), frames=3)
    seen = np.all(np.abs(table[POSITION]) < (22.0, 30.0, 30.0), axis=1)
    tracks = link(table[seen].reset_index(drop=True))
    assert len(tracks.attrs["common_motion"]) == 2
    assert "one lattice vector more" in " ".join(tracks.attrs["notices"])
