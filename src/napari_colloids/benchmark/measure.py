"""Figures of merit of the particles found in one volume: precision, recall, average precision, errors, calibration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from napari_colloids.particles import positions_of
from napari_colloids.scoring import match, score
from napari_colloids.stack import Stack

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_colloids.benchmark.microscope import Volume

#: From a stack and the diameter of its particles to a particle table.
Find = Callable[[Stack, float], pd.DataFrame]

#: Number of confidence bins of the reliability diagram.
BINS = 10
#: Confidence thresholds at which precision and recall are compared over volumes.
THRESHOLDS = np.round(np.arange(1, 20) * 0.05, 2)


@dataclass(frozen=True, eq=False)
class Reliability:
    """Reliability diagram: counts by confidence bin, which add up over volumes.

    Attributes
    ----------
    number, confidence, true
        Number of detections, sum of their confidences, and number of true ones, in each of the `BINS` bins.
    """

    number: NDArray[np.float64]
    confidence: NDArray[np.float64]
    true: NDArray[np.float64]

    def __add__(self, other: Reliability) -> Reliability:
        """Return the counts of both."""
        return Reliability(self.number + other.number, self.confidence + other.confidence, self.true + other.true)

    @property
    def error(self) -> float:
        r"""Expected calibration error (Naeini et al. 2015): difference of confidence and precision, mean over all.

        .. math::

            \mathrm{ECE} = \frac{1}{N} \sum_b \left| \sum_{i \in b} p_i - N_{b, \mathrm{true}} \right|
        """
        return float(np.abs(self.confidence - self.true).sum() / max(self.number.sum(), 1.0))


@dataclass(frozen=True, eq=False)
class Measured:
    """Figures of one method on one volume.

    Attributes
    ----------
    figures
        By name: lengths in voxels of their axis, ratios between 0 and 1.
    reliability
        Of the confidences.
    precision, recall
        At each of `THRESHOLDS`; the precision of nothing is 1.
    """

    figures: dict[str, float]
    reliability: Reliability
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]


def measure(volume: Volume, found: pd.DataFrame, threshold: float) -> Measured:
    """Score the particles found in a volume.

    Parameters
    ----------
    volume
        With the truth.
    found
        Particle table of any confidence.
    threshold
        Minimum confidence of the particles that count in the figures that need no ranking.
    """
    scored = partial(
        score,
        volume.positions,
        diameter=volume.diameter,
        shape=volume.image.shape,
        voxel_size=volume.stack.voxel_size,
    )
    ranked = scored(found)
    kept = found[found["confidence"] >= threshold].reset_index(drop=True)
    at_threshold = scored(kept)
    radius_bias, radius_rmse = _radius_errors(volume, kept)
    figures = {
        "challenge_ap": at_threshold.challenge_ap,
        "precision": at_threshold.precision,
        "recall": at_threshold.recall,
        "f1": at_threshold.f1,
        **{f"rmse_{axis}": at_threshold.rmse[axis] for axis in "zyx"},
        "ap": ranked.ap,
        "ap_0.1d": ranked.ap_at[0.1],
        "radius_rmse": radius_rmse,
        "radius_bias": radius_bias,
    }
    reliability = _reliability(found["confidence"].to_numpy(), ranked.true_positive_mask, ranked.false_positive_mask)
    # The last entry of the (falling) curve that is not below each threshold.
    last = np.searchsorted(-ranked.curve.confidence, -THRESHOLDS, side="right") - 1
    some = last >= 0
    precision, recall = np.ones(len(THRESHOLDS)), np.zeros(len(THRESHOLDS))
    precision[some], recall[some] = ranked.curve.precision[last[some]], ranked.curve.recall[last[some]]
    return Measured(figures, reliability, precision, recall)


def _radius_errors(volume: Volume, found: pd.DataFrame) -> tuple[float, float]:
    """Return mean and root mean square of the relative error of the radius."""
    aspect = np.array([volume.scene.aspect, 1.0, 1.0])
    pairs = match(volume.positions * aspect, positions_of(found) * aspect, volume.diameter / 2)
    if len(pairs) == 0:
        return float("nan"), float("nan")
    true = volume.radii[pairs.truth_index]
    error = found["radius"].to_numpy()[pairs.prediction_index] / true - 1
    return float(error.mean()), float(np.sqrt(np.mean(error**2)))


def _reliability(confidence: NDArray[np.float64], true: NDArray[np.bool_], false: NDArray[np.bool_]) -> Reliability:
    counted = true | false
    index = np.minimum((confidence[counted] * BINS).astype(int), BINS - 1)
    return Reliability(
        *(
            np.bincount(index, weights=weights, minlength=BINS).astype(float)
            for weights in (np.ones(len(index)), confidence[counted], true[counted])
        )
    )
