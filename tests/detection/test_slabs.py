"""The network on a CPU, block by block."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_colloids import detect
from napari_colloids.detection import slabs
from napari_colloids.detection.inference import predict_symmetrised
from napari_colloids.detection.network import CentreNet
from napari_colloids.detection.slabs import SlabNetwork
from napari_colloids.detection.weights import bundled_network
from napari_colloids.detection.workers import Workers
from napari_colloids.progress import result_of
from napari_colloids.simulation import PRESETS, simulate


def noise(shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def applied(network, image, dtype=torch.float32):
    with Workers() as workers:
        output, confidence = result_of(SlabNetwork(network, dtype).iter_predict(image, workers))
    return {**output._asdict(), "confidence": confidence}


def as_defined(network, image):
    with torch.inference_mode():
        output = predict_symmetrised(network, image[None, None])
        return {**output._asdict(), "confidence": network.confidence(output)}


# Lengths whose halves are even or odd at every level, and blocks of all lengths along z.
@pytest.mark.parametrize("shape", [(2, 2, 2), (18, 24, 12), (42, 14, 30)])
@pytest.mark.parametrize("block_cost", [3e5, 2e6, 2e8])
def test_it_computes_what_the_network_does(shape, block_cost, monkeypatch):
    monkeypatch.setattr(slabs, "_BLOCK_COST", block_cost)
    expected, found = (function(bundled_network(), noise(shape)) for function in (as_defined, applied))
    for name, values in expected.items():
        torch.testing.assert_close(found[name], values, rtol=1e-5, atol=2e-5, msg=name)


def test_other_weights_and_numbers_of_channels():
    torch.manual_seed(1)
    network = CentreNet((4, 12, 20)).eval().requires_grad_(False)
    expected, found = (function(network, noise((22, 18, 26))) for function in (as_defined, applied))
    for name, values in expected.items():
        torch.testing.assert_close(found[name], values, rtol=1e-5, atol=2e-5, msg=name)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-5), (torch.bfloat16, 0.2)])
def test_without_onednn_and_with_16_bits(dtype, tolerance, monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    expected, found = (
        as_defined(bundled_network(), noise((12, 18, 14))),
        applied(bundled_network(), noise((12, 18, 14)), dtype),
    )
    for name, values in expected.items():
        torch.testing.assert_close(found[name], values, rtol=0.02, atol=tolerance, msg=name)


def test_the_table_is_the_same_to_the_last_bit_whatever_the_number_of_threads(allow_threads):
    stack = simulate(PRESETS["dense"], shape=(28, 60, 30), seed=5).stack
    tables = []
    for threads in (1, 3):
        allow_threads(threads)
        tables.append(detect(stack, diameter=11, tile=30, device="cpu"))
    assert len(tables[0]) > 25
    np.testing.assert_array_equal(*tables)
