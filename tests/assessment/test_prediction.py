"""What is predicted without the truth is what the truth says, and what a model does not describe is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import shift

import napari_colloids as nc
from napari_colloids.assessment import iter_assess, twin_set
from napari_colloids.assessment.report import report
from napari_colloids.benchmark.microscope import Scene, make_volume
from napari_colloids.progress import Progress

DIAMETER = 8.0


@pytest.fixture(scope="module")
def volume():
    """Of the second simulator, so dim that some particles are missed."""
    return make_volume(Scene((36, 48, 48), 4.0, 0.45, psf=(4.0, 1.2), snr=3.0, cnr=2.4, brightness_spread=0.35), 4)


@pytest.fixture(scope="module")
def assessment(volume):
    return nc.assess(volume.stack, diameter=DIAMETER, device="cpu", twins=2)


def test_precision_recall_and_errors_are_those_against_the_truth(volume, assessment):
    found = nc.detect(volume.stack, diameter=DIAMETER, device="cpu")
    truth = nc.score(volume.positions, found, diameter=DIAMETER, shape=volume.image.shape)
    predicted = assessment.prediction
    assert assessment.describes, assessment.reasons
    assert 0.5 < truth.recall < 0.97  # or there would be nothing to predict
    assert predicted.precision.value == pytest.approx(truth.precision, abs=0.05)
    assert predicted.recall.value == pytest.approx(truth.recall, abs=0.08)
    assert predicted.recall.low < truth.recall < predicted.recall.high
    for axis in "zyx":
        assert predicted.rmse[axis] == pytest.approx(truth.rmse[axis], rel=0.3)


def test_contact_edge_tells_localisation_errors_of_the_same_size(assessment):
    edge, rmse = assessment.checks.edge_errors, assessment.prediction.rmse
    assert 0.3 < edge["z"] / rmse["z"] < 2
    assert edge["lateral"] < 2 * rmse["x"]
    assert edge["lateral"] < edge["z"]


def test_checks_beside_the_twins_agree_with_these(assessment):
    checks, predicted = assessment.checks, assessment.prediction
    assert checks.injection.recall.low < predicted.recall.high
    assert checks.injection.recall.high > predicted.recall.low
    assert checks.thinning.recall_bound.high >= predicted.recall.low
    assert checks.thinning.rmse["z"] < 1.25 * predicted.rmse["z"]
    assert set(checks.words()) == {"Contact edge of g(r)", "Injection and recovery", "Data thinning"}
    for words in checks.words().values():
        assert words in report(assessment, "stack")
    figures = assessment.as_dict()
    assert figures["injection"]["recall"]["value"] == checks.injection.recall.value
    assert figures["thinning"]["recall_at_most"] == checks.thinning.recall_bound.high


def test_the_image_is_measured(volume, assessment):
    quality, scene = assessment.quality, volume.scene
    assert quality.diameter == pytest.approx(DIAMETER, rel=0.05)
    # The simulator blurs by half a voxel more.
    assert quality.psf_sigma == pytest.approx(np.hypot(scene.psf, 0.5), rel=0.2)
    assert quality.snr == pytest.approx(scene.snr, rel=0.2)
    # No gap is dark where the blur along z is as long as a radius: the background comes out too bright.
    assert 0.6 * scene.cnr < quality.cnr < 1.1 * scene.cnr
    actual = float((4 / 3 * np.pi * volume.radii**3).sum()) / volume.image.size
    assert quality.volume_fraction.value == pytest.approx(actual, abs=0.05)
    assert quality.slice_jitter < 1
    assert "noisy" in quality.verdicts()["SNR"]


def test_threshold_for_a_precision_is_the_lowest_from_which_on_it_is_reached(assessment):
    predicted, threshold = assessment.prediction, assessment.threshold_for_95
    assert (predicted.precision_at[predicted.thresholds >= threshold] >= 0.95).all()
    lower = predicted.thresholds < threshold
    assert lower.sum() == 0 or predicted.precision_at[lower][-1] < 0.95
    assert predicted.threshold_for(1.01) is None
    assert (np.diff(predicted.recall_at) <= 0).all()


def test_json_has_what_other_programs_read(assessment):
    figures = assessment.as_dict()
    assert set(figures["precision"]) == {"value", "low", "high"} == set(figures["volume_fraction"])
    assert set(figures["rmse"]) == set("zyx")
    assert set(figures["psf_sigma"]) == {"z", "lateral"}
    assert figures["describes"] is True
    assert {"diameter", "snr", "cnr", "threshold", "threshold_for_95", "reasons"} <= set(figures)


def test_slices_that_are_shaken_are_refused_without_figures(volume):
    rng = np.random.default_rng(0)
    slices = volume.image[:, :40, :40].astype(float)
    shaken = [shift(image, rng.normal(0, 1.2, 2), order=1, mode="nearest") for image in slices]
    refused = nc.assess(np.array(shaken).astype(np.uint8), diameter=DIAMETER, device="cpu", twins=2)
    assert not refused.describes
    assert any("slices are shifted" in reason for reason in refused.reasons)
    figures = refused.as_dict()
    assert figures["precision"] is figures["recall"] is figures["rmse"] is figures["threshold_for_95"] is None
    assert "no prediction" in repr(refused)
    with pytest.raises(nc.ColloidsError, match="no prediction"):
        refused.plot()
    page = report(refused, "shaken")
    assert "slices are shifted" in page
    assert "precision</td>" not in page


def test_noise_is_refused_at_once():
    noise = np.random.default_rng(0).normal(100, 20, (32, 48, 48)).astype(np.uint8)
    refused = nc.assess(noise, diameter=DIAMETER, device="cpu")
    assert refused.reasons == ("only 0 particles were found in the part that is assessed",)
    assert refused.quality is None
    assert "only 0 particles" in report(refused, "noise")


def test_page_is_self_contained_and_its_title_is_text(assessment):
    page = report(assessment, "<b>stack</b>.tif")
    assert "<b>stack" not in page
    assert "&lt;b&gt;stack" in page
    assert page.count('src="data:image/png;base64,') == 2
    assert "http" not in page
    assert "voxels 1 x 1 x 1 µm" in page
    assert f"{assessment.prediction.recall.value:.3f}" in page


def test_plot_shows_threshold_precision_and_recall(assessment):
    ax = assessment.plot()
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["precision", "recall", "threshold"]


@pytest.mark.parametrize("twins", [1, 2.5, "6"])
def test_a_wrong_number_of_twins_is_refused(volume, twins):
    with pytest.raises(nc.ColloidsError, match="twins must"):
        nc.assess(volume.stack, diameter=DIAMETER, twins=twins)


def test_an_image_without_contrast_is_refused():
    with pytest.raises(nc.ColloidsError, match=r"same grey|constant"):
        nc.assess(np.full((20, 40, 40), 7, np.uint8), diameter=DIAMETER)


def test_progress_rises_to_the_number_of_stacks_and_closing_cancels(volume):
    steps = iter_assess(volume.stack, nc.Options(diameter=DIAMETER, device="cpu"), twins=2)
    seen = [next(steps) for _ in range(8)]
    assert all(isinstance(step, Progress) and step.total == 9 for step in seen)
    assert [step.done for step in seen] == sorted(step.done for step in seen)
    steps.close()
    with pytest.raises(StopIteration):
        next(steps)


def test_a_twin_is_kept_also_where_hardly_anything_is_found_in_any(monkeypatch):
    monkeypatch.setattr(twin_set, "is_lost", lambda *_: True)
    small = nc.simulate(shape=(26, 34, 34), volume_fraction=0.4, radius=4, psf_sigma=(2, 1, 1), seed=1).stack
    refused = nc.assess(small, diameter=DIAMETER, device="cpu", twins=2)
    assert refused.reasons == ("in most stacks that are simulated like this one far fewer particles are found",)
    assert not refused.describes
    assert refused.twin.parameters.radius == pytest.approx(DIAMETER / 2, rel=0.05)
    assert "far fewer particles" in report(refused, "lost")
