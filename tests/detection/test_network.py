"""The network and its bundled weights."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.resources import files

import pytest
import torch

from napari_colloids import ColloidsError
from napari_colloids.detection.inference import predict_symmetrised
from napari_colloids.detection.network import MULTIPLE, CentreNet, prepare_torch
from napari_colloids.detection.scale import STRIDE
from napari_colloids.detection.weights import FILE, bundled_network, network_from


@pytest.mark.parametrize("shape", [(16, 24, 32), (18, 20, 22), (2, 4, 6)])
def test_a_cell_for_every_two_voxels(shape):
    output = CentreNet()(torch.zeros(2, 1, *shape))
    cells = tuple(n // 2 for n in shape)
    assert output.centre.shape == output.log_radius.shape == (2, *cells)
    assert output.offset.shape == (2, 3, *cells)


def test_the_halo_covers_the_receptive_field():
    network = CentreNet((2, 2, 2)).double()
    with torch.no_grad():
        for parameter in network.parameters():  # all positive: no path through the network cancels or is cut off
            parameter.abs_().clamp_(min=0.01)
    for cell in range(40, 40 + MULTIPLE // STRIDE):
        image = torch.ones(1, 1, 160, 8, 8, dtype=torch.double, requires_grad=True)
        network(image).centre[0, cell].sum().backward()
        seen = image.grad[0, 0].abs().sum(dim=(1, 2)).nonzero().flatten()
        first, last = STRIDE * cell, STRIDE * cell + STRIDE - 1
        assert max(first - seen.min(), seen.max() - last) <= network.halo


def test_symmetrised_predictions_prefer_no_side():
    image = torch.rand(1, 1, 18, 24, 12, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        plain, mirrored = (
            predict_symmetrised(bundled_network(), image),
            predict_symmetrised(bundled_network(), image.flip(2, 3, 4)),
        )
    torch.testing.assert_close(mirrored.centre.flip(1, 2, 3), plain.centre)
    torch.testing.assert_close(mirrored.offset.flip(2, 3, 4), -plain.offset)
    torch.testing.assert_close(mirrored.log_radius.flip(1, 2, 3), plain.log_radius)


def test_large_images_give_what_a_batch_of_small_ones_does(monkeypatch):
    image = torch.rand(1, 1, 16, 22, 32, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        together = predict_symmetrised(bundled_network(), image)
        monkeypatch.setattr("napari_colloids.detection.inference._MAX_BATCHED_VOXELS", 0)
        apart = predict_symmetrised(bundled_network(), image)
    for one, other in zip(together, apart, strict=True):
        torch.testing.assert_close(one, other)


def test_the_bundled_weights_are_small_and_their_digest_is_checked():
    content = files("napari_colloids.detection").joinpath("weights", FILE).read_bytes()
    assert len(content) < 10e6
    assert not bundled_network().training
    damaged = bytearray(content)
    damaged[-1] ^= 1
    digest = files("napari_colloids.detection").joinpath("weights", FILE + ".sha256").read_text().split()[0]
    network_from(content, digest)
    with pytest.raises(ColloidsError, match="damaged"):
        network_from(bytes(damaged), digest)


def test_a_foreign_file_is_refused():
    with pytest.raises(ColloidsError, match="does not hold"):
        network_from(b"not weights")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not fork")
def test_a_forked_process_does_not_wait_for_the_threads_of_its_parent():
    code = """
import os, torch
from napari_colloids.detection.weights import bundled_network
torch.set_num_threads(2)
image = torch.rand(1, 1, 32, 32, 32)
with torch.inference_mode():
    bundled_network()(image)
    child = os.fork()
    bundled_network()(image)
    if child:
        raise SystemExit(os.waitpid(child, 0)[1])
"""
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], timeout=120, check=False).returncode == 0


def test_importing_the_network_changes_nothing_of_the_process():
    code = """
import os, torch, napari_colloids
import numba, scipy.ndimage
hooks = []
os.register_at_fork = lambda **hook: hooks.append(hook)
before = dict(os.environ)
from napari_colloids.detection import diameter, inference, network, weights
assert dict(os.environ) == before and not hooks, (set(os.environ) - set(before), hooks)
weights.bundled_network()
assert os.environ["THP_MEM_ALLOC_ENABLE"] == "1"
network.CentreNet()
assert len(hooks) == 1
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], timeout=120, check=True)


def test_a_value_that_was_set_before_stays(monkeypatch):
    monkeypatch.setenv("THP_MEM_ALLOC_ENABLE", "0")
    prepare_torch.__wrapped__()
    assert os.environ["THP_MEM_ALLOC_ENABLE"] == "0"
