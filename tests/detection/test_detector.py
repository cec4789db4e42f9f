"""`detect` as a user calls it, with the bundled weights."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from napari_colloids import ColloidsError
from napari_colloids.detection import FLOOR, Options, Region, detect, iter_detect
from napari_colloids.detection.slabs import SlabNetwork
from napari_colloids.particles import positions_of
from napari_colloids.scoring import match, score
from napari_colloids.simulation import simulate
from napari_colloids.stack import Stack


@pytest.fixture(scope="module")
def usual(dense):
    """What is found in the dense stack, to compare with; not to be changed."""
    return detect(dense.stack, diameter=12)


def test_a_dense_stack(dense, usual):
    result = score(dense.particles, usual, diameter=12, shape=dense.stack.shape)
    assert result.precision > 0.99
    assert result.recall > 0.99
    assert max(result.rmse.values()) < 0.5
    assert usual["radius"].median() == pytest.approx(6, rel=0.06)
    assert usual["confidence"].between(usual.attrs["threshold"], 1).all()
    assert usual.attrs["diameter"] == 12
    assert not usual.attrs["diameter_estimated"]


@pytest.mark.parametrize("method", ["trackpy", "log"])
def test_the_reference_methods_find_most(dense, method):
    found = detect(dense.stack, diameter=12, method=method)
    result = score(dense.particles, found, diameter=12, shape=dense.stack.shape)
    assert result.f1 > 0.9


@pytest.fixture(scope="module")
def whole(dense):
    """The same in one tile."""
    return detect(dense.stack, diameter=12, tile=10_000)


@pytest.mark.parametrize("tile", [48, 96])
def test_tiles_change_nothing(dense, whole, tile):
    tiled = detect(dense.stack, diameter=12, tile=tile)
    assert len(whole) == len(tiled)
    np.testing.assert_allclose(positions_of(tiled), positions_of(whole), atol=0.05)
    np.testing.assert_allclose(tiled["confidence"], whole["confidence"], atol=0.01)


@pytest.mark.parametrize("tile", [64, None])
def test_the_mirror_image_of_a_stack_has_the_mirror_image_of_its_particles(dense, tile):
    rounding = 0.02  # of 16 bits
    image = np.asarray(dense.stack.data)[:, :, :61]  # of which the tiles are cut along z and y
    shape = np.array(image.shape)
    found = positions_of(detect(image, diameter=11.3, tile=tile))
    mirrored = positions_of(detect(image[::-1, ::-1, ::-1], diameter=11.3, tile=tile))
    mirrored = shape - 1 - mirrored
    pairs = match(found, mirrored, max_distance=6)
    assert len(pairs.distance) > 180
    assert np.quantile(pairs.distance, 0.99) < rounding
    assert pairs.distance.max() < 0.1  # of two cells that are equally certain in 16 bits the first one counts
    alone = np.delete(found, pairs.truth_index, 0), np.delete(mirrored, pairs.prediction_index, 0)
    from_face = np.abs(np.abs(np.concatenate(alone) - (shape - 1) / 2) - shape / 2)
    assert np.all(from_face.min(axis=1) < rounding)  # a centre on a face itself may be in or out


def test_in_32_bits_the_mirror_image_has_the_same_particles(dense, monkeypatch):
    for question in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, question, lambda: False, raising=False)
    shape = np.array(dense.stack.shape)
    found = detect(dense.stack, diameter=11.3, device="cpu")
    mirrored = detect(dense.stack.data[::-1, ::-1, ::-1], diameter=11.3, device="cpu")
    pairs = match(found, shape - 1 - positions_of(mirrored), max_distance=6)
    assert len(pairs.distance) == len(found) == len(mirrored)
    assert pairs.distance.max() < 1e-4


@pytest.fixture(scope="module")
def corner(dense):
    """A part of the dense stack, and what is found there."""
    image = np.asarray(dense.stack.data)[:47, :51, :49]
    return image, detect(image, diameter=12)


@pytest.mark.parametrize("tile", [None, 32])
def test_progress_goes_on_within_a_tile(corner, tile):
    steps = [step for step in iter_detect(corner[0], Options(diameter=12, tile=tile)) if step.message == "detecting"]
    done, total, _ = zip(*steps, strict=True)
    assert len(set(total)) == 1
    assert done[0] == 0
    assert done[-1] == total[0]
    assert all(0 <= later - before <= 0.4 * total[0] for before, later in pairwise(done))


def test_a_search_is_stopped_within_a_tile(dense, monkeypatch):
    heads = []
    steps = iter_detect(dense.stack, Options(diameter=12))
    while next(steps).message != "detecting":  # the diameter is checked on a part
        pass
    monkeypatch.setattr(SlabNetwork, "_headed", lambda *arguments: heads.append(arguments))
    for step in steps:
        if step.done > 0:
            steps.close()
    assert not heads
    assert not torch.is_inference_mode_enabled()


def test_closing_the_generator_cancels(dense):
    steps = iter_detect(dense.stack, Options(diameter=12, tile=48))
    next(steps)
    next(steps)
    steps.close()
    with pytest.raises(StopIteration):
        next(steps)


@pytest.mark.parametrize("dtype", [np.uint8, ">u2", np.int32, np.float32, np.float64])
def test_any_number_type_gives_the_same(corner, dtype):
    image, expected = corner
    found = detect(image.astype(dtype), diameter=12)
    assert len(found) > 50
    np.testing.assert_allclose(positions_of(found), positions_of(expected), atol=1e-3)


def test_tall_voxels_and_micrometres():
    simulation = simulate(
        shape=(40, 80, 80), volume_fraction=0.4, radius=7, voxel_aspect=2.0, voxel_size=0.1, snr=8, cnr=7, seed=5
    )
    found = detect(simulation.stack, diameter_um=1.4)
    assert found.attrs["diameter"] == pytest.approx(14)
    result = score(
        simulation.particles, found, diameter=14, shape=simulation.stack.shape, voxel_size=simulation.stack.voxel_size
    )
    assert result.f1 > 0.97
    np.testing.assert_allclose(found["z_um"], found["z"] * 0.2)
    np.testing.assert_allclose(found["radius_um"], found["radius"] * 0.1)


@pytest.fixture(scope="module")
def large():
    """Particles large enough to be seen in every third row."""
    return simulate(shape=(60, 60, 90), volume_fraction=0.45, radius=7, psf_sigma=(2, 1.2, 1.2), seed=1)


@pytest.mark.parametrize("method", ["network", "trackpy", "log"])
@pytest.mark.parametrize("axis", [1, 2])
def test_pixels_that_are_not_square(large, axis, method):
    every, size, truth = [slice(None)] * 3, [0.1] * 3, positions_of(large.particles).copy()
    every[axis], size[axis], truth[:, axis] = slice(None, None, 3), 0.3, truth[:, axis] / 3
    stack = Stack(large.stack.data[tuple(every)], voxel_size=tuple(size))
    found = detect(stack, diameter_um=1.4, method=method)
    result = score(truth, found, diameter=1.4 / size[2], shape=stack.shape, voxel_size=size)
    assert result.f1 > (0.97 if method == "network" else 0.9)
    assert found["radius_um"].median() == pytest.approx(0.7, rel=0.05)
    with pytest.raises(ColloidsError, match="as long along y as along x"):
        detect(stack, diameter_um=1.4, method=method, refine=True)


def test_a_range_of_slices_and_a_border(dense, usual):
    some = detect(dense.stack, diameter=12, region=Region(z_range=(20, 50)))
    assert some["z"].between(19.5, 49.5).all()
    expected = usual[usual["z"].between(21, 48)]
    near = np.linalg.norm(positions_of(expected)[:, None] - positions_of(some)[None], axis=-1).min(axis=1)
    assert (near < 1).mean() > 0.98
    inner = detect(dense.stack, diameter=12, border=6)
    assert positions_of(inner).min() >= 5.5
    assert 0 < len(inner) < len(usual)


def test_frames_and_channels(corner):
    image, expected = corner
    series = np.zeros((2, 2, *image.shape), np.uint8)
    series[1, 0] = image
    series[0, 0, 0, 0] = series[1, 1, 0, 0] = 9
    stack = Stack(series, "tczyx")
    assert len(detect(stack, diameter=12, frame=1, channel=0)) == len(expected)
    with pytest.raises(ColloidsError, match="no frame 2"):
        detect(stack, diameter=12, frame=2)


def test_lower_thresholds_only_add(dense, usual):
    more = detect(dense.stack, diameter=12, threshold=FLOOR)
    assert {tuple(p) for p in positions_of(usual)} <= {tuple(p) for p in positions_of(more)}


def test_nothing_is_found_in_pure_noise():
    noise = np.random.default_rng(0).normal(100, 10, (64, 64, 64))
    assert len(detect(noise, diameter=10)) <= 3


def test_when_memory_runs_out_tiles_shrink(monkeypatch):
    row = simulate(shape=(20, 20, 400), volume_fraction=0.4, radius=5, snr=8, cnr=7, seed=6).stack
    iter_predict = SlabNetwork.iter_predict

    def limited(self, image, workers, **choices):
        if image.numel() > 32 * 32 * 200:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return iter_predict(self, image, workers, **choices)

    expected = detect(row, diameter=10)
    monkeypatch.setattr(SlabNetwork, "iter_predict", limited)
    found = detect(row, diameter=10)
    np.testing.assert_allclose(positions_of(found), positions_of(expected), atol=0.05)
    assert any("smaller tiles" in notice for notice in found.attrs["notices"])


def test_other_failures_of_the_network_are_one_clear_error(dense, monkeypatch):
    def broken(self, image, workers, **choices):
        raise RuntimeError("cuDNN error")

    monkeypatch.setattr(SlabNetwork, "iter_predict", broken)
    with pytest.raises(ColloidsError, match="cuDNN"):
        detect(dense.stack, diameter=12)


@pytest.mark.parametrize(
    ("image", "changes"),
    [
        (np.zeros((64, 64)), {}),
        (np.zeros((0, 64, 64)), {}),
        (np.zeros((16, 16, 16)), {}),
        (np.full((16, 16, 16), np.nan), {}),
        (np.zeros((16, 16, 16), complex), {}),
        (np.eye(16)[None] + np.zeros((16, 1, 1)), {"diameter": 0.5}),
        (np.eye(16)[None] + np.zeros((16, 1, 1)), {"diameter": 1e6}),
        (np.eye(16)[None] + np.zeros((16, 1, 1)), {"diameter": float("nan")}),
        (np.eye(16)[None] + np.zeros((16, 1, 1)), {"diameter": "8"}),
        (np.eye(16)[None] + np.zeros((16, 1, 1)), {"border": None}),
        (np.eye(16)[None] + np.zeros((16, 1, 1)), {"diameter_um": 1.0}),
        (np.eye(16)[None] + np.zeros((16, 1, 1)), {"diameter": 8, "diameter_um": 1.0}),
        (np.eye(16)[None] + np.zeros((16, 1, 1)), {"diameter": 8, "region": Region(z_range=(5, 5))}),
        (np.eye(16)[None] + np.zeros((16, 1, 1)), {"diameter": 8, "region": Region(z_range=5)}),
        (np.eye(16)[None] + np.zeros((16, 1, 1)), {"diameter": 8, "region": Region(z_range=(0,))}),
        (np.eye(16)[None] + np.zeros((16, 1, 1)), {"diameter": 8, "region": Region(z_range=(0, 7.5))}),
        (np.eye(16)[None] + np.zeros((16, 1, 1)), {"diameter": 8, "tile": "big"}),
        (np.eye(16)[None] + np.zeros((16, 1, 1)), {"diameter": 8, "frame": "0"}),
        (np.eye(16)[None] + np.zeros((16, 1, 1)), {"diameter": 8, "channel": 0.5}),
        (np.eye(16)[None] + np.zeros((16, 1, 1)), {"diameter": 8, "refine": True, "psf": "bead.tif"}),
        (np.eye(16)[None] + np.zeros((16, 1, 1)), {"diameter": 8, "threshold": 2}),
        (np.eye(16)[None] + np.zeros((16, 1, 1)), {"diameter": 8, "tile": 3}),
        (np.eye(16)[None] + np.zeros((16, 1, 1)), {"diameter": 8, "method": "guess"}),
        (np.eye(16)[None] + np.zeros((16, 1, 1)), {"diameter": 8, "colour": "red"}),
    ],
)
def test_bad_input_gives_one_clear_error(image, changes):
    with pytest.raises(ColloidsError):
        detect(image, **changes)


def test_a_diameter_without_its_name_is_one_clear_error(dense):
    with pytest.raises(ColloidsError, match="by name"):
        detect(dense.stack, 12)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_asking_for_a_gpu_that_is_not_there(dense):
    with pytest.raises(ColloidsError, match="no 'cuda'"):
        detect(dense.stack, diameter=12, device="cuda")


@pytest.mark.parametrize("shape", [(1, 30, 30), (3, 200, 7), (9, 9, 9)])
def test_odd_shapes_have_a_table(shape):
    image = np.random.default_rng(0).integers(0, 255, shape)
    found = detect(image, diameter=6)
    assert {"z", "y", "x", "radius", "confidence"} <= set(found)
    assert np.all((positions_of(found) >= -0.5) & (positions_of(found) < np.array(shape) - 0.5))
