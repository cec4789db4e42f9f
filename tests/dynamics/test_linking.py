"""Linking: the right particles, whatever the order, gaps, drift and anisotropic voxels."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_colloids import ColloidsError
from napari_colloids.dynamics import iter_link, link
from napari_colloids.particles import POSITION, POSITION_UM, particle_table

#: A lattice, 10 px apart.
LATTICE = np.stack(np.meshgrid(*[10.0 * np.arange(4)] * 3, indexing="ij"), -1).reshape(-1, 3)


def series(frames=6, step=0.5, drift=(0, 0, 0), seed=0, voxel_size=None, **columns):
    """Particles on the lattice that jitter and drift, with their true numbers in the column ``truth``.

    `step` is the standard deviation of the jitter along an axis; it is cut at 1.8 times that, as a jump longer than
    the search range cannot be linked.
    """
    rng = np.random.default_rng(seed)
    scale = np.ones(3) if voxel_size is None else np.divide(voxel_size, voxel_size[2])
    tables = []
    for frame in range(frames):
        places = LATTICE + step * np.clip(rng.standard_normal(LATTICE.shape), -1.8, 1.8) + np.multiply(drift, frame)
        tables.append(particle_table(places / scale, radius=5, frame=frame, voxel_size=voxel_size, **columns))
        tables[-1]["truth"] = np.arange(len(LATTICE))
    return pd.concat(tables, ignore_index=True)


def rightly_linked(tracks):
    """Whether true and found numbers go together one to one."""
    pairs = tracks[["truth", "particle"]].drop_duplicates()
    return not pairs["truth"].duplicated().any() and not pairs["particle"].duplicated().any()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.floats(0.0, 0.7), st.booleans())
def test_rows_are_kept_in_the_order_of_frames(seed, step, backwards):
    table = series(seed=seed, step=step).sample(frac=1, random_state=seed)
    if backwards:
        table["frame"] = 7 - table["frame"]
    tracks = link(table)
    assert rightly_linked(tracks)
    assert tracks["frame"].is_monotonic_increasing
    assert tracks["particle"].dtype == np.int64
    assert sorted(tracks["particle"].unique()) == list(range(len(LATTICE)))
    expected = table.sort_values("frame", kind="stable", ignore_index=True)
    pd.testing.assert_frame_equal(tracks.drop(columns="particle"), expected, check_dtype=False)
    assert "particle" not in table


def test_distances_are_right_with_anisotropic_voxels():
    anisotropic = (1.0, 0.25, 0.25)
    table = series(voxel_size=anisotropic, step=0.7)
    assert rightly_linked(link(table))
    bare = table.drop(columns=[*POSITION_UM, "radius_um"])
    assert rightly_linked(link(bare, voxel_size=anisotropic, search_range=5))
    # A move of 3 slices is 12 lateral voxels: more than 5, though it is only 3 voxels.
    jump = particle_table([[0, 0, 0], [3, 0, 0]], frame=[0, 1])
    assert link(jump, search_range=5)["particle"].nunique() == 1
    assert link(jump, search_range=5, voxel_size=anisotropic)["particle"].nunique() == 2


def test_memory_bridges_a_gap():
    table = series()
    table = table[~((table["frame"] == 3) & (table["truth"] < 10))]
    assert link(table)["particle"].nunique() == len(LATTICE) + 10
    assert rightly_linked(link(table, memory=1))
    empty = table[table["frame"] != 2]  # nothing at all was found in a frame
    assert link(empty)["particle"].nunique() > len(LATTICE)
    assert rightly_linked(link(empty, memory=2))


@pytest.mark.parametrize("memory", [0, 2])
def test_a_gap_counts_as_one_that_is_just_too_long(memory):
    """Milliseconds as numbers of frames have millions of empty ones between, which take no time."""

    def numbers(gap):
        frames = [0, gap, gap + memory + 1, 2 * gap + memory + 1]
        return link(particle_table(np.full((4, 3), 5.0), frame=frames), search_range=2, memory=memory)["particle"]

    assert numbers(10**9).tolist() == numbers(memory + 2).tolist() == [0, 1, 1, 2]


def test_short_trajectories_can_be_dropped():
    table = series()
    table = table[~((table["frame"] > 1) & (table["truth"] < 10))]
    tracks = link(table, min_length=3)
    assert set(tracks["truth"]) == set(range(10, len(LATTICE)))
    assert sorted(tracks["particle"].unique()) == list(range(len(LATTICE) - 10))
    assert len(link(table, min_length=100)) == 0


def test_drift_over_a_frame_without_particles_is_known_from_those_that_go_on_behind_it():
    table = series(drift=(0.4, -0.3, 0.5), step=0.2, frames=8)
    still = link(table[table["frame"] != 4], memory=1, subtract_drift=True, search_range=2.5)
    middle = still.groupby("frame")[POSITION].mean()
    assert np.abs(middle - middle.iloc[0]).to_numpy().max() < 0.15


@pytest.mark.parametrize("size", [None, (0.4, 0.2, 0.2)])
def test_drift_is_taken_off_only_where_asked_for(size):
    drift = (0.4, -1.0, 2.0)
    table = series(drift=drift, step=0.3, frames=8, voxel_size=size)
    table["confidence"] = 0.5
    moved = link(table)
    pd.testing.assert_frame_equal(moved.drop(columns="particle"), table, check_dtype=False)
    still = link(table, subtract_drift=True)
    assert rightly_linked(still)
    ends = still.groupby("frame")[POSITION].mean()
    np.testing.assert_allclose(ends.to_numpy(), np.tile(ends.to_numpy()[0], (8, 1)), atol=1e-9)
    if size:
        np.testing.assert_allclose(still[POSITION_UM], still[POSITION].to_numpy() * size)
    first = still["frame"] == 0
    np.testing.assert_allclose(still.loc[first, POSITION], table.loc[first, POSITION])


def test_channels_are_linked_apart():
    one, two = series(channel=0), series(channel=1, seed=1)
    tracks = link(pd.concat([one, two], ignore_index=True))
    assert tracks["particle"].nunique() == 2 * len(LATTICE)
    assert (tracks.groupby("particle")["channel"].nunique() == 1).all()


def test_says_nothing_and_reports_every_frame(capsys):
    steps = list(iter_link(series()))
    assert [(step.done, step.total) for step in steps] == [(k, 6) for k in range(1, 7)]
    link(series())
    assert capsys.readouterr() == ("", "")


def test_suggested_range_is_noted():
    assert link(series()).attrs["search_range"] == pytest.approx(5.0, rel=0.2)
    assert link(series(), search_range=3).attrs["search_range"] == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"search_range": 60}, "lower the search range"),
        ({"search_range": -1}, "search_range must lie between"),
        ({"search_range": float("nan")}, "search_range must lie between"),
        ({"memory": -1}, "memory"),
        ({"min_length": 0}, "min_length"),
        ({"voxel_size": (0, 1, 1)}, "voxel size"),
    ],
)
def test_what_makes_no_sense_is_refused(change, message):
    with pytest.raises(ColloidsError, match=message):
        link(series(), **change)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (series().drop(columns="frame"), "no column 'frame'"),
        (series().drop(columns="z"), "no column z"),
        (series().assign(frame=0.5), "whole"),
        (series().head(0), "no particles"),
    ],
)
def test_tables_that_are_no_series_are_refused(table, message):
    with pytest.raises(ColloidsError, match=message):
        link(table)


def test_in_crowds_the_range_is_reduced_and_that_is_said():
    tracks = link(series(), search_range=14)
    assert rightly_linked(tracks)
    (notice,) = tracks.attrs["notices"]
    assert "reduced, to no less than 7 px" in notice
    assert link(series(), search_range=6).attrs["notices"] == []


def test_particles_that_find_no_partner_are_counted():
    table = series()
    assert link(table).attrs["notices"] == []
    few = table[~((table["frame"] == 3) & (table["truth"] % 5 == 0))]
    assert link(few).attrs["notices"] == []
    half = np.random.default_rng(0).permutation(len(LATTICE))[:32]
    many = table[~((table["frame"] == 3) & table["truth"].isin(half))]
    (notice,) = link(many).attrs["notices"]
    assert 40 < float(notice.partition("%")[0]) < 60
    assert "of the particles find no partner in the next frame" in notice
    assert "in 1 of 5 steps (most from frame 2 to 3)" in notice
    assert link(many, memory=1).attrs["notices"] == [], "they go on later"


def test_particles_that_move_at_random_as_far_as_their_distance_are_doubted():
    rng = np.random.default_rng(0)
    table = particle_table(rng.random((2000, 3)) * 80, frame=np.repeat(range(4), 500))
    notices = link(table, search_range=6).attrs["notices"]
    assert "taken for a neighbour" in notices[-1]


def test_a_jump_out_of_everything_is_told():
    table = series(frames=2)
    table.loc[table["frame"] == 1, POSITION] += 1e4
    (notice,) = link(table).attrs["notices"]
    assert notice.startswith("100% of the particles find no partner")


@pytest.mark.parametrize("scale", [1, 1e9, 1e300])
@pytest.mark.parametrize("shape", [(1, 1, 1), (0, 1, 1), (0, 0, 1)])
def test_places_of_any_size_in_a_volume_a_plane_or_a_line_are_linked(scale, shape):
    places = np.random.default_rng(0).random((40, 3)) * shape * scale
    with np.errstate(over="ignore"):
        tracks = link(particle_table(np.tile(places, (2, 1)), frame=np.repeat([0, 1], 40)), search_range=0.001)
    assert len(tracks) == 80
