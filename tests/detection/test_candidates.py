"""Choosing between candidates that overlap."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_colloids.detection.candidates import MIN_CONTACT_FRACTION, Candidates, suppress_overlaps


@given(st.integers(0, 60), st.integers(0, 2**32 - 1))
def test_the_more_confident_wins_and_nobody_is_dropped_without_a_reason(count, seed):
    rng = np.random.default_rng(seed)
    given_ = Candidates(rng.uniform(0, 30, (count, 3)), rng.uniform(2, 6, count), rng.random(count))
    kept = suppress_overlaps(given_)

    def conflict(a, b, others):
        distance = np.linalg.norm(others.positions - given_.positions[a], axis=1)
        return distance < MIN_CONTACT_FRACTION * (others.radii + given_.radii[a])

    members = {tuple(p) for p in kept.positions}
    for i in range(count):
        stronger = kept[kept.confidence >= given_.confidence[i]]
        others = stronger[~(stronger.positions == given_.positions[i]).all(axis=1)]
        blocked = bool(conflict(i, None, others).any())
        assert (tuple(given_.positions[i]) in members) == (not blocked)


def test_sizes_of_any_ratio_are_compared_with_each_other():
    rng = np.random.default_rng(3)
    many = Candidates(rng.uniform(0, 60, (1500, 3)), np.exp(rng.uniform(-1.5, 2.5, 1500)), rng.random(1500))
    expected: list[int] = []
    for i in np.argsort(-many.confidence):
        distance = np.linalg.norm(many.positions[expected] - many.positions[i], axis=1)
        if not np.any(distance < MIN_CONTACT_FRACTION * (many.radii[expected] + many.radii[i])):
            expected.append(int(i))
    np.testing.assert_array_equal(suppress_overlaps(many).positions, many.positions[expected])


def test_touching_spheres_are_both_kept_and_doubles_are_not():
    touching = Candidates(np.array([[0.0, 0, 0], [0, 0, 10]]), np.array([5.0, 5]), np.array([0.9, 0.8]))
    assert len(suppress_overlaps(touching)) == 2
    double = Candidates(np.array([[0.0, 0, 0], [0, 0, 3]]), np.array([5.0, 5]), np.array([0.8, 0.9]))
    assert suppress_overlaps(double).confidence.tolist() == [0.9]


def test_a_large_sphere_does_not_hide_a_small_neighbour():
    pair = Candidates(np.array([[0.0, 0, 0], [0, 0, 12]]), np.array([9.0, 3]), np.array([0.9, 0.5]))
    assert len(suppress_overlaps(pair)) == 2
