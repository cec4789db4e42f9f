"""Precision-recall curve: precision and recall as the confidence threshold is lowered, and average precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_colloids.plotting import axes_or_new
from napari_colloids.scoring.matching import assign, match
from napari_colloids.scoring.pairs import close_pairs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from napari_colloids.scoring.inputs import Positions

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class PrecisionRecallCurve:
    r"""Precision-recall curve: precision and recall against the confidence threshold.

    .. math::

        \mathrm{AP} = \sum_k P_k \, (R_k - R_{k-1}), \qquad R_0 = 0

    Attributes
    ----------
    confidence
        Every confidence that occurs, falling; predictions of at least this confidence count.
    precision, recall
        At each of these thresholds; 0 where undefined.

    See Also
    --------
    score : Has one as its attribute ``curve``.

    Examples
    --------
    Of three predictions the second is false:

    >>> import numpy as np
    >>> from napari_colloids.scoring import PrecisionRecallCurve
    >>> PrecisionRecallCurve(
    ...     confidence=np.array([0.9, 0.8, 0.7]),
    ...     precision=np.array([1, 1 / 2, 2 / 3]),
    ...     recall=np.array([0.5, 0.5, 1.0]),
    ... )
    PrecisionRecallCurve(average precision = 0.833, 3 thresholds from 0.9 to 0.7)
    """

    confidence: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]

    def __repr__(self) -> str:
        reach = f" from {self.confidence[0]:.3g} to {self.confidence[-1]:.3g}" if len(self.confidence) else ""
        thresholds = f"{len(self.confidence)} thresholds{reach}"
        return f"PrecisionRecallCurve(average precision = {self.average_precision:.3g}, {thresholds})"

    @property
    def average_precision(self) -> float:
        """Average precision (AP): precision averaged over the recall gained at each step, without interpolation."""
        return float(np.sum(np.diff(self.recall, prepend=0.0) * self.precision))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw precision against recall.

        Parameters
        ----------
        ax
            Axes to draw on; None makes a new figure.

        Returns
        -------
        matplotlib.axes.Axes
        """
        ax = axes_or_new(ax)
        ax.plot(self.recall, self.precision, label=f"AP = {self.average_precision:.3f}")
        ax.set_xlim(0, 1.02)
        ax.set_ylim(0, 1.05)
        ax.set_xlabel("recall")
        ax.set_ylabel("precision")
        return ax


def precision_recall_curve(
    truth: Positions,
    prediction: Positions,
    confidence: NDArray[np.float64],
    max_distance: float,
    *,
    required: Mask,
    penalised: Mask,
) -> PrecisionRecallCurve:
    """Return the precision-recall curve, from the most confident prediction to the least.

    Parameters
    ----------
    truth, prediction
        Positions of shape ``(N, 3)`` and ``(M, 3)``.
    confidence
        Shape ``(M,)``. Predictions of the same confidence enter together, so equal confidences throughout make a
        curve of one point, whose average precision is precision x recall.
    max_distance
        Greatest distance of a match.
    required
        Truths that count, shape ``(N,)``; a prediction matched to another one is ignored.
    penalised
        Predictions that are false positives where they match nothing, shape ``(M,)``; others are ignored then.

    Notes
    -----
    The match of a prediction must not depend on predictions of lower confidence. A prediction counts as matched if it
    raises the largest possible number of matches among those at least as confident; the predictions that do so are
    the ones that the cheapest largest matching uses when a match costs the rank of its prediction (matchings form a
    transversal matroid [1]_). At every threshold the matching is thus optimal for the predictions above it. Where
    several predictions could match a truth, the most confident one does; `match`, behind the figures of a `Score`,
    takes the nearest. As many match either way, but precision and recall at the end of the curve can differ from those
    figures where some of these truths and predictions are at the border and do not count.

    References
    ----------
    .. [1] Edmonds and Fulkerson, "Transversals and matroid partition", J. Res. Natl. Bur. Stand. 69B, 147 (1965).
    """
    pairs = close_pairs(truth, prediction, max_distance)
    nearest = np.full(len(prediction), np.inf)
    np.minimum.at(nearest, pairs.prediction, pairs.distance)
    order = np.lexsort((nearest, -confidence))
    rank = np.empty(len(prediction))
    rank[order] = np.arange(len(prediction))
    matched = np.unique(pairs.prediction[assign(pairs, rank[pairs.prediction] / len(prediction))])

    partners = match(truth, prediction[matched], max_distance)
    true_positive = np.zeros(len(prediction), bool)
    true_positive[matched[partners.prediction_index[required[partners.truth_index]]]] = True
    false_positive = penalised.copy()
    false_positive[matched] = False

    steps = np.flatnonzero(np.diff(confidence[order], append=-np.inf))
    hits = np.cumsum(true_positive[order])[steps]
    counted = hits + np.cumsum(false_positive[order])[steps]
    return PrecisionRecallCurve(
        confidence=confidence[order][steps],
        precision=hits / np.maximum(1, counted),
        recall=hits / max(1, int(required.sum())),
    )
