"""Twins that are arranged as what was found: crystals, mixtures, strings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import cKDTree

import napari_colloids as nc
from napari_colloids.assessment.found_arrangement import FoundArrangement
from napari_colloids.assessment.pair_distances import are_alike, pair_counts
from napari_colloids.assessment.rearrangement import pushed_apart, rearranged
from napari_colloids.benchmark.microscope import Scene, make_volume
from napari_colloids.simulation.arrangement import Composition, arrange

BOX = (60.0, 60.0, 60.0)


def arranged(kind, volume_fraction, seed=0, **composition):
    made = arrange(kind, BOX, Composition(volume_fraction, 5.0, **composition), np.random.default_rng(seed))
    return made.within(np.zeros(3), np.array(BOX))


def overlaps(positions, radii):
    """Return how deep each pair overlaps; 0 where it does not."""
    first, second = np.triu_indices(len(radii), 1)
    distance = np.linalg.norm(positions[first] - positions[second], axis=1)
    return np.maximum(radii[first] + radii[second] - distance, 0)


@given(st.integers(2, 25), st.integers(0, 2**31))
def test_spheres_move_a_little_and_overlap_no_deeper(count, seed):
    rng = np.random.default_rng(seed)
    positions, radii = rng.uniform(0, 12, (count, 3)), rng.uniform(0.5, 2, count)
    moved = rearranged(positions, radii, 0.4, rng)
    assert (overlaps(moved, radii) <= overlaps(positions, radii) + 1e-9).all()
    assert (np.linalg.norm(moved - positions, axis=1) <= 0.4).all()
    assert (moved != positions).any(axis=1).mean() > 0.2


@given(st.integers(2, 25), st.integers(0, 2**31))
def test_spheres_that_overlap_are_pushed_apart_and_held_ones_stay(count, seed):
    rng = np.random.default_rng(seed)
    positions, radii, held = rng.uniform(0, 12, (count, 3)), rng.uniform(0.5, 1, count), rng.random(count) < 0.3
    pushed = pushed_apart(positions, radii)
    assert overlaps(pushed, radii).max() <= max(0.1 * overlaps(positions, radii).max(), 0.05)
    np.testing.assert_array_equal(pushed_apart(positions, radii, held)[held], positions[held])


def test_pairs_tell_crystals_and_strings_from_packings():
    packing = pair_counts(arranged("random", 0.5, seed=1)[0], 10)
    assert are_alike(pair_counts(arranged("random", 0.5, seed=2)[0], 10), packing)
    assert not are_alike(pair_counts(arranged("crystal", 0.5)[0], 10), packing)
    assert not are_alike(pair_counts(arranged("strings", 0.2)[0], 10), packing)


@pytest.mark.parametrize("kind", ["crystal", "random"])
def test_surroundings_are_as_dense_as_the_box(kind):
    positions, radii = arranged(kind, 0.5)
    found = FoundArrangement(positions, radii, len(radii), BOX)
    drawn = found.drawn(0.5, np.random.default_rng(0))
    outside = np.maximum(-drawn.positions, drawn.positions - BOX).max(axis=1)
    near = ((outside > 0) & (outside < 10)).sum() / (80**3 - 60**3)
    assert near == pytest.approx(len(radii) / 60**3, rel=0.25)
    assert drawn.volume_fraction == pytest.approx(0.5, rel=0.03)


def test_likeliest_of_the_others_come_where_more_are_wanted():
    positions, radii = arranged("random", 0.2)
    count = len(radii) // 2
    found = FoundArrangement(positions, radii, count, BOX)
    each = found.mean_particle_volume / 60**3
    for wanted in (count - 3, count, count + 4):
        drawn = found.drawn(wanted * each, np.random.default_rng(1))
        there = drawn.within(np.zeros(3), np.array(BOX))[0]
        assert len(there) == pytest.approx(wanted, abs=1)  # one may have moved across a face
        mirrored = [np.where([False, y, x], BOX - positions, positions) for y in (0, 1) for x in (0, 1)]
        nearest = min((cKDTree(there).query(some)[0] for some in mirrored), key=lambda distance: distance.min())
        taken = np.flatnonzero(nearest < 1.5)
        assert set(range(count, min(wanted, len(radii)))) <= set(taken) or wanted <= count
        assert taken.max() < max(wanted, count)


def test_mixture_is_described_with_its_own_sizes():
    scene = Scene((30, 42, 42), 4.5, 0.35, psf=(2.0, 1.0), snr=5.0, cnr=4.0, size_ratio=2.2, large_share=0.25)
    volume = make_volume(scene, 1)
    assessment = nc.assess(volume.stack, diameter=volume.diameter, device="cpu", twins=2)
    assert assessment.describes, assessment.reasons
    assert assessment.arranged_as_found
    assert assessment.as_dict()["arranged_as_found"] is True
    assert assessment.quality.diameter == pytest.approx(2 * volume.radii.mean(), rel=0.06)
    assert assessment.quality.polydispersity == pytest.approx(volume.radii.std() / volume.radii.mean(), rel=0.15)
    assert assessment.prediction.recall.value > 0.95
