"""How wrong an output is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from napari_colloids.detection.network import Output

#: Weights of the offset and the radius beside the centres.
OFFSET_WEIGHT = 2.0
RADIUS_WEIGHT = 1.0


def detection_loss(output: Output, heat: Tensor, offset: Tensor, log_radius: Tensor, near: Tensor) -> dict[str, Tensor]:
    """Return the parts of the loss and their weighted sum, ``total``.

    The centres are judged by the penalty-reduced focal loss of CornerNet and CenterNet (arXiv:1904.07850), offset
    and radius near the centres by a smooth L1 loss. Everything is divided by the number of centres.

    Parameters
    ----------
    output
        What the network said.
    heat, offset, log_radius, near
        `Targets` with the batch first.
    """
    logit = output.centre.float()
    probability = torch.sigmoid(logit).clamp(1e-5, 1 - 1e-5)
    at_centre = heat == 1
    hit = -((1 - probability) ** 2) * torch.log(probability)
    miss = -((1 - heat) ** 4) * probability**2 * torch.log(1 - probability)
    count = at_centre.sum().clamp(min=4)
    centre = torch.where(at_centre, hit, miss).sum() / count
    weight = near / near.sum().clamp(min=32)
    away = functional.smooth_l1_loss(output.offset.float(), offset, reduction="none", beta=0.1).sum(dim=1)
    size = functional.smooth_l1_loss(output.log_radius.float(), log_radius, reduction="none", beta=0.05)
    parts = {"centre": centre, "offset": (away * weight).sum(), "radius": (size * weight).sum()}
    return {**parts, "total": centre + OFFSET_WEIGHT * parts["offset"] + RADIUS_WEIGHT * parts["radius"]}
