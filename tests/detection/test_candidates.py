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


def test_spheres_at_the_least_distance_are_both_kept():
    # 0.8 of two radii of 5.
    for distance, kept in [(8.0, 2), (7.999, 1)]:
        pair = Candidates(np.array([[0.0, 0, 0], [0, distance, 0]]), np.array([5.0, 5]), np.array([0.9, 0.8]))
        assert len(suppress_overlaps(pair)) == kept
    # And where one is much smaller: 0.8 of 10 and 2.5.
    for distance, kept in [(10.0, 2), (9.999, 1)]:
        pair = Candidates(np.array([[0.0, 0, 0], [0, distance, 0]]), np.array([10.0, 2.5]), np.array([0.9, 0.8]))
        assert len(suppress_overlaps(pair)) == kept


def test_of_equally_confident_ones_the_same_are_kept_in_whatever_order_they_come():
    rng = np.random.default_rng(0)
    positions = rng.integers(0, 20, (80, 3)).astype(float)
    many = Candidates(positions, np.full(80, 3.0), rng.integers(1, 4, 80) / 4)
    kept = suppress_overlaps(many)
    assert (np.diff(kept.confidence) <= 0).all()
    for seed in range(5):
        again = suppress_overlaps(many[np.random.default_rng(seed).permutation(80)])
        np.testing.assert_array_equal(again.positions, kept.positions)
        np.testing.assert_array_equal(again.confidence, kept.confidence)


def test_candidates_are_joined_and_chosen_together():
    some = Candidates(np.array([[1.0, 2, 3], [4, 5, 6]]), np.array([7.0, 8]), np.array([0.5, 0.25]))
    joined = Candidates.joined([some, some[np.array([1])]])
    assert joined.positions.tolist() == [[1, 2, 3], [4, 5, 6], [4, 5, 6]]
    assert joined.radii.tolist() == [7, 8, 8]
    assert joined.confidence.tolist() == [0.5, 0.25, 0.25]
    nothing = Candidates.joined([])
    assert (len(nothing), nothing.positions.shape, nothing.radii.shape) == (0, (0, 3), (0,))
    assert len(suppress_overlaps(nothing)) == 0


def test_a_large_sphere_does_not_hide_a_small_neighbour():
    pair = Candidates(np.array([[0.0, 0, 0], [0, 0, 12]]), np.array([9.0, 3]), np.array([0.9, 0.5]))
    assert len(suppress_overlaps(pair)) == 2
