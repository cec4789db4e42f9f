"""Optimal one-to-one matching."""

import itertools
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from napari_colloids.errors import ColloidsError
from napari_colloids.particles import particle_table
from napari_colloids.scoring import match, matching, pairs
from napari_colloids.simulation import simulate

SOLVERS = pytest.mark.parametrize("dense_size", [0, matching.MAX_DENSE_ENTRIES], ids=["sparse", "dense"])


def best_by_trying_all(truth, prediction, max_distance):
    """Number of matches and total distance of the best matching, out of all that there are."""
    if len(truth) > len(prediction):
        truth, prediction = prediction, truth
    distance = cdist(truth, prediction)
    best = (0, 0.0)
    for partners in itertools.permutations(range(len(prediction)), len(truth)):
        lengths = [d for d in distance[range(len(truth)), partners] if d <= max_distance]
        best = min(best, (-len(lengths), sum(lengths)))
    return -best[0], best[1]


def greedy(truth, prediction, max_distance):
    """Number of matches when the nearest pair is taken first."""
    distance = cdist(truth, prediction)
    count = 0
    while distance.size and distance.min() <= max_distance:
        i, j = np.unravel_index(distance.argmin(), distance.shape)
        distance = np.delete(np.delete(distance, i, 0), j, 1)
        count += 1
    return count


def crowd(seed, n, m, size=4.0):
    rng = np.random.default_rng(seed)
    return rng.uniform(0, size, (n, 3)), rng.uniform(0, size, (m, 3))


@SOLVERS
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 5), m=st.integers(0, 6), reach=st.sampled_from([1.0, 2.0, 9.0]))
def test_no_other_matching_is_better(dense_size, seed, n, m, reach):
    truth, prediction = crowd(seed, n, m)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "MAX_DENSE_ENTRIES", dense_size)
        found = match(truth, prediction, reach)
    count, total = best_by_trying_all(truth, prediction, reach)
    assert len(found) == count
    assert found.distance.sum() == pytest.approx(total, abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), reach=st.floats(0.1, 8))
def test_is_one_to_one_and_never_fewer_than_greedy(seed, reach):
    truth, prediction = crowd(seed, 30, 40, size=8.0)
    found = match(truth, prediction, reach)
    assert len(np.unique(found.truth_index)) == len(np.unique(found.prediction_index)) == len(found)
    separation = np.linalg.norm(truth[found.truth_index] - prediction[found.prediction_index], axis=1)
    np.testing.assert_allclose(found.distance, separation)
    assert (found.distance <= reach).all()
    assert (np.diff(found.truth_index) > 0).all()
    assert len(found) >= greedy(truth, prediction, reach)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_swapping_or_shuffling_the_sets_changes_nothing(seed):
    truth, prediction = crowd(seed, 40, 30, size=8.0)
    found, swapped = match(truth, prediction, 2), match(prediction, truth, 2)
    pairs = set(zip(found.truth_index, found.prediction_index, strict=True))
    assert pairs == set(zip(swapped.prediction_index, swapped.truth_index, strict=True))
    order = np.random.default_rng(seed).permutation(len(prediction))
    shuffled = match(truth, prediction[order], 2)
    assert pairs == set(zip(shuffled.truth_index, order[shuffled.prediction_index], strict=True))


@SOLVERS
def test_gives_up_a_near_match_for_two(dense_size, monkeypatch):
    monkeypatch.setattr(matching, "MAX_DENSE_ENTRIES", dense_size)
    # The first truth and the second prediction nearly coincide, which would leave nothing within reach for the others.
    found = match([[0, 0, 0], [0, 0, 1.59]], [[0, 0, -1.59], [0, 0, 0.01]], 1.6)
    assert found.truth_index.tolist() == [0, 1]
    assert found.prediction_index.tolist() == [0, 1]


@SOLVERS
def test_coinciding_particles_match(dense_size, monkeypatch):
    monkeypatch.setattr(matching, "MAX_DENSE_ENTRIES", dense_size)
    centres = np.array([[0.0, 0, 0], [0, 0, 1], [0, 0, 2], [0, 0, 2]])
    found = match(centres, centres, 1.5)
    assert len(found) == 4
    assert not found.distance.any()


def test_the_greatest_distance_is_within_reach():
    assert len(match([[0, 0, 0]], [[0, 0, 3]], 3)) == 1
    assert len(match([[0, 0, 0]], [[0, 0, 3.001]], 3)) == 0


def test_a_cluster_is_solved_beside_pairs_of_their_own():
    # Truths 0 and 3 have one prediction each. Of the others, the second prediction is nearer to the first truth, but
    # the total distance is least (and both are matched) the other way round.
    truth = [[0, 0, 0], [0, 0, 30], [0, 0, 34], [0, 0, 60]]
    prediction = [[0, 0, 61], [0, 0, 27], [0, 0, 31], [0, 0, 0.5]]
    found = match(truth, prediction, 4)
    assert found.truth_index.tolist() == [0, 1, 2, 3]
    assert found.prediction_index.tolist() == [3, 1, 2, 0]
    assert found.distance.tolist() == [0.5, 3, 3, 1]


def test_more_pairs_than_memory_holds_are_refused(monkeypatch):
    monkeypatch.setattr(pairs, "MAX_CANDIDATE_PAIRS", 12)
    assert len(match(np.zeros((3, 3)), np.zeros((4, 3)), 1)) == 3
    with pytest.raises(ColloidsError) as caught:
        match(np.zeros((3, 3)), np.zeros((5, 3)), 1.25)
    assert str(caught.value) == (
        "Each prediction has 3 true particles within 1.25 voxels, too many to match: "
        "check the diameter and that both sets of positions are in voxels."
    )


def test_large_clusters_are_matched_completely():
    centres = np.arange(900.0)[:, None] * [0, 0, 1.0]
    found = match(centres, centres + np.array([0, 0, 0.3]), 1.0)
    assert len(found) == 900
    np.testing.assert_allclose(found.distance, 0.3)


@pytest.mark.parametrize(("truth", "prediction"), [([], []), ([], [[1, 1, 1]]), ([[1, 1, 1]], [])])
def test_nothing_matches_nothing(truth, prediction):
    assert len(match(truth, prediction, 1)) == 0


@pytest.mark.parametrize(
    ("truth", "prediction", "reach", "message"),
    [
        ([[1, 2]], [[1, 2, 3]], 1, r"The truth .*\(N, 3\)"),
        ([[1, 2, 3]], [1, 2, 3], 1, r"The prediction .*\(N, 3\)"),
        ([["a", "b", "c"]], [[1, 2, 3]], 1, "array of numbers"),
        ([[1, 2, np.nan]], [[1, 2, 3]], 1, "missing or infinite"),
        (particle_table([[1, 2, np.nan]]), [[1, 2, 3]], 1, "without a position"),
        (particle_table([[1, 2, 3], [1, 2, 3]], frame=[0, 1]), [[1, 2, 3]], 1, "several frames"),
        ([[1, 2, 3]], particle_table([[1, 2, 3], [1, 2, 3]], channel=[0, 1]), 1, "several channels"),
        (particle_table([[1, 2, 3]]).drop(columns="z"), [[1, 2, 3]], 1, "no column z"),
        (
            [[-1e160, 2, 3], [1e160, 2, 3]],
            [[1, 2, 3]],
            1,
            r"^Some positions lie beyond any image: look for broken rows in the tables\.$",
        ),
        ([[1, 2, 3]], [[1, 2, 3]], 0, "positive number"),
        ([[1, 2, 3]], [[1, 2, 3]], None, "positive number"),
    ],
)
def test_bad_input_gets_one_clear_line(truth, prediction, reach, message):
    with pytest.raises(ColloidsError, match=message) as caught:
        match(truth, prediction, reach)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        ("truth.csv", "not str"),
        (pd.Series([1.0, 2.0]), r"\(N, 3\)"),
        (
            simulate(shape=(24, 24, 24), radius=4, volume_fraction=0.1, seed=0),
            "Simulation, give its attribute 'particles'",
        ),
    ],
)
def test_what_is_no_positions_is_named(truth, message):
    with pytest.raises(ColloidsError, match=message):
        match(truth, [[1, 2, 3]], 1)


def test_repr_and_plot_show_the_distances():
    found = match([[0, 0, 0], [0, 0, 20], [0, 0, 40]], [[0, 0, 1], [0, 0, 22], [9, 9, 9]], 4)
    assert repr(found) == "Matching(pairs = 2, mean distance = 1.5 voxels, greatest = 2 voxels)"
    assert repr(match([], [], 4)) == "Matching(pairs = 0)"
    ax = found.plot()
    assert sum(bar.get_height() for bar in ax.patches) == 2
    assert ax.get_legend_handles_labels()[1] == ["matched pairs"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("distance (voxels)", "pairs")
    assert match([], [], 4).plot(ax) is ax
    many = np.random.default_rng(0).normal(0, 0.5, (400, 3))
    sites = np.arange(400)[:, None] * [0, 0, 9.0]
    distances = match(sites, sites + many, 4)
    edges = np.histogram_bin_edges(distances.distance, "auto")
    assert len(distances.plot().patches) == len(edges) - 1 > 10


def test_twenty_thousand_particles_are_a_matter_of_seconds():
    rng = np.random.default_rng(0)
    sites = np.stack(np.meshgrid(*[np.arange(28)] * 3, indexing="ij"), -1).reshape(-1, 3)[:20_000] * 12.0
    truth = sites + rng.normal(0, 0.5, sites.shape)
    order = rng.permutation(len(truth))
    start = time.process_time()
    found = match(truth, truth[order] + rng.normal(0, 1, truth.shape), 6)
    # It takes 0.1 s; anything quadratic would take more than this.
    assert time.process_time() - start < 10
    assert len(found) > 0.999 * len(truth)
    assert (order[found.prediction_index] == found.truth_index).mean() > 0.999
