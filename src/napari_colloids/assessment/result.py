"""Result of an assessment: precision, recall and localisation error that a stack's digital twin predicts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.jsonable import jsonable
from napari_colloids.plotting import axes_or_new

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from napari_colloids.assessment.interval import Interval
    from napari_colloids.assessment.quality import ImageQuality
    from napari_colloids.simulation import Parameters
    from napari_colloids.stack import Stack

#: Precision that `Assessment.threshold_for_95` is for.
WANTED_PRECISION = 0.95


@dataclass(frozen=True, eq=False)
class Assessment:
    """How far the particles found in a stack can be trusted, without any ground truth.

    Attributes
    ----------
    describes
        Whether the digital twin describes the stack; where it does not, precision, recall and localisation errors are
        None.
    reasons
        In which way it does not, in words.
    quality
        What was measured of the image.
    precision, recall
        Predicted for the particles above `threshold`.
    rmse
        Predicted localisation error along z, y and x in voxels.
    threshold
        Minimum confidence.
    thresholds, precision_at, recall_at
        Precision and recall against the threshold; empty where there is no twin.
    parameters
        Of the twins; None where none could be made.
    particles
        What was found in the part of the stack that was assessed, in its voxels.
    sample, twin
        That part, with bright particles on a grey scale from 0, and one of the twins; None where none could be made.
    comparison
        What was compared, by name: ``sample``, mean (``twins``) and standard ``deviation`` of the twins, and the
        ``difference`` over what is tolerated; empty where there is no twin.
    n_twins
        How many stacks were simulated.
    notices
        Of the search.

    See Also
    --------
    assess : Makes one.
    """

    describes: bool
    reasons: tuple[str, ...]
    quality: ImageQuality | None
    precision: Interval | None
    recall: Interval | None
    rmse: dict[str, float] | None
    threshold: float
    thresholds: NDArray[np.float64]
    precision_at: NDArray[np.float64]
    recall_at: NDArray[np.float64]
    parameters: Parameters | None
    particles: pd.DataFrame
    sample: Stack
    twin: Stack | None
    comparison: pd.DataFrame
    n_twins: int
    notices: tuple[str, ...] = ()

    @property
    def threshold_for_95(self) -> float | None:
        """Lowest threshold with a predicted precision of 95 %; None where there is none, or no prediction."""
        if not self.describes:
            return None
        enough = self.precision_at >= WANTED_PRECISION
        # The lowest one from which on it is always enough.
        first = len(enough) - int(np.argmin(enough[::-1])) if not enough.all() else 0
        return float(self.thresholds[first]) if first < len(enough) else None

    def __repr__(self) -> str:
        lines = [f"Assessment({len(self.particles)} particles in the part assessed"]
        if self.describes and self.rmse is not None:
            rmse = ", ".join(f"{axis} {value:.2g}" for axis, value in self.rmse.items())
            lines += [
                f"predicted precision {self.precision!r}, recall {self.recall!r}",
                f"RMSE (voxels): {rmse}; {self.n_twins} twins, threshold {self.threshold:.2f}",
            ]
        else:
            lines += ["no prediction, as no model here describes this stack:", *self.reasons]
        return "\n           ".join(lines) + ")"

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw predicted precision and recall against the threshold.

        Parameters
        ----------
        ax
            Axes to draw on; None makes a new figure.

        Returns
        -------
        matplotlib.axes.Axes
        """
        ax = axes_or_new(ax)
        ax.plot(self.thresholds, self.precision_at, label="precision")
        ax.plot(self.thresholds, self.recall_at, label="recall")
        ax.axvline(self.threshold, color="0.5", linestyle="dotted", label="threshold")
        ax.set_xlabel("threshold")
        ax.set_ylabel("predicted precision, recall")
        ax.set_ylim(0, 1.02)
        ax.legend(frameon=False, labelcolor="linecolor")  # on a dark background, too
        return ax

    def as_dict(self) -> dict[str, object]:
        """Return the figures as plain numbers, lists and dicts; NaN becomes None."""
        quality = self.quality
        measured = {} if quality is None else quality.as_dict()
        figures = {
            "precision": None if self.precision is None else self.precision.as_dict(),
            "recall": None if self.recall is None else self.recall.as_dict(),
            "rmse": self.rmse,
            "describes": self.describes,
            "reasons": list(self.reasons),
            "threshold": self.threshold,
            "threshold_for_95": self.threshold_for_95,
            "particles": len(self.particles),
            "twins": self.n_twins,
            "notices": list(self.notices),
            "parameters": self.parameters,
            "comparison": self.comparison.to_dict("index"),
        }
        return {name: jsonable(value) for name, value in {**figures, **measured}.items()}

    def to_json(self) -> str:
        """Return the figures as one JSON object."""
        return json.dumps(self.as_dict())
