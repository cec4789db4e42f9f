"""All figures of a detection."""

import json
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from napari_colloids.errors import ColloidsError
from napari_colloids.particles import particle_table
from napari_colloids.scoring import challenge_ap, score

SHAPE = (60, 70, 80)


def lattice(spacing=10.0, shape=SHAPE):
    """Centres that keep at least `spacing` to each other and to the border line of spheres of that diameter."""
    axes = [np.arange(spacing, n - spacing, spacing) for n in shape]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), diameter=st.floats(2, 10))
def test_a_perfect_detection_scores_one(seed, diameter):
    rng = np.random.default_rng(seed)
    truth = lattice()
    result = score(truth, rng.permutation(truth), diameter=diameter, shape=SHAPE)
    assert (result.precision, result.recall, result.f1, result.ap) == (1, 1, 1, pytest.approx(1))
    assert result.challenge_ap == pytest.approx(1)
    assert set(result.ap_at) == {0.1, 0.25, 0.5}
    assert list(result.ap_at.values()) == pytest.approx([1, 1, 1])
    assert result.rmse == {"z": 0, "y": 0, "x": 0}
    assert (result.true_positives, result.false_positives, result.false_negatives) == (len(truth), 0, 0)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_further_than_half_a_diameter_is_no_detection(seed):
    direction = np.random.default_rng(seed).normal(size=3)
    direction /= np.linalg.norm(direction)
    truth = lattice(spacing=12.0)
    off = score(truth, truth + 4.1 * direction, diameter=8, shape=SHAPE)
    assert (off.precision, off.recall, off.f1, off.ap, off.true_positives) == (0, 0, 0, 0, 0)
    assert off.missed_mask.all()
    near = score(truth, truth + 3.9 * direction, diameter=8, shape=SHAPE)
    assert (near.precision, near.recall, near.f1) == (1, 1, 1)
    assert near.ap_at[0.25] == 0


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_neither_order_nor_sides_matter(seed):
    rng = np.random.default_rng(seed)
    truth, prediction = rng.uniform(8, 52, (80, 3)), rng.uniform(8, 52, (70, 3))
    kwargs = {"diameter": 12.0, "shape": (60, 60, 60)}
    result = score(truth, prediction, **kwargs)
    order = rng.permutation(len(prediction))
    shuffled = score(rng.permutation(truth), prediction[order], **kwargs)
    for name in ("precision", "recall", "challenge_ap", "ap"):
        assert getattr(shuffled, name) == pytest.approx(getattr(result, name), abs=1e-12)
    np.testing.assert_array_equal(shuffled.true_positive_mask, result.true_positive_mask[order])
    swapped = score(prediction, truth, **kwargs)
    assert (swapped.precision, swapped.recall) == (result.recall, result.precision)
    assert swapped.rmse == pytest.approx(result.rmse)
    assert swapped.bias == pytest.approx({axis: -value for axis, value in result.bias.items()})


def example():
    """Particles of which every kind occurs, for a diameter of 8 in a cube of 40: the border line is at 3.5 and 35.5."""
    truth = [[10, 10, 10], [10, 10, 30], [30, 10, 10], [30, 30, 30], [30, 30, 10], [2, 20, 20]]
    prediction = {
        "false, and the most certain": (0.95, [20, 20, 20]),
        "half a voxel from the first": (0.9, [10, 10, 10.5]),
        "a quarter of a diameter from the second": (0.8, [10, 12, 30]),
        "half a diameter from the third": (0.7, [30, 10, 14]),
        "of the one at the border": (0.6, [2, 20, 21]),
        "of none, at the border": (0.5, [2, 35, 2]),
    }
    confidence, centres = zip(*prediction.values(), strict=True)
    return truth, particle_table(centres, confidence=confidence)


def test_every_figure_of_an_example_by_hand():
    truth, prediction = example()
    result = score(truth, prediction, diameter=8, shape=(40, 40, 40))
    assert (result.diameter, result.max_distance) == (8, 4)
    assert result.true_positive_mask.tolist() == [False, True, True, True, False, False]
    assert result.false_positive_mask.tolist() == [True, False, False, False, False, False]
    assert result.missed_mask.tolist() == [False, False, False, True, True, False]
    assert {mask.dtype for mask in (result.true_positive_mask, result.false_positive_mask, result.missed_mask)} == {
        np.dtype(bool)
    }
    assert (result.true_positives, result.false_positives, result.false_negatives) == (3, 1, 2)
    assert (result.ignored_truths, result.ignored_predictions) == (1, 2)
    assert (result.precision, result.recall, result.f1) == pytest.approx((3 / 4, 3 / 5, 2 / 3))
    assert result.rmse == pytest.approx({"z": 0, "y": math.sqrt(4 / 3), "x": math.sqrt(16.25 / 3)})
    assert result.bias == pytest.approx({"z": 0, "y": 2 / 3, "x": 1.5})
    # Each true positive adds a fifth to the recall; the false one is above all of them.
    assert result.curve.confidence.tolist() == [0.95, 0.9, 0.8, 0.7, 0.6, 0.5]
    assert result.curve.precision == pytest.approx([0, 1 / 2, 2 / 3, 3 / 4, 3 / 4, 3 / 4])
    assert result.curve.recall == pytest.approx([0, 1 / 5, 2 / 5, 3 / 5, 3 / 5, 3 / 5])
    assert result.ap == pytest.approx((1 / 2 + 2 / 3 + 3 / 4) / 5)
    assert result.ap_at == pytest.approx({0.1: 1 / 10, 0.25: (1 / 2 + 2 / 3) / 5, 0.5: (1 / 2 + 2 / 3 + 3 / 4) / 5})
    # Of the challenge: overlaps of 15/16, 3/4 and 1/2, of four predictions and five truths.
    assert result.challenge_ap == pytest.approx(0.2 * 3 / 4 + 0.2 * 3 / 4 + 0.2 * (3 / 4 + 2 / 4) / 2)
    assert result.depth_edges.tolist() == [-0.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5, 35.5, 39.5]
    nan = math.nan
    np.testing.assert_array_equal(result.recall_by_depth, [nan, nan, 1, nan, nan, nan, nan, 1 / 3, nan, nan])


def test_one_particle_found_is_perfect():
    result = score([[20, 20, 20]], [[20, 20, 20]], diameter=8, shape=(40, 40, 40))
    assert (result.precision, result.recall, result.f1, result.ap) == (1, 1, 1, 1)
    assert result.challenge_ap == pytest.approx(1)
    np.testing.assert_array_equal(result.recall_by_depth, [math.nan] * 5 + [1] + [math.nan] * 4)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(("edge", "step"), [(3.5, -0.001), (35.5, 0.001)])
def test_a_sphere_that_touches_the_face_counts(axis, edge, step):
    centre = np.full((1, 3), 20.0)
    centre[0, axis] = edge
    touching = score(centre, [], diameter=8, shape=(40, 40, 40))
    assert (touching.false_negatives, touching.ignored_truths) == (1, 0)
    assert score([], centre, diameter=8, shape=(40, 40, 40)).false_positives == 1
    centre[0, axis] += step
    beyond = score(centre, [], diameter=8, shape=(40, 40, 40))
    assert (beyond.false_negatives, beyond.ignored_truths) == (0, 1)
    assert score([], centre, diameter=8, shape=(40, 40, 40)).ignored_predictions == 1


def test_the_border_is_as_wide_in_micrometres_along_every_axis():
    # Voxels of 2 along z: four of the diameter of 8 in z, so that the line is at 1.5 there and at 3.5 across.
    for centre, counted in [([1.5, 20, 20], 1), ([1.4, 20, 20], 0), ([20, 3.5, 20], 1), ([20, 3.4, 20], 0)]:
        result = score([centre], [], diameter=8, shape=(40, 40, 40), voxel_size=(2, 1, 1))
        assert result.false_negatives == counted, centre


def test_counts_masks_and_curve_agree():
    rng = np.random.default_rng(3)
    truth = lattice()
    found = truth[20:] + rng.normal(0, 0.5, (len(truth) - 20, 3))
    spurious = truth[:30] + 5
    prediction = particle_table(np.concatenate([spurious, found]), confidence=rng.random(len(found) + 30))
    result = score(truth, prediction, diameter=8, shape=SHAPE)
    assert result.missed_mask.tolist() == [True] * 20 + [False] * (len(truth) - 20)
    assert result.false_positive_mask.tolist() == [True] * 30 + [False] * len(found)
    assert (result.true_positive_mask == ~result.false_positive_mask).all()
    assert (result.true_positives, result.false_positives, result.false_negatives) == (len(found), 30, 20)
    assert result.precision == len(found) / (len(found) + 30)
    assert result.recall == len(found) / len(truth)
    assert result.f1 == pytest.approx(2 / (1 / result.precision + 1 / result.recall))
    assert (result.curve.precision[-1], result.curve.recall[-1]) == (result.precision, result.recall)
    assert result.ap == result.curve.average_precision == result.ap_at[0.5]
    assert result.challenge_ap == challenge_ap(truth, prediction, 8, SHAPE)


def test_confidences_that_tell_true_from_false_give_the_recall():
    truth = lattice()
    prediction = np.concatenate([truth[:100], truth[:50] + 5])
    ranked = particle_table(prediction, confidence=np.r_[np.linspace(1, 0.6, 100), np.linspace(0.5, 0.1, 50)])
    assert score(truth, ranked, diameter=8, shape=SHAPE).ap == pytest.approx(100 / len(truth))
    unranked = score(truth, prediction, diameter=8, shape=SHAPE)
    assert unranked.ap == pytest.approx(unranked.precision * unranked.recall)


def test_error_by_axis_is_prediction_minus_truth():
    truth = lattice()
    shift = np.array([1.0, -0.5, 0.25])
    sign = np.where(np.arange(len(truth)) % 4 == 0, -1.0, 1.0)[:, None]
    result = score(truth, truth + sign * shift, diameter=8, shape=SHAPE)
    assert result.rmse == pytest.approx({"z": 1, "y": 0.5, "x": 0.25})
    mean = sign.mean()
    assert result.bias == pytest.approx({"z": mean, "y": -0.5 * mean, "x": 0.25 * mean})


def test_border_is_excluded_by_truth_only():
    # Diameter 10: the sphere touches the face at -0.5 where z = 4.5.
    truth = [[4.4, 30, 30], [4.6, 50, 50], [55, 30, 30]]
    # Beside the first (left of the line), over the line from the second, off the line from the third.
    prediction = [[5.0, 30, 30], [4.0, 50, 50], [54.0, 30, 30]]
    result = score(truth, prediction, diameter=10, shape=SHAPE)
    assert result.true_positive_mask.tolist() == [False, True, False]
    assert not result.false_positive_mask.any()
    assert not result.missed_mask.any()
    assert (result.precision, result.recall, result.ap) == (1, 1, 1)
    assert (result.ignored_truths, result.ignored_predictions) == (2, 2)


def test_unmatched_predictions_are_false_off_the_border_only():
    prediction = [[30, 30, 30], [4.6, 30, 30], [4.4, 30, 30], [-3, 30, 30], [30, 30, 74.6]]
    result = score([[30, 40, 50]], prediction, diameter=10, shape=SHAPE)
    assert result.false_positive_mask.tolist() == [True, True, False, False, False]
    assert result.ignored_predictions == 3
    assert result.false_negatives == 1


def test_distances_are_right_with_anisotropic_voxels():
    # z voxels twice as long as lateral ones: 3 of them are 6 lateral voxels, out of reach for a diameter of 10.
    truth = np.array([[30.0, 30, 30], [3, 30, 50]])
    prediction = truth + np.array([3, 0, 0])
    isotropic = score(truth, prediction, diameter=10, shape=SHAPE)
    anisotropic = score(truth, prediction, diameter=10, shape=SHAPE, voxel_size=(0.2, 0.1, 0.1))
    assert (isotropic.true_positives, isotropic.ignored_truths) == (1, 1)
    assert (anisotropic.true_positives, anisotropic.ignored_truths) == (0, 0)
    near = score(truth, truth + np.array([2, 0, 0]), diameter=10, shape=SHAPE, voxel_size=(0.2, 0.1, 0.1))
    assert near.rmse["z"] == pytest.approx(2)
    # They are 4 lateral voxels: 0.4 diameters.
    assert near.ap_at == {0.1: 0, 0.25: 0, 0.5: 1}


def test_voxel_size_is_taken_from_the_tables():
    truth = np.array([[30.0, 30, 30], [3, 30, 50]])
    tables = [particle_table(truth + np.array([shift, 0, 0]), voxel_size=(0.2, 0.1, 0.1)) for shift in (0, 3)]
    implied = score(*tables, diameter=10, shape=SHAPE)
    assert implied.true_positives == score(truth, tables[1], diameter=10, shape=SHAPE).true_positives == 0
    assert score(*tables, diameter=10, shape=SHAPE, voxel_size=(1, 1, 1)).true_positives == 1
    other = particle_table(truth, voxel_size=(0.3, 0.1, 0.1))
    with pytest.raises(ColloidsError, match="different aspect ratios"):
        score(other, tables[1], diameter=10, shape=SHAPE)
    # Only the aspect ratio matters: the same in other units.
    assert score(particle_table(truth, voxel_size=(200, 100, 100)), tables[0], diameter=10, shape=SHAPE).f1 == 1


def test_reach_can_be_chosen():
    truth = lattice()
    result = score(truth, truth + np.array([0, 0, 1.5]), diameter=8, shape=SHAPE, max_distance=1)
    assert (result.max_distance, result.recall, result.ap) == (1, 0, 0)
    assert result.ap_at[0.25] == pytest.approx(1)


def test_recall_against_depth():
    truth = lattice(spacing=8.0, shape=(100, 40, 40))
    found = truth[truth[:, 0] < 50]
    result = score(truth, found, diameter=8, shape=(100, 40, 40))
    assert result.depth_edges[[0, -1]].tolist() == [-0.5, 99.5]
    assert len(result.recall_by_depth) == len(result.depth_edges) - 1
    slab = np.digitize(truth[:, 0], result.depth_edges) - 1
    for index, recall in enumerate(result.recall_by_depth):
        z = truth[slab == index, 0]
        assert (np.isnan(recall) and not len(z)) or recall == np.mean(z < 50)


@pytest.mark.parametrize(
    ("truth", "prediction", "counts"),
    [([], [], (0, 0, 0)), ([[30, 30, 30]], [], (0, 0, 1)), ([], [[30, 30, 30]], (0, 1, 0))],
)
def test_empty_sets_have_a_score(truth, prediction, counts):
    result = score(truth, prediction, diameter=8, shape=SHAPE)
    assert (result.true_positives, result.false_positives, result.false_negatives) == counts
    assert (result.precision, result.recall, result.f1, result.ap, result.challenge_ap) == (0, 0, 0, 0, 0)
    assert all(math.isnan(value) for value in result.rmse.values())


def test_json_has_the_keys_other_programs_rely_on():
    truth = lattice()
    prediction = particle_table(truth + 0.5, confidence=0.9)
    result = score(truth, prediction, diameter=8, shape=SHAPE)
    figures = json.loads(result.to_json())
    for name in ("challenge_ap", "precision", "recall", "f1", "true_positives", "false_positives", "false_negatives"):
        assert figures[name] == getattr(result, name)
    assert figures["rmse"] == pytest.approx({"z": 0.5, "y": 0.5, "x": 0.5})
    assert figures["ap"] == figures["ap_at"]["0.5"] == pytest.approx(1)


def test_all_figures_are_in_the_json():
    truth, prediction = example()
    result = score(truth, prediction, diameter=8, shape=(40, 40, 40))
    figures = json.loads(result.to_json())
    assert figures.pop("ap_at") == {"0.1": result.ap_at[0.1], "0.25": result.ap_at[0.25], "0.5": result.ap_at[0.5]}
    assert figures.pop("depth_edges") == result.depth_edges.tolist()
    assert figures.pop("recall_by_depth") == [None, None, 1, None, None, None, None, 1 / 3, None, None]
    plain = [
        *("challenge_ap", "precision", "recall", "f1", "true_positives", "false_positives", "false_negatives"),
        *("rmse", "bias", "ap", "ignored_truths", "ignored_predictions", "diameter", "max_distance"),
    ]
    assert figures == {name: getattr(result, name) for name in plain}


def test_json_writes_undefined_as_null():
    figures = json.loads(score([], [], diameter=8, shape=SHAPE).to_json())
    assert figures["rmse"] == {"z": None, "y": None, "x": None}
    assert figures["recall_by_depth"] == [None] * 10
    assert figures["precision"] == 0


def test_repr_has_the_figures_and_no_arrays():
    truth = lattice()
    prediction = particle_table(np.concatenate([truth[20:] + 0.5, truth[:3] + 5]), confidence=0.9)
    result = score(truth, prediction, diameter=8, shape=SHAPE)
    text = repr(result)
    assert len(text.splitlines()) < 10
    assert max(map(len, text.splitlines())) <= 120
    assert "array" not in text
    for part in (f"recall = {result.recall:.3f}", "3 false positives", "20 false negatives", "z 0.5", "d = 8 px"):
        assert part in text
    assert "z nan" in repr(score([], [], diameter=8, shape=SHAPE))


def test_repr_by_hand():
    truth, prediction = example()
    assert repr(score(truth, prediction, diameter=8, shape=(40, 40, 40))) == (
        "Score(precision = 0.750, recall = 0.600, F1 = 0.667,\n"
        "      3 true positives, 1 false positives, 2 false negatives,\n"
        "      ignored at the border: 1 truths, 2 predictions,\n"
        "      average precision = 0.383; 0.100 at 0.1 d, 0.233 at 0.25 d, 0.383 at 0.5 d; of the challenge: 0.425,\n"
        "      RMSE (voxels): z 0, y 1.15, x 2.33; bias (voxels): z 0, y 0.667, x 1.5,\n"
        "      diameter d = 8 px, greatest distance of a match = 4 px)"
    )


def test_plot_has_the_curve_and_the_point_of_all_predictions():
    truth = lattice()
    prediction = particle_table(truth[20:], confidence=np.linspace(0.2, 0.9, len(truth) - 20))
    result = score(truth, prediction, diameter=8, shape=SHAPE)
    ax = result.plot()
    curve, point = ax.get_lines()
    np.testing.assert_array_equal(curve.get_xydata(), np.column_stack([result.curve.recall, result.curve.precision]))
    assert point.get_xydata().tolist() == [[result.recall, result.precision]]
    assert (point.get_marker(), point.get_linestyle()) == ("o", "None")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        f"AP = {result.ap:.3f}",
        f"all predictions, F1 = {result.f1:.3f}",
    ]
    given = Figure().add_subplot()
    assert result.plot(given) is given
    assert given.get_legend() is None


def test_twenty_thousand_particles_are_a_matter_of_seconds():
    rng = np.random.default_rng(0)
    shape = (350, 350, 350)
    truth = lattice(spacing=12.0, shape=shape)
    assert len(truth) > 20_000
    prediction = particle_table(truth + rng.normal(0, 1, truth.shape), confidence=rng.random(len(truth)))
    start = time.process_time()
    result = score(truth, prediction, diameter=12, shape=shape)
    # It takes less than a second.
    assert time.process_time() - start < 20
    assert result.f1 > 0.999
