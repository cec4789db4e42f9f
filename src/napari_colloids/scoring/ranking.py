"""Precision and recall as the confidence threshold is lowered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_colloids.scoring.matching import assign, match
from napari_colloids.scoring.pairs import close_pairs

if TYPE_CHECKING:
    from napari_colloids.scoring.inputs import Positions

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class PrecisionRecallCurve:
    """Precision and recall against the confidence threshold.

    Attributes
    ----------
    confidence
        Every confidence that occurs, falling; predictions of at least this confidence count.
    precision, recall
        At each of these thresholds; 0 where undefined.
    """

    confidence: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]

    @property
    def average_precision(self) -> float:
        """Precision averaged over the recall gained at each step; nothing is interpolated."""
        return float(np.sum(np.diff(self.recall, prepend=0.0) * self.precision))


def precision_recall_curve(
    truth: Positions,
    prediction: Positions,
    confidence: NDArray[np.float64],
    max_distance: float,
    *,
    required: Mask,
    punished: Mask,
) -> PrecisionRecallCurve:
    """Follow precision and recall from the most confident prediction to the least.

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
    punished
        Predictions that are false where they match nothing, shape ``(M,)``; others are ignored then.

    Notes
    -----
    Whom a prediction matches must not depend on predictions of less confidence. A prediction counts as matched if it
    raises the largest possible number of matches among those at least as confident; the predictions that do so are
    the ones that the cheapest largest matching uses when a match costs the rank of its prediction (matchings form a
    transversal matroid). At every threshold the matching is thus optimal for what is above it. Where several
    predictions could match a truth, the surest one does; `match`, behind the figures of a `Score`, takes the nearest.
    As many match either way, but precision and recall at the end of the curve can differ from those figures where some
    of these truths and predictions are at the border and do not count.
    """
    pairs = close_pairs(truth, prediction, max_distance)
    nearest = np.full(len(prediction), np.inf)
    np.minimum.at(nearest, pairs.prediction, pairs.distance)
    order = np.lexsort((nearest, -confidence))
    rank = np.empty(len(prediction))
    rank[order] = np.arange(len(prediction))
    matched = np.unique(pairs.prediction[assign(pairs, rank[pairs.prediction] / max(1, len(prediction)))])

    partners = match(truth, prediction[matched], max_distance)
    true_positive = np.zeros(len(prediction), bool)
    true_positive[matched[partners.prediction_index[required[partners.truth_index]]]] = True
    false_positive = punished.copy()
    false_positive[matched] = False

    steps = np.flatnonzero(np.diff(confidence[order], append=-np.inf))
    hits = np.cumsum(true_positive[order])[steps]
    counted = hits + np.cumsum(false_positive[order])[steps]
    return PrecisionRecallCurve(
        confidence=confidence[order][steps],
        precision=hits / np.maximum(1, counted),
        recall=hits / max(1, int(required.sum())),
    )
