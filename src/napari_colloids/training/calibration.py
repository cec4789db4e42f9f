"""Making the confidence a probability: of the detections given 0.8, eight in ten should be particles.

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
from napari_colloids.detection.inference import decode, look_twice
from napari_colloids.detection.network import UNCALIBRATED
from napari_colloids.detection.scale import CANONICAL_DIAMETER, STRIDE
from napari_colloids.detection.tiles import Tile
from napari_colloids.scoring import match
from napari_colloids.training.domain import SIZE, Domain
from napari_colloids.training.targets import FAINT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_colloids.detection.network import CentreNet

#: Scenes that the calibration looks at, of numbers that training never reaches.
SCENES = 250
_FIRST_SCENE = 10**9
#: Raw confidence from which detections count.
_FLOOR = 0.02


def calibrate(network: CentreNet, domain: Domain, scenes: int = SCENES) -> None:
    """Set the network's calibration from scenes that it was not trained on.

    Parameters
    ----------
    network
        On the CPU; its `calibration` is changed.
    domain
        Source of the scenes.
    scenes
        How many are looked at.
    """
    network.calibration.copy_(torch.tensor(UNCALIBRATED))
    confidences, hits = [], []
    for number in range(_FIRST_SCENE, _FIRST_SCENE + scenes):
        confidence, hit = _judged(network, domain, number)
        confidences.append(confidence)
        hits.append(hit)
    network.calibration.copy_(torch.tensor(fit(np.concatenate(confidences), np.concatenate(hits))))


def fit(confidence: NDArray[np.floating], hits: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Return the parameters of the beta calibration that is most likely, given which detections were true.

    Parameters
    ----------
    confidence
        Shape ``(N,)``: not calibrated, between 0 and 1.
    hits
        Shape ``(N,)``.

    Returns
    -------
    tuple
        As `CentreNet.confidence` uses them; the first two are not negative: the order of detections stays.
        Without any detection `UNCALIBRATED`.
    """
    confidence = np.clip(confidence.astype(float), 1e-6, 1 - 1e-6)
    terms = np.stack([np.log(confidence), -np.log1p(-confidence), np.ones_like(confidence)])
    sign, number = np.where(hits, 1.0, -1.0), max(len(hits), 1)

    def surprise(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logit = parameters @ terms
        return -log_expit(sign * logit).sum() / number, terms @ (expit(logit) - hits) / number

    bounds = [(0, None), (0, None), (None, None)]
    true, false, bias = minimize(surprise, np.array(UNCALIBRATED), jac=True, bounds=bounds).x
    return float(true), float(false), float(bias)


@torch.no_grad()
def _judged(network: CentreNet, domain: Domain, number: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the raw confidences of the detections in a scene and which of them are true."""
    sample = domain.sample(number)
    image = torch.from_numpy(sample.image)[None].to(memory_format=torch.channels_last_3d)
    output = look_twice(network, image)
    corner, end = (0, 0, 0), (SIZE, SIZE, SIZE)
    found = suppress_overlaps(decode(output, network.confidence(output), Tile(corner, end, corner, end), _FLOOR))
    cells = np.argwhere(sample.targets.heat == 1)
    offset = sample.targets.offset[:, *cells.T].T
    truth = (cells + offset) * STRIDE + (STRIDE - 1) / 2
    hit = np.zeros(len(found), bool)
    hit[match(truth, found.positions, CANONICAL_DIAMETER / 2).prediction_index] = True
    # Near the faces it is a matter of taste whether a sphere is inside, and faint ones may be found or not.
    judged = np.all((found.positions > 3) & (found.positions < SIZE - 4), axis=1)
    cell = np.clip(np.rint((found.positions - (STRIDE - 1) / 2) / STRIDE), 0, SIZE // STRIDE - 1).astype(int)
    judged &= hit | (sample.targets.heat[tuple(cell.T)] != np.float32(FAINT))
    return found.confidence[judged], hit[judged]
