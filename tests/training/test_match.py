"""A fine-tuning on the twin of a stack: from the stack to weights, and what they have gained."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import napari_colloids as nc
from napari_colloids import ColloidsError
from napari_colloids.detection.weights import bundled_network
from napari_colloids.training import Accuracy, MatchedTraining, Tuning, loop, match, train_matched

OPTIONS = nc.Options(diameter=8, device="cpu")
TUNING = Tuning(steps=3, packings=2, held_out=1, calibration_scenes=6, workers=0, checkpoint_seconds=0)


@pytest.fixture(scope="module")
def stack():
    return nc.simulate(
        shape=(26, 34, 34), volume_fraction=0.4, radius=4, psf_sigma=(2, 1, 1), snr=5, cnr=4, seed=1
    ).stack


@pytest.fixture(scope="module")
def stopped_and_resumed(stack, packed_once, tmp_path_factory):
    """A run that was stopped after its first step and gone on with: its folder and result."""
    folder = tmp_path_factory.mktemp("matched")
    batches = loop._batches

    def one_and_then_a_key(*given):
        yield next(batches(*given))
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(match, "Domain", packed_once)
        with pytest.MonkeyPatch.context() as stopping:
            stopping.setattr(loop, "_batches", one_and_then_a_key)
            with pytest.raises(KeyboardInterrupt):
                train_matched(stack, folder, OPTIONS, TUNING)
        return folder, train_matched(stack, folder, OPTIONS, TUNING, resume=True)


def test_weights_are_changed_and_found_with(stack, stopped_and_resumed):
    folder, result = stopped_and_resumed
    assert result.weights == folder / "weights.safetensors"
    bundled, tuned = bundled_network().state_dict(), load_file(result.weights)
    assert bundled.keys() == tuned.keys()
    kernels = bundled.keys() - {"calibration"}
    assert 0 < max(float((tuned[name] - bundled[name]).abs().max()) for name in kernels) < 0.1
    found = nc.detect(stack, OPTIONS, weights=str(result.weights))
    assert len(found) > 30


def test_the_twin_is_like_the_stack_and_says_before_and_after(stopped_and_resumed):
    folder, result = stopped_and_resumed
    assert result.twin.radius == pytest.approx(4, rel=0.1)
    assert result.twin.volume_fraction == pytest.approx(0.4, abs=0.06)
    assert min(result.before.f1, result.after.f1) > 0.9
    figures = json.loads((folder / "gain.json").read_text())
    assert figures["before"]["f1"] == result.before.f1
    assert figures["after"]["rmse"] == result.after.rmse
    assert figures["verdict"] == result.verdict


def test_resuming_is_like_never_having_stopped(stopped_and_resumed, tmp_path, packed_once, monkeypatch):
    folder, result = stopped_and_resumed
    monkeypatch.setattr(match, "Domain", packed_once)
    kept = match._Match.read(folder)
    whole = match._trained(bundled_network(), kept, TUNING, OPTIONS, tmp_path, resume=False)
    first, second = load_file(whole), load_file(result.weights)
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=0, atol=0, msg=name)


def test_what_was_begun_otherwise_is_not_gone_on_with(stack, stopped_and_resumed, tmp_path):
    folder, _ = stopped_and_resumed
    with pytest.raises(ColloidsError, match=r"general = 0.2, which is now 0.5: set it back, or start anew"):
        train_matched(stack, folder, OPTIONS, Tuning(general=0.5, held_out=1), resume=True)
    with pytest.raises(ColloidsError, match="diameter = 8, which is now 9"):
        train_matched(stack, folder, nc.Options(diameter=9), TUNING, resume=True)
    with pytest.raises(ColloidsError, match=r"no training on a twin in .* to resume"):
        train_matched(stack, tmp_path, OPTIONS, TUNING, resume=True)


def test_a_stack_without_a_twin_is_refused_with_the_reason(tmp_path):
    noise = np.random.default_rng(0).normal(100, 20, (24, 40, 40)).astype(np.uint8)
    with pytest.raises(ColloidsError, match=r"No twin of .* nothing to train on: only 0 particles"):
        train_matched(noise, tmp_path / "run", OPTIONS, TUNING)
    assert not (tmp_path / "run").exists()


def test_other_methods_have_nothing_to_train(stack, tmp_path):
    with pytest.raises(ColloidsError, match="Only the network can be trained, not log"):
        train_matched(stack, tmp_path, nc.Options(method="log"))


def test_the_verdict_is_plain(stack, tmp_path):
    def result(before, after):
        accuracies = [Accuracy(f1, f1, f1, {"z": 1.0}) for f1 in (before, after)]
        return MatchedTraining(tmp_path, *accuracies, nc.Parameters())

    assert "worse" in result(0.9, 0.8).verdict
    assert "better" in result(0.8, 0.9).verdict
    assert "same" in result(0.9, 0.901).verdict


def test_particles_of_several_twins_count_together():
    truth = np.array([[5.0, 5, 5], [5, 5, 15], [5, 15, 5], [5, 15, 15]])
    shape = (11, 21, 21)
    half = nc.score(truth, truth[:2] + np.array([1.0, 0, 0]), diameter=6, shape=shape)
    false = nc.score(truth, np.vstack([truth, [[5, 10, 10]]]), diameter=6, shape=shape)
    nothing = nc.score(truth, np.empty((0, 3)), diameter=6, shape=shape)
    both = Accuracy.of([half, false, nothing])
    assert both.precision == pytest.approx(6 / 7)
    assert both.recall == pytest.approx(6 / 12)
    assert both.f1 == pytest.approx(12 / 19)
    assert both.rmse["z"] == pytest.approx(math.sqrt(2 / 6))
    assert math.isnan(Accuracy.of([nothing]).rmse["z"])
