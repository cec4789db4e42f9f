"""Precision and recall against the confidence threshold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_colloids.scoring import match
from napari_colloids.scoring.ranking import precision_recall_curve


def curve_of(truth, prediction, confidence, reach, required=None, penalised=None):
    truth, prediction = np.array(truth, dtype=float), np.array(prediction, dtype=float)
    return precision_recall_curve(
        truth,
        prediction,
        np.array(confidence, dtype=float),
        reach,
        required=np.ones(len(truth), bool) if required is None else np.array(required),
        penalised=np.ones(len(prediction), bool) if penalised is None else np.array(penalised),
    )


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_every_threshold_is_an_optimal_matching_of_what_is_above_it(seed):
    rng = np.random.default_rng(seed)
    truth, prediction = rng.uniform(0, 6, (20, 3)), rng.uniform(0, 6, (30, 3))
    confidence = rng.integers(1, 11, 30) / 10
    curve = curve_of(truth, prediction, confidence, 1.5)
    assert curve.confidence.tolist() == sorted(set(confidence), reverse=True)
    for threshold, precision, recall in zip(curve.confidence, curve.precision, curve.recall, strict=True):
        above = prediction[confidence >= threshold]
        n_matches = len(match(truth, above, 1.5))
        assert precision == pytest.approx(n_matches / len(above))
        assert recall == pytest.approx(n_matches / len(truth))


def test_a_doubtful_duplicate_does_not_take_the_match_away():
    # The duplicate is nearer to the particle, but hardly believed in.
    curve = curve_of([[0, 0, 0]], [[0, 0, 0.5], [0, 0, 0.1]], [0.9, 0.2], 1)
    assert curve.precision.tolist() == [1, 0.5]
    assert curve.recall.tolist() == [1, 1]
    assert curve.average_precision == 1


def test_average_precision_by_hand():
    truth = [[0, 0, 0], [0, 0, 10], [0, 0, 20], [0, 0, 30]]
    curve = curve_of(truth, [[0, 0, 0], [0, 0, 5], [0, 0, 10], [0, 0, 15]], [0.9, 0.8, 0.7, 0.6], 1)
    # Hits at ranks 1 and 3: a quarter of the recall at precision 1, another at 2/3.
    assert curve.average_precision == pytest.approx(0.25 + 0.25 * 2 / 3)


def test_without_ranks_it_is_precision_times_recall():
    curve = curve_of([[0, 0, 0], [0, 0, 10]], [[0, 0, 0], [0, 0, 5], [0, 0, 6]], [1, 1, 1], 1)
    assert len(curve.confidence) == 1
    assert curve.average_precision == pytest.approx(1 / 3 * 1 / 2)


def test_ranking_true_particles_last_costs_precision():
    truth, prediction = [[0, 0, 0], [0, 0, 10]], [[0, 0, 0], [0, 0, 10], [0, 0, 5], [0, 0, 6]]
    assert curve_of(truth, prediction, [0.9, 0.8, 0.2, 0.1], 1).average_precision == 1
    assert curve_of(truth, prediction, [0.1, 0.2, 0.8, 0.9], 1).average_precision == pytest.approx(5 / 12)


def test_what_need_not_be_found_is_ignored():
    truth, prediction = [[0, 0, 0], [0, 0, 10]], [[0, 0, 0], [0, 0, 10], [0, 0, 15], [0, 0, 16]]
    curve = curve_of(truth, prediction, [0.9, 0.8, 0.7, 0.6], 1, [True, False], [True, True, False, True])
    assert curve.precision.tolist() == [1, 1, 1, 0.5]
    assert curve.recall.tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_of_equally_certain_predictions_the_nearest_matches(order):
    prediction, near_only, far_only = np.array([[0, 0, 0.2], [0, 0, 0.5]]), np.array([1, 0]), np.array([0, 1])
    at = {"truth": [[0, 0, 0]], "prediction": prediction[order], "confidence": [0.7, 0.7], "reach": 1}
    # The farther one matches nothing: it is false where such ones are, and ignored elsewhere.
    assert curve_of(**at, penalised=far_only[order].astype(bool)).precision.tolist() == [0.5]
    assert curve_of(**at, penalised=near_only[order].astype(bool)).precision.tolist() == [1]


@pytest.mark.parametrize(("x", "hit"), [(0.4, 1), (0.6, 0)])
def test_a_match_is_with_the_nearest_truth_whether_it_counts_or_not(x, hit):
    curve = curve_of([[0, 0, 0], [0, 0, 1]], [[0, 0, x]], [0.9], 1, required=[True, False])
    assert (curve.precision.tolist(), curve.recall.tolist()) == ([hit], [hit])


@pytest.mark.parametrize(("n_truth", "n_prediction"), [(0, 0), (0, 2), (2, 0)])
def test_empty_sets(n_truth, n_prediction):
    curve = curve_of(np.ones((n_truth, 3)), np.ones((n_prediction, 3)), np.ones(n_prediction), 1)
    assert curve.average_precision == 0
    assert len(curve.confidence) == min(n_prediction, 1)


def test_repr_and_plot_show_the_average_precision():
    curve = curve_of([[0, 0, 0], [0, 0, 10]], [[0, 0, 0], [0, 0, 10], [0, 0, 5], [0, 0, 6]], [0.1, 0.2, 0.8, 0.9], 1)
    assert repr(curve) == "PrecisionRecallCurve(average precision = 0.417, 4 thresholds from 0.9 to 0.1)"
    ax = curve.plot()
    (line,) = ax.get_lines()
    np.testing.assert_array_equal(line.get_xydata(), np.column_stack([curve.recall, curve.precision]))
    assert line.get_label() == "AP = 0.417"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("recall", "precision")
    assert (ax.get_xlim(), ax.get_ylim()) == ((0, 1.02), (0, 1.05))
    empty = curve_of(np.ones((0, 3)), np.ones((0, 3)), [], 1)
    assert repr(empty) == "PrecisionRecallCurve(average precision = 0, 0 thresholds)"
    assert empty.plot(ax) is ax
