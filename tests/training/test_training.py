"""Training: what is to be learned, how it is judged, and that a run can be repeated and resumed."""

from __future__ import annotations

import json
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.image import imread
from safetensors.torch import load_file
from scipy.special import expit

from napari_colloids import ColloidsError
from napari_colloids.detection.candidates import suppress_overlaps
from napari_colloids.detection.inference import decode
from napari_colloids.detection.network import CentreNet, Output
from napari_colloids.detection.tiles import Tile
from napari_colloids.detection.weights import network_from
from napari_colloids.training import train
from napari_colloids.training.calibration import fit
from napari_colloids.training.config import Config
from napari_colloids.training.domain import Domain
from napari_colloids.training.losses import detection_loss
from napari_colloids.training.optimiser import Optimiser
from napari_colloids.training.sample import SIZE
from napari_colloids.training.stage import Stage
from napari_colloids.training.targets import make_targets


def spheres(seed: int, count: int = 25) -> tuple[np.ndarray, np.ndarray]:
    """Draw centres that are at least 7 apart, and their radii."""
    rng = np.random.default_rng(seed)
    centres = [rng.uniform(2, 45, 3)]
    for candidate in rng.uniform(2, 45, (400, 3)):
        if len(centres) < count and min(np.linalg.norm(candidate - c) for c in centres) > 9:
            centres.append(candidate)
    return np.array(centres), rng.uniform(3.5, 4.5, len(centres))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_network_that_says_what_the_targets_say_finds_the_truth(seed):
    centres, radii = spheres(seed)
    targets = make_targets(centres, radii, (48, 48, 48))
    heat = np.clip(targets.heat, 1e-4, 1 - 1e-4)
    perfect = Output(
        torch.from_numpy(np.log(heat / (1 - heat)))[None],
        torch.from_numpy(targets.offset)[None],
        torch.from_numpy(targets.log_radius)[None],
    )
    corner = (0, 0, 0), (48, 48, 48)
    found = suppress_overlaps(decode(perfect, torch.sigmoid(perfect.centre), Tile(*corner, *corner), 0.5))
    assert len(found) == len(centres)
    order, reference = np.lexsort(found.positions.T), np.lexsort(centres.T)
    np.testing.assert_allclose(found.positions[order], centres[reference], atol=1e-4)
    np.testing.assert_allclose(found.radii[order], radii[reference], rtol=1e-4)


def test_the_loss_is_least_at_the_truth():
    centres, radii = spheres(1)
    targets = [torch.from_numpy(part)[None] for part in make_targets(centres, radii, (48, 48, 48))]
    heat, offset, log_radius, _near = targets
    sure = torch.where(heat == 1, 8.0, -8.0)
    at_truth = detection_loss(Output(sure, offset, log_radius), *targets)
    assert at_truth["offset"] == at_truth["radius"] == 0
    assert at_truth["total"] < 0.01
    for worse in (
        Output(torch.full_like(sure, -4.0), offset, log_radius),
        Output(torch.full_like(sure, 4.0), offset, log_radius),
        Output(sure, offset + 0.3, log_radius),
        Output(sure, offset, log_radius - 0.2),
    ):
        assert detection_loss(worse, *targets)["total"] > at_truth["total"] + 0.1


def test_faint_particles_may_be_found_or_not_but_no_others():
    centres, radii = spheres(2)
    faint = np.arange(len(centres)) % 3 == 0
    targets = make_targets(centres, radii, (48, 48, 48), optional=faint)
    asked_for = make_targets(centres[~faint], radii[~faint], (48, 48, 48))
    np.testing.assert_array_equal(targets.heat == 1, asked_for.heat == 1)
    np.testing.assert_array_equal(targets.near, asked_for.near)
    tensors = [torch.from_numpy(part)[None] for part in targets]
    heat, offset, log_radius, _near = tensors

    def loss(centre):
        return float(detection_loss(Output(centre, offset, log_radius), *tensors)["centre"])

    sure = torch.where(heat == 1, 8.0, -8.0)
    faint_home = tuple(np.rint((centres[faint] - 0.5) / 2).astype(int).T)
    found = sure.clone()
    found[0][faint_home] = 8.0
    assert loss(found) == pytest.approx(loss(sure), abs=1e-3)
    missed = sure.clone()
    missed[0][tuple(np.rint((centres[~faint] - 0.5) / 2).astype(int).T)] = -8.0
    assert loss(missed) > loss(sure) + 1


@pytest.fixture(scope="module")
def domain():
    """Packings take seconds; scenes follow from them and their number alone."""
    return Domain(seed=5, packings=20)


def test_scenes_are_reproducible_varied_and_have_their_truth_where_the_light_is(domain):
    again = Domain(seed=5, packings=20)
    counts = []
    brighter = []
    for number in range(12):
        sample = domain.sample(number, Stage())
        assert sample.image.shape == (1, SIZE, SIZE, SIZE)
        assert np.isfinite(sample.image).all()
        np.testing.assert_array_equal(sample.image, again.sample(number, Stage()).image)
        centres = sample.targets.heat == 1
        counts.append(int(centres.sum()))
        if counts[-1]:
            folded = sample.image[0].reshape(SIZE // 2, 2, SIZE // 2, 2, SIZE // 2, 2).mean(axis=(1, 3, 5))
            brighter.append(folded[centres].mean() - folded.mean())
    assert len(set(counts)) > 6
    assert np.mean(brighter) > 0.1
    assert not np.array_equal(domain.sample(0, Stage()).image, Domain(seed=6, packings=2).sample(0, Stage()).image)


@pytest.fixture
def config(tmp_path):
    """Write a configuration of a tiny run and return a function that does."""

    def write(steps: int, output: str, averaged: int = 1):
        path = tmp_path / f"{output}.toml"
        path.write_text(
            f'output = "{output}"\npackings = 2\nbatch = 1\nchannels = [4, 4, 4]\nworkers = 0\n'
            'warmup = 1\ncalibration_scenes = 2\ncheckpoint_seconds = 0\ndevice = "cpu"\n'
            f"averaged_stages = {averaged}\n"
            f"[[stages]]\nsteps = {steps - 1}\n[[stages]]\nsteps = 1\nlearning_rate = 1e-3\nnano = 1.0\n"
        )
        return path

    return write


def test_a_run_writes_weights_that_load(config):
    weights = train(config(2, "run"))
    network = network_from(weights.read_bytes())
    assert network.channels == (4, 4, 4)
    log = [json.loads(line) for line in (weights.parent / "log.jsonl").read_text().splitlines()]
    assert log[-1]["step"] == 2
    assert imread(weights.parent / "curves.png").ndim == 3
    assert log[-1]["total"] > 0


def test_a_processor_without_bfloat16_does_not_emulate_it(config, monkeypatch):
    for question in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, question, lambda: False, raising=False)
    kinds = set()
    hook = torch.nn.modules.module.register_module_forward_hook(lambda _module, _given, out: kinds.add(out[0].dtype))
    try:
        train(config(2, "plain"))
    finally:
        hook.remove()
    assert kinds == {torch.float32}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("batch = 0", "batch must lie between 1 and 10000, not 0"),
        ("batch = 2.5", "batch must be a whole number"),
        ('average = "much"', "average must be a number"),
        ("calibration_scenes = 0", "calibration_scenes must lie"),
        ("channels = [8, 8]", "channels must be 3 whole numbers"),
        ("channels = 8", "channels must be a list"),
        ("stages = []", "at least one stage"),
        ("averaged_stages = 2", "averaged_stages must be at most the number of stages, 1"),
        ("[[stages]]\nsteps = 0", "steps must lie between 1"),
        ("[[stages]]\nnano = 3", "nano must lie between 0 and 1"),
        ("[[stages]]\nshells = -1", "shells must lie between 0 and 1"),
        ('device = "tpu"', "There is no device 'tpu'"),
        ("[[stages]]\nmixtures = 0.8\nsolid_strings = 0.3", "at most 1 together"),
    ],
)
def test_settings_that_make_no_sense_are_one_clear_line(tmp_path, line, words):
    path = tmp_path / "wrong.toml"
    path.write_text(f"{line}\n")
    with pytest.raises(ColloidsError, match=words):
        train(path)


def test_a_checkpoint_that_cannot_be_gone_on_with_is_said(config):
    checkpoint = train(config(3, "done")).with_name("checkpoint.safetensors")
    with pytest.raises(ColloidsError, match="has 3 steps, more than the 2"):
        train(config(2, "done"), resume=True)
    path = config(4, "done")
    path.write_text(path.read_text().replace("[4, 4, 4]", "[4, 4, 8]"))
    with pytest.raises(ColloidsError, match="other channels"):
        train(path, resume=True)
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    with pytest.raises(ColloidsError, match="damaged"):
        train(config(4, "done"), resume=True)


def test_a_run_that_begins_anew_begins_its_log_anew(config):
    train(config(3, "again"))
    log = train(config(2, "again")).parent / "log.jsonl"
    assert [json.loads(line)["step"] for line in log.read_text().splitlines()] == [2]


def test_the_ends_of_stages_are_averaged(config):
    path = config(3, "ends", averaged=2)
    both = load_file(train(path))
    checkpoint = load_file(path.with_name("ends") / "checkpoint.safetensors")
    path.write_text(path.read_text().replace("averaged_stages = 2", ""))
    last = load_file(train(path, resume=True))
    for name in set(last) - {"calibration"}:
        first, second = checkpoint[f"ends.2.{name}"], checkpoint[f"ends.3.{name}"]
        torch.testing.assert_close(last[name], second, rtol=0, atol=0)
        torch.testing.assert_close(both[name], (first + second) / 2)
    assert any(not torch.equal(both[name], last[name]) for name in set(last) - {"calibration"})


def test_an_end_that_a_checkpoint_does_not_know_is_said(config):
    train(config(3, "short"))
    path = config(6, "short", averaged=2)
    path.write_text(path.read_text().replace("steps = 5", "steps = 1"))
    with pytest.raises(ColloidsError, match=r"weights of step 1, .* Start anew"):
        train(path, resume=True)


def test_resuming_is_like_never_having_stopped(config, monkeypatch):
    whole = train(config(6, "whole", averaged=2))
    import napari_colloids.training.loop as loop

    batches = loop._batches

    def three_and_then_a_key(*given):
        yield from (batch for batch, _ in zip(batches(*given), range(3), strict=False))
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "_batches", three_and_then_a_key)
    path = config(6, "parts", averaged=2)
    with pytest.raises(KeyboardInterrupt):
        train(path)
    monkeypatch.undo()
    resumed = train(path, resume=True)
    for name in ("weights.safetensors", "checkpoint.safetensors"):
        first, second = (load_file(weights.with_name(name)) for weights in (whole, resumed))
        assert first.keys() == second.keys()
        for key, value in first.items():
            torch.testing.assert_close(second[key], value, rtol=0, atol=0, msg=key)
    # A log's line is the mean of the steps since the last one, or since the run went on.
    losses = [json.loads((p.parent / "log.jsonl").read_text().splitlines()[-1])["total"] for p in (whole, resumed)]
    assert losses[1] == pytest.approx(losses[0], rel=0.5)


def test_an_update_of_a_kernel_is_orthogonal_and_nothing_stands_still():
    network = CentreNet((8, 12, 16)).to(memory_format=torch.channels_last_3d)
    before = {name: value.clone() for name, value in network.named_parameters()}
    optimiser = Optimiser(network, weight_decay=0.0)
    generator = torch.Generator().manual_seed(0)
    for value in network.parameters():  # some rows of the gradient are a thousand times as large as others
        value.grad = torch.randn(value.shape, generator=generator)
        if value.ndim:
            value.grad *= torch.logspace(-3, 0, len(value)).reshape(-1, *[1] * (value.ndim - 1))
    optimiser.learning_rate.fill_(0.01)
    optimiser.step()
    moved = {name: (value - before[name]).detach() for name, value in network.named_parameters()}
    assert all((change.abs() > 1e-6).any() for change in moved.values())
    # All directions are learnt alike, and as far as AdamW would: by about a fifth of the learning rate per weight.
    kernel = moved["bottom.first.weight"].flatten(1)
    strengths = torch.linalg.svdvals(kernel)
    assert strengths[0] < 4 * strengths[-1]
    assert float(kernel.square().mean().sqrt()) == pytest.approx(0.002, rel=0.3)


def test_the_learning_rate_falls_within_a_stage_and_begins_anew(config):
    chosen = Config.read(config(1001, "stages"))
    rates = [chosen.learning_rate_at(step) for step in range(chosen.steps)]
    assert len(rates) == 1001
    assert rates[0] == pytest.approx(2e-3)
    assert all(later < earlier for earlier, later in pairwise(rates[:1000]))
    assert rates[999] == pytest.approx(2e-5, rel=0.01)
    assert rates[1000] == pytest.approx(1e-3)


def test_a_share_of_the_scenes_is_nano_colloids(domain):
    images = {nano: [domain.sample(number, Stage(nano=nano)).image for number in range(14)] for nano in (0.0, 0.3, 1.0)}
    other = [np.array_equal(a, b) for a, b in zip(images[0.3], images[0.0], strict=True)]
    same = [np.array_equal(a, b) for a, b in zip(images[0.3], images[1.0], strict=True)]
    assert all(a != b for a, b in zip(other, same, strict=True))
    assert 1 <= sum(same) <= 9


def test_a_share_of_the_scenes_has_dark_cores(domain):
    images = {
        share: [domain.sample(number, Stage(shells=share)).image for number in range(12)] for share in (0.0, 0.4, 1.0)
    }
    solid = [np.array_equal(a, b) for a, b in zip(images[0.4], images[0.0], strict=True)]
    dark = [np.array_equal(a, b) for a, b in zip(images[0.4], images[1.0], strict=True)]
    assert all(a or b for a, b in zip(solid, dark, strict=True))
    alike = sum(a and b for a, b in zip(solid, dark, strict=True))  # strings, which always have, and empty scenes
    assert alike <= 6
    assert 1 <= sum(dark) - alike <= 9


@pytest.mark.parametrize("kind", ["mixtures", "solid_strings"])
def test_a_share_of_the_scenes_is_of_a_kind_that_is_rare_otherwise(domain, kind):
    scenes = {
        share: [domain.sample(number, Stage(shells=0, **{kind: share})) for number in range(12)]
        for share in (0.3, 0.6, 1.0)
    }
    chosen = [np.array_equal(a.image, b.image) for a, b in zip(scenes[0.3], scenes[1.0], strict=True)]
    often = [np.array_equal(a.image, b.image) for a, b in zip(scenes[0.6], scenes[1.0], strict=True)]
    assert 1 <= sum(chosen) <= 7
    assert 4 <= sum(often) <= 11
    assert all(b for a, b in zip(chosen, often, strict=True) if a)


def test_mixtures_have_large_particles_among_small_ones(domain):
    mixtures = domain.arrangements["mixture"]
    largest = [mixture.radii.max() / mixture.radii.min() for mixture in mixtures]
    shares = [np.mean(mixture.radii > np.sqrt(mixture.radii.min() * mixture.radii.max())) for mixture in mixtures]
    assert min(largest) > 1.3
    assert max(largest) > 2.3
    assert min(shares) < 0.1
    assert max(shares) > 0.2


def test_calibration_makes_probabilities_of_confidences():
    rng = np.random.default_rng(0)
    raw = expit(rng.normal(0, 3, 40_000))
    hits = rng.random(len(raw)) < expit(0.5 * np.log(raw) - 2 * np.log1p(-raw) - 1)
    assert fit(raw, hits) == pytest.approx((0.5, 2, -1), abs=0.1)


def test_calibration_never_changes_the_order_of_detections():
    rng = np.random.default_rng(1)
    raw = rng.random(500)
    true, false, _ = fit(raw, rng.random(500) < 1 - raw)
    assert min(true, false) >= 0


def test_the_network_uses_the_calibration_that_was_fitted():
    network, centre = CentreNet(), torch.linspace(-6, 6, 25)
    output = Output(centre, torch.zeros(0), torch.zeros(0))
    assert torch.allclose(network.confidence(output), torch.sigmoid(centre))
    network.calibration.copy_(torch.tensor([0.5, 2.0, -1.0]))
    raw = torch.sigmoid(centre)
    expected = 1 / (1 + np.e * (1 - raw) ** 2 / raw**0.5)
    assert torch.allclose(network.confidence(output), expected, atol=1e-5)


def test_the_bundled_recipe_can_be_read():
    recipe = Config.read(Path(str(files("napari_colloids.training").joinpath("bundled.toml"))))
    assert recipe.steps == 74_000
    assert [stage.nano for stage in recipe.stages] == [0.25, 0.4, 0.5, 0.5, 0.45, 0.45]
    assert [stage.shells for stage in recipe.stages] == [0.15, 0.15, 0.15, 0.15, 0.35, 0.3]
    assert [stage.mixtures for stage in recipe.stages] == [0, 0, 0, 0, 0, 0.2]


def test_wrong_configurations_are_refused(tmp_path, config):
    with pytest.raises(ColloidsError, match="cannot be read"):
        train(tmp_path / "none.toml")
    unknown = tmp_path / "unknown.toml"
    for text in ("colour = 1\n", "[[stages]]\ncolour = 1\n"):
        unknown.write_text(text)
        with pytest.raises(ColloidsError, match="colour"):
            train(unknown)
    with pytest.raises(ColloidsError, match="resume"):
        train(config(2, "nothing"), resume=True)
