"""Stacks with slices that were never recorded: nothing is found, fitted or shown there."""

import itertools

import dask.array as da
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import napari_colloids as nc
from napari_colloids.errors import ColloidsError, UnusableVolumeError
from napari_colloids.refinement.gaps import slabs_of
from napari_colloids.volumes import Filled, Inverted, read_box, recorded_slices

GAP = slice(15, 25)


@pytest.fixture(scope="module")
def gap():
    """A simulated stack with ten slices gone, black in their place, and its particles outside of them."""
    simulated = nc.simulate(shape=(40, 64, 64), volume_fraction=0.3, radius=5, seed=3)
    data = np.array(simulated.stack.data)
    data[GAP] = 0
    recorded = np.ones(40, bool)
    recorded[GAP] = False
    truth = simulated.particles
    outside = (truth["z"] < GAP.start - 0.5) | (truth["z"] >= GAP.stop - 0.5)
    return nc.Stack(data, recorded=recorded), truth[outside].reset_index(drop=True)


def in_gap(table):
    return int(table["z"].between(GAP.start - 0.5, GAP.stop - 0.5).sum())


@given(st.lists(st.booleans(), min_size=1, max_size=12).filter(any), st.booleans(), st.booleans())
def test_missing_slices_show_the_nearest_recorded_one(recorded, lazy, dark):
    there = np.array(recorded)
    data = np.arange(len(there), dtype=np.uint8)[:, None, None] * np.ones((1, 2, 3), np.uint8)
    filled = Filled.of(da.from_array(data, chunks=(2, 2, 2)) if lazy else data, there)
    volume = Inverted(filled) if dark else filled
    box = (slice(None, None, 2), slice(1), slice(1, 3))
    shown = read_box(volume, box)[:, 0, 0].astype(int)
    shown = 255 - shown if dark else shown
    for z, source in zip(range(0, len(there), 2), shown, strict=True):
        assert there[source]
        assert abs(source - z) == min(abs(k - z) for k in np.flatnonzero(there))
    np.testing.assert_array_equal(recorded_slices(volume), there)
    part = read_box(volume[len(there) // 2 :], (slice(None),) * 3)
    np.testing.assert_array_equal(part, read_box(volume, (slice(len(there) // 2, None), slice(None), slice(None))))


@given(st.lists(st.booleans(), max_size=12))
def test_slabs_are_the_runs_of_recorded_slices(recorded):
    there = np.array(recorded, bool)
    again = np.zeros(len(there), bool)
    slabs = slabs_of(there)
    for slab in slabs:
        again[slab] = True
    np.testing.assert_array_equal(again, there)
    assert all(first.stop < second.start for first, second in itertools.pairwise(slabs))


def test_no_particle_is_found_in_a_gap_and_those_beside_it_are(gap):
    stack, truth = gap
    found = nc.detect(stack, diameter=10)
    assert in_gap(found) == 0
    assert in_gap(nc.detect(stack.data, diameter=10)) > 3  # as soon as nobody knows of the gap
    score = nc.score(truth, found, diameter=10, shape=stack.shape)
    assert score.precision > 0.95
    assert score.recall > 0.8


def test_both_sides_of_a_gap_are_refined_on_their_own(gap):
    stack, truth = gap
    refined = nc.refine(stack, truth[["z", "y", "x"]], diameter=10)
    assert in_gap(refined) == 0
    accepted = refined[refined["refined"] == 1]
    assert {True, False} == set(accepted["z"] > GAP.stop - 1)
    errors = refined[["z", "y", "x"]].to_numpy()[: len(truth)] - truth[["z", "y", "x"]].to_numpy()
    assert np.sqrt(np.mean(errors**2)) < 0.25


def test_particles_given_inside_a_gap_stay_as_they_are(gap):
    stack, truth = gap
    inside = truth.loc[[0, 1], ["z", "y", "x"]].assign(z=[18.0, 22.0])
    refined = nc.refine(stack, nc.particle_table(np.vstack([truth[["z", "y", "x"]], inside]), radius=5.0))
    there = refined[refined["z"].between(GAP.start, GAP.stop - 1)]
    assert there["z"].tolist() == [18.0, 22.0]
    assert (there["refined"] == 0).all()


def test_a_frame_that_was_never_recorded_cannot_be_searched():
    recorded = np.ones((2, 8), bool)
    recorded[1] = False
    stack = nc.Stack(np.zeros((2, 8, 9, 9)), "tzyx", recorded=recorded)
    stack.volume(frame=0)
    with pytest.raises(UnusableVolumeError, match="frame 1"):
        stack.volume(frame=1)


def test_what_was_recorded_must_fit_the_data():
    with pytest.raises(ColloidsError, match="recorded"):
        nc.Stack(np.zeros((8, 9, 9)), recorded=np.ones(7, bool))
