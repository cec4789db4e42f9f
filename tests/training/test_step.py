"""Optimisation steps, captured and not."""

from __future__ import annotations

import copy

import pytest
import torch

from napari_colloids.detection.network import CentreNet
from napari_colloids.training.optimiser import Optimiser
from napari_colloids.training.step import Step


def batches(number, broken=()):
    """Return random images and targets; those of the steps `broken` have no number that could be learnt from."""
    generator = torch.Generator().manual_seed(1)
    made = []
    for n in range(number):
        image, heat, near = (torch.rand(s, generator=generator) for s in [(2, 1, 16, 16, 16), *[(2, 8, 8, 8)] * 2])
        heat[:, 4, 4, 4] = 1
        offset, radius = torch.rand((2, 3, 8, 8, 8), generator=generator), torch.rand((2, 8, 8, 8), generator=generator)
        made.append([image * torch.nan if n in broken else image, heat, offset, radius, near])
    return made


def weights_after(steps, device="cpu", *, capture=False):
    torch.manual_seed(0)
    network = CentreNet((8, 12, 16)).to(device).to(memory_format=torch.channels_last_3d)
    average = copy.deepcopy(network)
    step = Step(network, average, Optimiser(network, 1e-3), 2.0, None, capture=capture)
    losses = [float(step(batch, 1e-3, 0.5)["total"]) for batch in steps]
    return [{k: v.cpu() for k, v in n.state_dict().items()} for n in (network, average)], losses


def distance(one, other):
    return float(sum((one[name] - other[name]).square().sum() for name in one)) ** 0.5


def test_the_loss_falls_and_the_average_follows_the_weights():
    (network, average), losses = weights_after(batches(1) * 40)
    assert losses[-1] < 0.7 * losses[0]
    (start, _), _ = weights_after([])
    assert 0 < distance(network, average) < 0.2 * distance(network, start)


def test_a_step_whose_gradients_are_not_finite_changes_nothing():
    (network, average), losses = weights_after(batches(3, broken=[1, 2]))
    (first, average_then), _ = weights_after(batches(1))
    assert not torch.isfinite(torch.tensor(losses[1:])).any()
    assert distance(network, first) == distance(average, average_then) == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no NVIDIA GPU")
def test_a_captured_step_does_what_the_step_does():
    steps = batches(12, broken=[6])
    (network, average), losses = weights_after(steps, "cuda")
    (replayed, replayed_average), replayed_losses = weights_after(steps, "cuda", capture=True)
    (start, _), _ = weights_after([])
    way = distance(network, start)
    assert distance(network, replayed) < 0.05 * way
    assert distance(average, replayed_average) < 0.05 * way
    assert replayed_losses == pytest.approx(losses, rel=0.02, nan_ok=True)
