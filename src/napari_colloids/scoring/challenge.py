"""The average precision of the challenge "Colloids: how low can we go?", exactly as its ``metric.py`` computes it.

The source is the challenge's published metric (github.com/wahabk/colloidoscope). It is kept as it is, quirks included,
so that figures compare with the published ones: no confidence enters, the curve runs over ten thresholds on how well
a detection overlaps its particle, and the recalls are reversed before the integral.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.integrate import trapezoid

from napari_colloids.scoring.inputs import Positions, checked_length, checked_positions, checked_shape
from napari_colloids.scoring.pairs import close_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

THRESHOLDS: NDArray[np.float64] = np.linspace(0, 1, 10)


@dataclass(frozen=True, eq=False)
class ChallengeCurve:
    """Precision and recall of the challenge at its ten thresholds of overlap.

    Attributes
    ----------
    average_precision
        The challenge's figure: the integral of `precision` over the **reversed** `recall`.
    thresholds
        Overlap ``s = max(0, 1 - distance / diameter)`` that a match has to exceed, rising from 0 to 1.
    precision, recall
        At each of the thresholds, in their order; 0 where undefined.
    """

    average_precision: float
    thresholds: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]


def challenge_ap(
    truth: pd.DataFrame | ArrayLike, prediction: pd.DataFrame | ArrayLike, diameter: float, shape: Sequence[int]
) -> float:
    """Return the average precision of the challenge; see `challenge_curve`."""
    return challenge_curve(truth, prediction, diameter, shape).average_precision


def challenge_curve(
    truth: pd.DataFrame | ArrayLike, prediction: pd.DataFrame | ArrayLike, diameter: float, shape: Sequence[int]
) -> ChallengeCurve:
    """Score a detection as the challenge does.

    Parameters
    ----------
    truth, prediction
        Particle tables, or arrays of shape ``(N, 3)``: z, y, x in voxels.
    diameter
        Particle diameter in voxels.
    shape
        Shape of the stack ``(z, y, x)`` in voxels.

    Notes
    -----
    Truths and predictions with a coordinate outside ``[d/2, L - d/2]`` are dropped, each set by itself, so that even
    a nearly perfect detection loses the few pairs that the border separates. What is left is matched one-to-one,
    the best overlap first. Among equal overlaps the last pair comes first, counting prediction by prediction.

    Raises
    ------
    ColloidsError
        If positions, diameter or shape are not valid.
    """
    diameter, shape = checked_length(diameter), checked_shape(shape)
    true_centres = _inside(checked_positions(truth, "The truth"), diameter, shape)
    centres = _inside(checked_positions(prediction, "The prediction"), diameter, shape)
    overlaps = _greedy_overlaps(true_centres, centres, diameter)
    # Every match of a higher threshold is a match of the lower ones, because the best pairs are taken first:
    # one greedy pass serves all thresholds.
    matches = np.array([(overlaps > threshold).sum() for threshold in THRESHOLDS], dtype=float)
    precision = matches / max(1, len(centres))
    recall = matches / max(1, len(true_centres))
    return ChallengeCurve(float(trapezoid(precision, recall[::-1])), THRESHOLDS, precision, recall)


def _inside(centres: Positions, diameter: float, shape: tuple[int, int, int]) -> Positions:
    margin = diameter / 2
    return centres[((centres >= margin) & (centres <= np.array(shape) - margin)).all(axis=1)]


def _greedy_overlaps(truth: Positions, prediction: Positions, diameter: float) -> NDArray[np.float64]:
    """Return the overlaps of the pairs that a greedy matching takes."""
    pairs = close_pairs(truth, prediction, diameter)
    overlap = 1 - pairs.distance / diameter
    order = np.argsort(overlap, kind="stable")[::-1]
    true_taken, taken = bytearray(len(truth)), bytearray(len(prediction))
    matched = []
    # Memory views hand out one Python number at a time, where lists of millions of pairs would fill the memory.
    candidates = zip(pairs.truth[order].data, pairs.prediction[order].data, overlap[order].data, strict=True)
    for true_index, index, pair_overlap in candidates:
        if not true_taken[true_index] and not taken[index]:
            true_taken[true_index] = taken[index] = 1
            matched.append(pair_overlap)
    return np.array(matched)
