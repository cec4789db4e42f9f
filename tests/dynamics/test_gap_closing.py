"""Particles that were missed for some frames: they may have wandered farther than the search range."""

import numpy as np
import pandas as pd
import pytest

from napari_colloids.dynamics import link
from napari_colloids.particles import POSITION, particle_table

BOX = np.array([70.0, 100.0, 100.0])


def wandering(step, *, missing=0.1, flow=(0, 0, 0), false=0, frames=8, spacing=10.0, seed=0):
    """Return particles that start on a lattice and diffuse, some of them missed, with their true numbers."""
    rng = np.random.default_rng(seed)
    axes = [np.arange(spacing / 2, edge, spacing) for edge in BOX]
    places = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    tables = []
    for frame in range(frames):
        seen = rng.random(len(places)) >= missing
        tables.append(particle_table(places[seen], frame=frame).assign(truth=np.flatnonzero(seen)))
        noise = particle_table(rng.random((false, 3)) * BOX + np.multiply(flow, frame), frame=frame)
        tables.append(noise.assign(truth=10_000 + 100 * frame + np.arange(false)))
        places = places + flow + rng.normal(0, step, places.shape)
    return pd.concat(tables, ignore_index=True)


def pieces(tracks):
    """Return the mean number of trajectories of a particle, and the fraction of the links that are wrong."""
    true = tracks[tracks["truth"] < 10_000]
    ordered = tracks.sort_values(["particle", "frame"])
    same = np.diff(ordered["particle"]) == 0
    wrong = same & (np.diff(ordered["truth"]) != 0)
    return true.groupby("truth")["particle"].nunique().mean(), wrong.sum() / same.sum()


@pytest.fixture
def without(monkeypatch):
    """Return the trajectories that are found from frame to frame alone, within a range that does not grow."""

    def linked(table, **settings):
        with monkeypatch.context() as patch:
            patch.setattr("napari_colloids.dynamics.linking.close_gaps", lambda *_: 0)
            return link(table, **settings)

    return linked


@pytest.mark.parametrize("memory", [1, 2])
@pytest.mark.parametrize("flow", [(0, 0, 0), (0, 0, 6)], ids=["still", "flowing"])
@pytest.mark.parametrize("false", [0, 20])
def test_more_tracks_are_whole_and_no_more_are_mixed(without, memory, flow, false):
    table = wandering(0.8, flow=flow, false=false)
    how = {"search_range": 2.2, "memory": memory}
    before, after = (pieces(one(table, **how)) for one in (without, link))
    assert after[0] < before[0] - 0.03
    assert after[1] <= before[1] + 0.001


def test_a_jump_after_a_gap_is_within_the_root_of_the_frames():
    """Displacements of 1 px along each axis: within 3.5 sigma, or the search range of 2, times the root of the gap."""
    steps = np.cumsum(np.ones((9, 3)), axis=0) * [[1.0, 0, 0]]
    for shift, gap, one in [(2.5, 2, True), (2.9, 2, False), (3.2, 3, True), (3.6, 3, False)]:
        places, frames = steps.copy(), np.arange(9)
        places[5:, 1] += (shift**2 - 1) ** 0.5  # along z it has moved by 1
        frames[5:] += gap - 1
        tracks = link(particle_table(places, frame=frames), search_range=2, memory=gap - 1, predict_motion=False)
        assert (tracks["particle"].nunique() == 1) == one, (shift, gap)
        assert any("farther away than 2 px" in notice for notice in tracks.attrs["notices"]) == one


@pytest.mark.parametrize("memory", [0, 1, 3])
def test_particles_that_hardly_move_are_never_taken_for_others(without, memory):
    """Where displacements are short, what lies beyond the search range is another particle."""
    table = wandering(0.3, missing=0.3, spacing=5.0, frames=6)
    how = {"search_range": 2.5, "memory": memory}
    assert link(table, **how)["particle"].tolist() == without(table, **how)["particle"].tolist()


def test_a_longer_gap_than_the_memory_is_not_closed():
    places = np.zeros((8, 3))
    places[:, 2] = np.arange(8) * 1.5
    frames = np.array([0, 1, 2, 3, 7, 8, 9, 10])
    table = particle_table(places, frame=frames)
    for memory, count in [(2, 2), (3, 1)]:
        assert link(table, search_range=1.6, memory=memory)["particle"].nunique() == count


def test_ends_and_beginnings_are_assigned_one_to_one():
    """Two particles vanish, one comes back between them, nearer to the second."""
    rows = []
    for frame in range(4):
        rows += [(frame, 1.5 * frame, 0.0), (frame, 1.5 * frame, 4.0)]
    rows += [(frame, 1.5 * (frame - 1), 2.2) for frame in (5, 6, 7)]
    table = pd.DataFrame(rows, columns=["frame", "x", "y"]).assign(z=0.0)[["frame", *POSITION]]
    tracks = link(table, search_range=1.7, memory=1, predict_motion=False)
    ends = tracks[tracks["frame"] == 3].set_index("y")["particle"]
    assert set(tracks.loc[tracks["frame"] == 7, "particle"]) == {ends[4.0]}
