"""Detection loss: focal loss for the centres, smooth L1 loss for offset and radius.

References
----------
Lin, Goyal, Girshick, He and Dollar, Focal loss for dense object detection, ICCV (2017).
Zhou, Wang and Kraehenbuehl, Objects as points, arXiv:1904.07850 (2019): the form for centre heat maps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from napari_colloids.detection.network import Output

#: Weights of the offset and the radius loss relative to the centre loss.
OFFSET_WEIGHT = 2.0
RADIUS_WEIGHT = 1.0
#: Absolute error at which the smooth L1 loss turns from quadratic to linear: in cells, and of the log-radius.
_OFFSET_BETA_CELLS = 0.1
_LOG_RADIUS_BETA = 0.05
#: Smallest divisors, so that nearly empty volumes do not dominate: centres, and cells with an offset to learn.
_MIN_CENTRES = 4
_MIN_REGRESSED_CELLS = 32


def detection_loss(output: Output, heat: Tensor, offset: Tensor, log_radius: Tensor, near: Tensor) -> dict[str, Tensor]:
    r"""Return the parts of the loss, ``centre``, ``offset`` and ``radius``, and their weighted sum, ``total``.

    Parameters
    ----------
    output
        Of the network.
    heat, offset, log_radius, near
        `Targets` with the batch first.

    Notes
    -----
    With the predicted probability :math:`p` and the target heat :math:`h` of each cell, and :math:`N` centres,

    .. math::

        L_\mathrm{centre} = -\frac{1}{N} \sum
        \begin{cases}
            (1 - p)^2 \log p & h = 1 \\
            (1 - h)^4 \, p^2 \log(1 - p) & h < 1
        \end{cases}

    so that cells beside a centre cost little. Offset and log-radius are compared in the cells where ``near`` is 1, with

    .. math::

        L_1^\mathrm{smooth}(e) =
        \begin{cases}
            e^2 / (2 \beta) & |e| < \beta \\
            |e| - \beta / 2 & |e| \ge \beta
        \end{cases}

    and :math:`L = L_\mathrm{centre} + 2 L_\mathrm{offset} + L_\mathrm{radius}`.
    """
    logit = output.centre.float()
    probability = torch.sigmoid(logit).clamp(1e-5, 1 - 1e-5)
    at_centre = heat == 1
    positive = -((1 - probability) ** 2) * torch.log(probability)
    negative = -((1 - heat) ** 4) * probability**2 * torch.log(1 - probability)
    count = at_centre.sum().clamp(min=_MIN_CENTRES)
    centre = torch.where(at_centre, positive, negative).sum() / count
    weight = near / near.sum().clamp(min=_MIN_REGRESSED_CELLS)
    offset_error = functional.smooth_l1_loss(output.offset.float(), offset, reduction="none", beta=_OFFSET_BETA_CELLS)
    radius_error = functional.smooth_l1_loss(
        output.log_radius.float(), log_radius, reduction="none", beta=_LOG_RADIUS_BETA
    )
    parts = {
        "centre": centre,
        "offset": (offset_error.sum(dim=1) * weight).sum(),
        "radius": (radius_error * weight).sum(),
    }
    return {**parts, "total": centre + OFFSET_WEIGHT * parts["offset"] + RADIUS_WEIGHT * parts["radius"]}
