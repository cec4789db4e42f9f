"""The average precision of the challenge "Colloids: how low can we go?", exactly as its ``metric.py`` computes it.

The source is the challenge's published metric (github.com/wahabk/colloidoscope). It is reproduced as it is, quirks
included, so that figures compare with the published ones: no confidence enters, the curve runs over ten thresholds of
the overlap between a detection and its particle, matching is greedy, and the recalls are reversed before the integral.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.integrate import trapezoid

from napari_colloids.plotting import axes_or_new
from napari_colloids.scoring.inputs import Positions, checked_length, checked_positions, checked_shape
from napari_colloids.scoring.pairs import close_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

#: Overlaps that a match has to exceed, in diameters: 1 is no distance, 0 is a distance of one diameter.
OVERLAP_THRESHOLDS: NDArray[np.float64] = np.linspace(0, 1, 10)


@dataclass(frozen=True, eq=False)
class ChallengeCurve:
    r"""Precision and recall of the challenge at its ten thresholds of overlap.

    .. math::

        s_{ij} = \max\left(0, 1 - \frac{|\mathbf{t}_i - \mathbf{p}_j|}{d}\right), \qquad
        \mathrm{AP} = \sum_{k=1}^{9} \frac{P_k + P_{k+1}}{2} \, (R_{10-k} - R_{11-k})

    with the diameter :math:`d`, and precision :math:`P_k` and recall :math:`R_k` at the thresholds in rising order.

    Attributes
    ----------
    average_precision
        The challenge's figure: the integral of `precision` over the **reversed** `recall`.
    thresholds
        Overlap :math:`s` that a match has to exceed, rising from 0 to 1.
    precision, recall
        At each of the thresholds, in their order; 0 where undefined.

    See Also
    --------
    challenge_curve : Computes it.

    Examples
    --------
    >>> from napari_colloids.scoring import challenge_curve
    >>> curve = challenge_curve([[8, 8, 8]], [[8, 8, 10]], diameter=8, shape=(16, 16, 16))
    >>> curve.recall
    array([1., 1., 1., 1., 1., 1., 1., 0., 0., 0.])
    """

    average_precision: float
    thresholds: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]

    def __repr__(self) -> str:
        return (
            f"ChallengeCurve(average precision = {self.average_precision:.3g}, over {len(self.thresholds)} overlaps: "
            f"precision {self.precision[0]:.3g} to {self.precision[-1]:.3g}, "
            f"recall {self.recall[0]:.3g} to {self.recall[-1]:.3g})"
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw precision and recall against the threshold of overlap.

        Parameters
        ----------
        ax
            Axes to draw on; None makes a new figure.

        Returns
        -------
        matplotlib.axes.Axes
        """
        drawn = axes_or_new(ax)
        drawn.plot(self.thresholds, self.precision, marker="o", markersize=4, label="precision")
        drawn.plot(self.thresholds, self.recall, marker="o", markersize=4, label="recall")
        drawn.set_ylim(0, 1.05)
        drawn.set_xlabel("least overlap of a match, 1 - distance / diameter")
        drawn.set_ylabel("precision, recall")
        if ax is None:
            drawn.legend()
        return drawn


def challenge_ap(
    truth: pd.DataFrame | ArrayLike, prediction: pd.DataFrame | ArrayLike, diameter: float, shape: Sequence[int]
) -> float:
    """Return the average precision (AP) of the challenge.

    Parameters
    ----------
    truth, prediction
        Particle tables, or arrays of shape ``(N, 3)``: z, y, x in voxels.
    diameter
        Particle diameter in voxels.
    shape
        Shape of the stack ``(z, y, x)`` in voxels.

    Raises
    ------
    ColloidsError
        If positions, diameter or shape are not valid.

    See Also
    --------
    challenge_curve : The formula, and the curve behind this figure.
    score : Optimal matching, ranked by confidence.

    Examples
    --------
    A perfect detection, and one that misses half of the particles. A localisation error of a quarter of a diameter goes
    unnoticed:

    >>> import numpy as np
    >>> from napari_colloids import challenge_ap
    >>> truth = 10.0 * np.indices((4, 4, 4)).reshape(3, -1).T + 10
    >>> print(f"{challenge_ap(truth, truth, diameter=8, shape=(50, 50, 50)):.3f}")
    1.000
    >>> print(f"{challenge_ap(truth, truth[:32], diameter=8, shape=(50, 50, 50)):.3f}")
    0.500
    >>> print(f"{challenge_ap(truth, truth + [0, 0, 2], diameter=8, shape=(50, 50, 50)):.3f}")
    1.000
    """
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

    Returns
    -------
    ChallengeCurve

    Raises
    ------
    ColloidsError
        If positions, diameter or shape are not valid.

    See Also
    --------
    challenge_ap : The average precision alone.
    score : Optimal matching, ranked by confidence.

    Notes
    -----
    Truths and predictions with a coordinate outside ``[d/2, L - d/2]`` are dropped, each set by itself, so that even
    a nearly perfect detection loses the few pairs that the border separates. The others are matched one-to-one by
    **greedy matching**, the largest overlap first. Among equal overlaps the last pair comes first, counting prediction
    by prediction.

    References
    ----------
    .. [1] The challenge "Colloids: how low can we go?", metric at https://github.com/wahabk/colloidoscope.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_colloids.scoring import challenge_curve
    >>> truth = 10.0 * np.indices((4, 4, 4)).reshape(3, -1).T + 10
    >>> challenge_curve(truth, truth[:32], diameter=8, shape=(50, 50, 50))
    ChallengeCurve(average precision = 0.5, over 10 overlaps: precision 1 to 0, recall 0.5 to 0)
    """
    diameter, shape = checked_length(diameter), checked_shape(shape)
    true_centres = _inside(checked_positions(truth, "The truth"), diameter, shape)
    centres = _inside(checked_positions(prediction, "The prediction"), diameter, shape)
    overlaps = _greedy_overlaps(true_centres, centres, diameter)
    # The largest overlaps are taken first, so every match at a higher threshold is one at the lower ones: a single
    # greedy pass serves all thresholds.
    matches = np.array([(overlaps > threshold).sum() for threshold in OVERLAP_THRESHOLDS])
    precision = matches / max(1, len(centres))
    recall = matches / max(1, len(true_centres))
    return ChallengeCurve(float(trapezoid(precision, recall[::-1])), OVERLAP_THRESHOLDS, precision, recall)


def _inside(centres: Positions, diameter: float, shape: tuple[int, int, int]) -> Positions:
    margin = diameter / 2
    return centres[((centres >= margin) & (centres <= np.array(shape) - margin)).all(axis=1)]


def _greedy_overlaps(truth: Positions, prediction: Positions, diameter: float) -> NDArray[np.float64]:
    """Return the overlaps of the pairs of the greedy matching."""
    pairs = close_pairs(truth, prediction, diameter)
    overlap = 1 - pairs.distance / diameter
    order = np.argsort(overlap, kind="stable")[::-1]
    true_taken, taken = bytearray(len(truth)), bytearray(len(prediction))
    matched = []
    # Memory views yield one Python number at a time, where lists of millions of pairs would fill the memory.
    candidates = zip(pairs.truth[order].data, pairs.prediction[order].data, overlap[order].data, strict=True)
    for true_index, index, pair_overlap in candidates:
        if not true_taken[true_index] and not taken[index]:
            true_taken[true_index] = taken[index] = 1
            matched.append(pair_overlap)
    return np.array(matched)
