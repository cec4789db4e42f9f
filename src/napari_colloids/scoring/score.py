"""Score of a detection against the ground truth: precision, recall, average precision, localisation error."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from napari_colloids.errors import ColloidsError
from napari_colloids.jsonable import jsonable
from napari_colloids.particles import POSITION
from napari_colloids.scoring.challenge import challenge_ap
from napari_colloids.scoring.inputs import (
    Positions,
    checked_aspect,
    checked_length,
    checked_positions,
    checked_shape,
)
from napari_colloids.scoring.matching import Matching, match
from napari_colloids.scoring.ranking import Mask, PrecisionRecallCurve, precision_recall_curve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

#: Greatest distances of a match for which the average precision is given, in diameters.
AP_DISTANCES_DIAMETERS = (0.1, 0.25, 0.5)
#: Number of slabs of equal thickness along z for the recall against depth.
DEPTH_BINS = 10


@dataclass(frozen=True, eq=False)
class Score:
    r"""Score of a detection. Ratios are 0 where undefined, as in the challenge; other undefined figures are NaN.

    .. math::

        \text{precision} = \frac{TP}{TP + FP}, \qquad \text{recall} = \frac{TP}{TP + FN}, \qquad
        F_1 = \frac{2\,TP}{2\,TP + FP + FN}

    with the numbers of true positives (TP), false positives (FP) and false negatives (FN).

    Attributes
    ----------
    diameter, max_distance
        In lateral voxels; a match is at most `max_distance` away.
    challenge_ap
        The challenge's average precision (`challenge_curve`).
    precision, recall, f1
        Of all predictions, whatever their confidence.
    true_positives, false_positives, false_negatives
        The counts behind them.
    ignored_truths, ignored_predictions
        How many were left out because of the border.
    rmse, bias
        Localisation error: root mean square and mean of prediction minus truth over the true positives, by axis
        (z, y, x) in voxels.
    ap
        Average precision, ranked by confidence, at `max_distance`: the area under `curve`.
    ap_at
        The same at 0.1, 0.25 and 0.5 diameters (the keys).
    curve
        Precision-recall curve against the confidence threshold. It ends at `precision` and `recall`, or near them:
        where several predictions could match a truth it counts the most confident, they the nearest, which can make a
        difference at the border.
    depth_edges, recall_by_depth
        Recall in slabs along z: ``n + 1`` edges in voxels and ``n`` recalls, NaN where a slab has no truth.
    true_positive_mask, false_positive_mask
        Over the predictions; ignored ones are in neither.
    missed_mask
        Over the truths: the false negatives.

    See Also
    --------
    score : Computes it.

    Examples
    --------
    >>> from napari_colloids import score
    >>> result = score([[16, 16, 16]], [[16, 16, 15.5]], diameter=8, shape=(32, 32, 32))
    >>> result.rmse["x"]
    0.5
    >>> result.plot().get_ylabel()
    'precision'
    """

    diameter: float
    max_distance: float
    challenge_ap: float
    precision: float
    recall: float
    f1: float
    true_positives: int
    false_positives: int
    false_negatives: int
    ignored_truths: int
    ignored_predictions: int
    rmse: dict[str, float]
    bias: dict[str, float]
    ap: float
    ap_at: dict[float, float]
    curve: PrecisionRecallCurve
    depth_edges: NDArray[np.float64]
    recall_by_depth: NDArray[np.float64]
    true_positive_mask: Mask
    false_positive_mask: Mask
    missed_mask: Mask

    def __repr__(self) -> str:
        ap_at = ", ".join(f"{ap:.3f} at {part:g} d" for part, ap in self.ap_at.items())
        rmse, bias = (", ".join(f"{axis} {error:.3g}" for axis, error in by.items()) for by in (self.rmse, self.bias))
        return (
            f"Score(precision = {self.precision:.3f}, recall = {self.recall:.3f}, F1 = {self.f1:.3f},\n"
            f"      {self.true_positives} true positives, {self.false_positives} false positives, "
            f"{self.false_negatives} false negatives,\n"
            f"      ignored at the border: {self.ignored_truths} truths, {self.ignored_predictions} predictions,\n"
            f"      average precision = {self.ap:.3f}; {ap_at}; of the challenge: {self.challenge_ap:.3f},\n"
            f"      RMSE (voxels): {rmse}; bias (voxels): {bias},\n"
            f"      diameter d = {self.diameter:g} px, greatest distance of a match = {self.max_distance:g} px)"
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the precision-recall curve, and as a dot precision and recall of all predictions.

        Parameters
        ----------
        ax
            Axes to draw on; None makes a new figure.

        Returns
        -------
        matplotlib.axes.Axes
        """
        drawn = self.curve.plot(ax)
        drawn.plot(self.recall, self.precision, "o", label=f"all predictions, F1 = {self.f1:.3f}")
        if ax is None:
            drawn.legend()
        return drawn

    def as_dict(self) -> dict[str, object]:
        """Return the figures (without curve and masks) as plain numbers, lists and dicts; NaN becomes None."""
        names = [
            *("challenge_ap", "precision", "recall", "f1", "true_positives", "false_positives", "false_negatives"),
            *("rmse", "ap", "ap_at", "bias", "ignored_truths", "ignored_predictions", "diameter", "max_distance"),
            *("depth_edges", "recall_by_depth"),
        ]
        return {name: jsonable(getattr(self, name)) for name in names}

    def to_json(self) -> str:
        """Return the figures as one JSON object."""
        return json.dumps(self.as_dict())


def score(
    truth: pd.DataFrame | ArrayLike,
    prediction: pd.DataFrame | ArrayLike,
    *,
    diameter: float,
    shape: Sequence[int],
    max_distance: float | None = None,
    voxel_size: Sequence[float] | None = None,
) -> Score:
    r"""Score a detection against the ground truth.

    True and detected particles are matched one-to-one within `max_distance`; matched ones are true positives (TP),
    detected ones without a match false positives (FP), true ones without a match false negatives (FN):

    .. math::

        \text{precision} = \frac{TP}{TP + FP}, \qquad \text{recall} = \frac{TP}{TP + FN}

    Parameters
    ----------
    truth, prediction
        Particle tables, or arrays of shape ``(N, 3)``: z, y, x in voxels. The column ``confidence`` of the
        prediction ranks it; without one, all predictions are equally confident and AP is precision x recall.
    diameter
        Particle diameter in lateral voxels.
    shape
        Shape of the stack ``(z, y, x)`` in voxels.
    max_distance
        Greatest distance of a match in lateral voxels; half a diameter where None.
    voxel_size
        Edge lengths of a voxel ``(z, y, x)`` in any unit, so that distances are right with anisotropic voxels. None
        takes what the tables' columns in micrometres imply, and isotropic voxels where there are none. The challenge's
        figure always takes voxels as isotropic.

    Returns
    -------
    Score

    Raises
    ------
    ColloidsError
        If positions, confidences, diameter, shape, distance or voxel size are not valid.

    See Also
    --------
    match : The matching alone.
    challenge_ap : The challenge's average precision.

    Notes
    -----
    The assignment is optimal (`match`) and includes all particles, those at the border as well. The **border** is where
    a sphere of this diameter would stick out of the stack: a centre within d/2 of a face, the faces lying at -0.5 and
    L - 0.5 because voxel centres are at integers. There the truth cannot be complete, since spheres centred outside
    are imaged but not listed. So whether a particle must be found depends on the position of the *truth*:

    - a truth off the border must be found: matched it is a true positive, wherever the prediction lies, and
      otherwise a false negative;
    - a truth at the border need not be found, and the prediction that matches it is ignored;
    - a prediction that matches nothing is a false positive, unless it lies itself at the border (or outside of the
      stack): then it is ignored.

    A detection can therefore not lose a particle by placing it on the wrong side of the border line.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_colloids import score
    >>> truth = 10.0 * np.indices((4, 4, 4)).reshape(3, -1).T + 10
    >>> prediction = truth[:48] + [0.5, 0.0, 0.0]
    >>> prediction[0] += [0, 0, 5]  # half way between two particles
    >>> score(truth, prediction, diameter=8, shape=(50, 50, 50))
    Score(precision = 0.979, recall = 0.734, F1 = 0.839,
          47 true positives, 1 false positives, 17 false negatives,
          ignored at the border: 0 truths, 0 predictions,
          average precision = 0.719; 0.719 at 0.1 d, 0.719 at 0.25 d, 0.719 at 0.5 d; of the challenge: 0.750,
          RMSE (voxels): z 0.5, y 0, x 0; bias (voxels): z 0.5, y 0, x 0,
          diameter d = 8 px, greatest distance of a match = 4 px)
    """
    diameter, shape = checked_length(diameter), checked_shape(shape)
    reach = diameter / 2 if max_distance is None else checked_length(max_distance, "greatest distance of a match")
    true_centres = checked_positions(truth, "The truth")
    centres = checked_positions(prediction, "The prediction")
    confidence = _confidence(prediction, len(centres))

    scale = checked_aspect(voxel_size, truth, prediction)
    required = off_border(true_centres, diameter, shape, scale)
    penalised = off_border(centres, diameter, shape, scale)
    matching = match(true_centres * scale, centres * scale, reach)

    def curve_at(distance: float) -> PrecisionRecallCurve:
        return precision_recall_curve(
            true_centres * scale, centres * scale, confidence, distance, required=required, penalised=penalised
        )

    curve = curve_at(reach)
    hit = required[matching.truth_index]
    true_positive, missed = np.zeros(len(centres), bool), required.copy()
    true_positive[matching.prediction_index[hit]] = True
    missed[matching.truth_index] = False
    false_positive = penalised.copy()
    false_positive[matching.prediction_index] = False
    n_true, n_false, n_missed = int(true_positive.sum()), int(false_positive.sum()), int(missed.sum())
    edges = np.linspace(-0.5, shape[0] - 0.5, DEPTH_BINS + 1)
    error = _errors(true_centres, centres, matching, hit)
    return Score(
        diameter=diameter,
        max_distance=reach,
        challenge_ap=challenge_ap(true_centres, centres, diameter, shape),
        precision=n_true / max(1, n_true + n_false),
        recall=n_true / max(1, n_true + n_missed),
        f1=2 * n_true / max(1, 2 * n_true + n_false + n_missed),
        true_positives=n_true,
        false_positives=n_false,
        false_negatives=n_missed,
        ignored_truths=len(true_centres) - n_true - n_missed,
        ignored_predictions=len(centres) - n_true - n_false,
        rmse=dict(zip(POSITION, np.sqrt(_mean(error**2)).tolist(), strict=True)),
        bias=dict(zip(POSITION, _mean(error).tolist(), strict=True)),
        ap=curve.average_precision,
        ap_at={
            part: (curve if part * diameter == reach else curve_at(part * diameter)).average_precision
            for part in AP_DISTANCES_DIAMETERS
        },
        curve=curve,
        depth_edges=edges,
        recall_by_depth=_recall_by_depth(true_centres[required, 0], true_centres[missed, 0], edges),
        true_positive_mask=true_positive,
        false_positive_mask=false_positive,
        missed_mask=missed,
    )


def _confidence(prediction: pd.DataFrame | ArrayLike, n: int) -> NDArray[np.float64]:
    if not isinstance(prediction, pd.DataFrame) or "confidence" not in prediction:
        return np.ones(n)
    confidence = prediction["confidence"].to_numpy(dtype=float)
    if not np.isfinite(confidence).all():
        raise ColloidsError(
            "The prediction has confidences that are not numbers; fill them in, or drop the column to score without."
        )
    return confidence


def off_border(centres: Positions, diameter: float, shape: tuple[int, int, int], scale: NDArray[np.float64]) -> Mask:
    """Return which spheres of a diameter lie wholly in a stack; `scale` turns its voxels into lateral ones."""
    margin = diameter / 2 / scale - 0.5
    return np.asarray(((centres >= margin) & (centres <= np.array(shape) - 1 - margin)).all(axis=1))


def _errors(truth: Positions, prediction: Positions, matching: Matching, hit: Mask) -> Positions:
    return prediction[matching.prediction_index[hit]] - truth[matching.truth_index[hit]]


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values.mean(axis=0) if len(values) else np.full(values.shape[1], np.nan)


def _recall_by_depth(
    required_z: NDArray[np.float64], missed_z: NDArray[np.float64], edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    required, missed = np.histogram(required_z, edges)[0], np.histogram(missed_z, edges)[0]
    return np.divide(required - missed, required, out=np.full(len(required), np.nan), where=required > 0)
