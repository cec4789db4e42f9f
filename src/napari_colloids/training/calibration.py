"""Calibration of the confidence: of the detections of confidence 0.8, eight in ten should be particles.

References
----------
Kull, Silva Filho and Flach, Beta calibration: a well-founded and easily implemented improvement on logistic
calibration for binary classifiers, AISTATS (2017).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from napari_colloids.detection.candidates import suppress_overlaps
from napari_colloids.detection.inference import decode, predict_symmetrised
from napari_colloids.detection.network import UNCALIBRATED
from napari_colloids.detection.scale import CANONICAL_DIAMETER, STRIDE
from napari_colloids.detection.tiles import Tile
from napari_colloids.scoring import match
from napari_colloids.training.sample import SIZE
from napari_colloids.training.stage import Stage
from napari_colloids.training.targets import OPTIONAL_HEAT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_colloids.detection.network import CentreNet
    from napari_colloids.training.sample import Source

#: Number of the first scene: no training reaches it.
_FIRST_SCENE = 10**9
#: Shares of the kinds of scenes.
_SCENES = Stage()
#: Lowest uncalibrated confidence of the detections.
_MIN_RAW_CONFIDENCE = 0.02
#: Detections nearer to a face do not count: whether such a sphere is centred inside is undecided.
_BORDER_VOXELS = 3


def calibrate(network: CentreNet, source: Source, scenes: int) -> None:
    """Set the network's calibration from scenes that it was not trained on.

    Parameters
    ----------
    network
        On the CPU; its `calibration` is changed.
    source
        Of the scenes.
    scenes
        Number of scenes.
    """
    network.calibration.copy_(torch.tensor(UNCALIBRATED))
    confidences, hits = [], []
    for number in range(_FIRST_SCENE, _FIRST_SCENE + scenes):
        confidence, hit = _detections(network, source, number)
        confidences.append(confidence)
        hits.append(hit)
    network.calibration.copy_(torch.tensor(fit(np.concatenate(confidences), np.concatenate(hits))))


def fit(confidence: NDArray[np.floating], hits: NDArray[np.bool_]) -> tuple[float, float, float]:
    r"""Return the maximum-likelihood parameters of the beta calibration.

    Parameters
    ----------
    confidence
        Shape ``(N,)``: uncalibrated, between 0 and 1.
    hits
        Shape ``(N,)``: which detections are particles.

    Returns
    -------
    tuple
        :math:`a`, :math:`b`, :math:`c` as `CentreNet.confidence` uses them. `UNCALIBRATED` without any detection.

    Notes
    -----
    The calibrated confidence :math:`q` of an uncalibrated :math:`p` is

    .. math::

        \log\frac{q}{1 - q} = a \log p - b \log(1 - p) + c, \qquad a, b \ge 0,

    so that the order of the detections stays. With :math:`y = 1` for particles and 0 for others,

    .. math::

        -\frac{1}{N} \sum_i \left[ y_i \log q_i + (1 - y_i) \log(1 - q_i) \right]

    is minimised.
    """
    confidence = np.clip(confidence.astype(float), 1e-6, 1 - 1e-6)
    terms = np.stack([np.log(confidence), -np.log1p(-confidence), np.ones_like(confidence)])
    sign, number = np.where(hits, 1.0, -1.0), max(len(hits), 1)

    def negative_log_likelihood(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logit = parameters @ terms
        return -log_expit(sign * logit).sum() / number, terms @ (expit(logit) - hits) / number

    bounds = [(0, None), (0, None), (None, None)]
    a, b, c = minimize(negative_log_likelihood, np.array(UNCALIBRATED), jac=True, bounds=bounds).x
    return float(a), float(b), float(c)


@torch.no_grad()
def _detections(network: CentreNet, source: Source, number: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the uncalibrated confidences of the detections in a scene, and which of them are particles."""
    sample = source.sample(number, _SCENES)
    image = torch.from_numpy(sample.image)[None].to(memory_format=torch.channels_last_3d)
    output = predict_symmetrised(network, image)
    corner, end = (0, 0, 0), (SIZE, SIZE, SIZE)
    whole = Tile(corner, end, corner, end)
    found = suppress_overlaps(decode(output, network.confidence(output), whole, _MIN_RAW_CONFIDENCE))
    cells = np.argwhere(sample.targets.heat == 1)
    offset = sample.targets.offset[:, *cells.T].T
    truth = (cells + offset) * STRIDE + (STRIDE - 1) / 2
    hit = np.zeros(len(found), bool)
    hit[match(truth, found.positions, CANONICAL_DIAMETER / 2).prediction_index] = True
    inside = (found.positions > _BORDER_VOXELS) & (found.positions < SIZE - 1 - _BORDER_VOXELS)
    counted = np.all(inside, axis=1)
    cell = np.clip(np.rint((found.positions - (STRIDE - 1) / 2) / STRIDE), 0, SIZE // STRIDE - 1).astype(int)
    counted &= hit | (sample.targets.heat[tuple(cell.T)] != np.float32(OPTIONAL_HEAT))
    return found.confidence[counted], hit[counted]
