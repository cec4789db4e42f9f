"""Prediction of precision, recall and localisation error from digital twins, against the threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_colloids.interval import Interval


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the digital twins of a stack predict.

    Attributes
    ----------
    precision, recall
        For the particles above the threshold in use.
    rmse
        Localisation error along z, y and x in voxels.
    thresholds, precision_at, recall_at
        Precision and recall against the threshold.
    """

    precision: Interval
    recall: Interval
    rmse: dict[str, float]
    thresholds: NDArray[np.float64]
    precision_at: NDArray[np.float64]
    recall_at: NDArray[np.float64]

    def threshold_for(self, precision: float) -> float | None:
        """Return the lowest threshold from which on the predicted precision is at least this; None without one."""
        too_low = np.flatnonzero(self.precision_at < precision)
        first = int(too_low[-1]) + 1 if len(too_low) else 0
        return float(self.thresholds[first]) if first < len(self.thresholds) else None
