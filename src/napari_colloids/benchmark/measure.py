"""What a method made of one volume, in figures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_colloids.particles import positions_of
from napari_colloids.scoring import match, score

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from napari_colloids.benchmark.microscope import Volume

#: Classes of confidence in the reliability diagram.
BINS = 10
#: Thresholds at which precision and recall are compared over volumes.
LEVELS = np.round(np.arange(1, 20) * 0.05, 2)


@dataclass(frozen=True, eq=False)
class Reliability:
    """How often the confidence is right: counts by class of confidence, from which means can be had over volumes.

    Attributes
    ----------
    number, confidence, true
        How many detections, the sum of their confidences, and how many of them are particles; each of `BINS` entries.
    """

    number: NDArray[np.float64]
    confidence: NDArray[np.float64]
    true: NDArray[np.float64]

    def __add__(self, other: Reliability) -> Reliability:
        """Return the counts of both."""
        return Reliability(self.number + other.number, self.confidence + other.confidence, self.true + other.true)

    @property
    def error(self) -> float:
        """Expected calibration error (Naeini et al. 2015): distance of confidence and truth, mean over all."""
        return float(np.abs(self.confidence - self.true).sum() / max(self.number.sum(), 1.0))


@dataclass(frozen=True, eq=False)
class Measured:
    """What `measure` found out.

    Attributes
    ----------
    figures
        By name: lengths in voxels of their axis, ratios between 0 and 1.
    reliability
        Of the confidences.
    precision, recall
        At each of `LEVELS`; the precision of nothing is 1.
    """

    figures: dict[str, Any]
    reliability: Reliability
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]


def measure(volume: Volume, found: pd.DataFrame, cut: float) -> Measured:
    """Score all that was found in a volume.

    Parameters
    ----------
    volume
        With the truth.
    found
        Particle table of any confidence.
    cut
        Smallest confidence that counts for the figures that know no ranking.
    """
    judge = partial(
        score,
        volume.positions,
        diameter=volume.diameter,
        shape=volume.image.shape,
        voxel_size=(volume.scene.aspect, 1.0, 1.0),
    )
    ranked = judge(found)
    kept = found[found["confidence"] >= cut].reset_index(drop=True)
    figures = judge(kept)
    radius_bias, radius_rmse = _radius_errors(volume, kept)
    summary = {
        "challenge_ap": figures.challenge_ap,
        "precision": figures.precision,
        "recall": figures.recall,
        "f1": figures.f1,
        **{f"rmse_{axis}": figures.rmse[axis] for axis in "zyx"},
        "ap": ranked.ap,
        "ap_0.1d": ranked.ap_at[0.1],
        "radius_rmse": radius_rmse,
        "radius_bias": radius_bias,
    }
    reliability = _reliability(found["confidence"].to_numpy(), ranked.true_positive_mask, ranked.false_positive_mask)
    # The last entry of the (falling) curve that is still above each level.
    last = np.searchsorted(-ranked.curve.confidence, -LEVELS, side="right") - 1
    some = last >= 0
    precision, recall = np.ones(len(LEVELS)), np.zeros(len(LEVELS))
    precision[some], recall[some] = ranked.curve.precision[last[some]], ranked.curve.recall[last[some]]
    return Measured(summary, reliability, precision, recall)


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
    judged = true | false
    index = np.minimum((confidence[judged] * BINS).astype(int), BINS - 1)
    return Reliability(
        *(
            np.bincount(index, weights=weights, minlength=BINS).astype(float)
            for weights in (np.ones(len(index)), confidence[judged], true[judged])
        )
    )
