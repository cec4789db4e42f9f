"""The challenge's average precision against answers of the original and against its definition."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_colloids.errors import ColloidsError
from napari_colloids.particles import particle_table
from napari_colloids.scoring import challenge_ap, challenge_curve
from napari_colloids.scoring.pairs import MAX_CANDIDATE_PAIRS

VECTORS = json.loads((Path(__file__).parent / "data" / "challenge_metric_vectors.json").read_text())


def defined_curve(truth, prediction, diameter, shape):
    """Precision and recall straight from the definition: dense distances, one greedy matching a threshold."""
    margin = diameter / 2
    truth, prediction = (
        np.array([c for c in centres if all(margin <= v <= n - margin for v, n in zip(c, shape, strict=True))])
        for centres in (truth, prediction)
    )
    precision, recall = [], []
    for threshold in np.linspace(0, 1, 10):
        scored = []
        for j, p in enumerate(prediction):
            for i, t in enumerate(truth):
                overlap = max(0.0, 1 - float(np.sqrt(((p - t) ** 2).sum())) / diameter)
                if overlap > threshold:
                    scored.append((overlap, j, i))
        matched: list[tuple[int, int]] = []
        for _, j, i in sorted(scored, reverse=True):
            if all(j != other and i != other_true for other, other_true in matched):
                matched.append((j, i))
        precision.append(len(matched) / len(prediction) if len(prediction) else 0)
        recall.append(len(matched) / len(truth) if len(truth) else 0)
    return np.array(precision), np.array(recall)


@pytest.mark.parametrize("case", VECTORS, ids=[case["name"] for case in VECTORS])
def test_reproduces_the_original(case):
    curve = challenge_curve(case["ground_truth"], case["prediction"], case["diameter"], case["canvas_size"])
    assert curve.average_precision == pytest.approx(case["average_precision"], abs=1e-9)
    np.testing.assert_allclose(curve.precision, case["precisions"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(curve.recall[::-1], case["recalls_flipped"], rtol=0, atol=1e-9)


def test_all_vectors_are_there():
    assert len(VECTORS) == 18


# A coarse grid makes equal distances and duplicates the rule.
grid_centres = st.lists(st.tuples(*[st.integers(0, 10)] * 3), max_size=14).map(
    lambda rows: np.array(rows, dtype=float).reshape(-1, 3)
)


@settings(max_examples=150, deadline=None)
@given(truth=grid_centres, prediction=grid_centres, diameter=st.sampled_from([1.0, 3.0, 4.5, 8.0]))
def test_follows_the_definition_with_ties(truth, prediction, diameter):
    curve = challenge_curve(truth, prediction, diameter, (10, 11, 12))
    precision, recall = defined_curve(truth, prediction, diameter, (10, 11, 12))
    np.testing.assert_allclose(curve.precision, precision, atol=1e-12)
    np.testing.assert_allclose(curve.recall, recall, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_follows_the_definition_in_a_crowd_of_ties(seed):
    rng = np.random.default_rng(seed)
    truth, prediction = rng.integers(2, 8, (40, 3)), rng.integers(2, 8, (40, 3))
    curve = challenge_curve(truth, prediction, 3, (10, 10, 10))
    precision, recall = defined_curve(truth, prediction, 3, (10, 10, 10))
    np.testing.assert_allclose(curve.precision, precision, atol=1e-12)
    np.testing.assert_allclose(curve.recall, recall, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_order_of_particles_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    truth, prediction = rng.uniform(0, 40, (60, 3)), rng.uniform(0, 40, (50, 3))
    expected = challenge_ap(truth, prediction, 9.0, (40, 40, 40))
    assert challenge_ap(rng.permutation(truth), rng.permutation(prediction), 9.0, (40, 40, 40)) == expected


def test_border_keeps_centres_that_lie_on_it():
    on_the_border = [[5, 5, 5], [15, 25, 35]]
    assert challenge_ap(on_the_border, on_the_border, 10, (20, 30, 40)) == pytest.approx(1.0)
    within = np.array([[6, 6, 6], [14, 24, 34]])
    for sides in ((on_the_border, within), (within, on_the_border)):
        curve = challenge_curve(*sides, 10, (20, 30, 40))
        assert (curve.precision[0], curve.recall[0]) == (1, 1)
    beyond = [[4.99, 5, 5], [15, 25, 35.01]]
    assert challenge_ap(beyond, beyond, 10, (20, 30, 40)) == 0


def test_takes_particle_tables():
    centres = np.random.default_rng(0).uniform(8, 24, (20, 3))
    table = particle_table(centres, radius=4, confidence=0.5)
    assert challenge_ap(table, centres, 1, (32, 32, 32)) == pytest.approx(1.0)


@pytest.mark.parametrize(("truth", "prediction"), [([], []), ([], [[9, 9, 9]]), ([[9, 9, 9]], [])])
def test_nothing_to_match_scores_zero(truth, prediction):
    curve = challenge_curve(truth, prediction, 4, (20, 20, 20))
    assert curve.average_precision == 0
    assert not curve.precision.any()
    assert not curve.recall.any()


def test_overlaps_by_hand():
    # Overlaps of 3/4 and 3/8, between the thresholds 6/9 and 7/9, and 3/9 and 4/9; one prediction is false.
    truth, prediction = [[8, 8, 8], [8, 8, 20]], [[8, 8, 10], [8, 8, 15], [20, 20, 20]]
    curve = challenge_curve(truth, prediction, 8, (32, 32, 32))
    assert curve.thresholds.tolist() == pytest.approx([k / 9 for k in range(10)])
    assert curve.precision == pytest.approx([2 / 3] * 4 + [1 / 3] * 3 + [0] * 3)
    assert curve.recall == pytest.approx([1] * 4 + [1 / 2] * 3 + [0] * 3)
    # Recalls rise from 0 to 1/2 after the third threshold, to 1 after the sixth: there the precisions are averaged.
    assert curve.average_precision == pytest.approx(1 / 2 * 2 / 3 + 1 / 2 * 1 / 3)


def test_of_equal_overlaps_the_last_comes_first():
    # The second prediction is as far from one truth as from the other, and takes the last; the first reaches only one.
    truth, between = [[10, 10, 10], [10, 10, 14]], [[10, 10, 8], [10, 10, 12]]
    assert challenge_curve(truth, between, 3, (20, 20, 20)).recall[0] == 1
    assert challenge_curve(truth[::-1], between, 3, (20, 20, 20)).recall[0] == 1 / 2


def test_far_too_large_a_diameter_is_refused_before_the_memory_is_full():
    n = int(np.sqrt(MAX_CANDIDATE_PAIRS)) + 100
    centres = np.random.default_rng(0).uniform(0, 50, (n, 3))
    with pytest.raises(ColloidsError, match="check the diameter"):
        challenge_ap(centres + 100, centres + 100, 190, (256, 256, 256))


def test_repr_and_plot_show_precision_and_recall():
    truth = np.random.default_rng(0).uniform(8, 24, (20, 3))
    curve = challenge_curve(truth, truth[:10], 1, (32, 32, 32))
    assert repr(curve) == (
        "ChallengeCurve(average precision = 0.5, over 10 overlaps: precision 1 to 0, recall 0.5 to 0)"
    )
    far = challenge_curve([[8, 8, 8], [8, 20, 20]], [[8, 8, 15.5], [24, 24, 24]], 8, (32, 32, 32))
    assert repr(far).endswith("precision 0.5 to 0, recall 0.5 to 0)")
    assert far.plot().get_ylim() == (0, 1.05)
    ax = curve.plot()
    lines = {line.get_label(): line for line in ax.get_lines()}
    for name, values in (("precision", curve.precision), ("recall", curve.recall)):
        np.testing.assert_array_equal(lines[name].get_xydata(), np.column_stack([np.linspace(0, 1, 10), values]))
        # The ten thresholds are marked, smaller than by default.
        assert (lines[name].get_marker(), lines[name].get_markersize()) == ("o", 4)
    assert ax.get_ylim() == (0, 1.05)
    assert (ax.get_xlabel(), ax.get_ylabel()) == (
        "least overlap of a match, 1 - distance / diameter",
        "precision, recall",
    )
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["precision", "recall"]
    assert curve.plot(ax) is ax
