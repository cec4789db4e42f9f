"""Result of an assessment: precision, recall and localisation error that a stack's digital twin predicts."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from napari_colloids.assessment.checks import Checks
from napari_colloids.assessment.description import COMPARED
from napari_colloids.errors import ColloidsError
from napari_colloids.jsonable import jsonable
from napari_colloids.plotting import axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from napari_colloids.assessment.prediction import Prediction
    from napari_colloids.assessment.quality import ImageQuality
    from napari_colloids.simulation import Simulation
    from napari_colloids.stack import Stack

#: Precision that `Assessment.threshold_for_95` is for.
_WANTED_PRECISION = 0.95


@dataclass(frozen=True, eq=False)
class Assessment:
    """How far the particles found in a stack can be trusted, without any ground truth.

    Attributes
    ----------
    particles
        What was found above the threshold in the part of the stack that was assessed, in its voxels.
    sample
        That part, with bright particles on a grey scale from 0.
    threshold
        Minimum confidence.
    notices
        Of the search.
    quality
        What was measured of the image; None where it cannot be.
    twin
        One of the twins, also where hardly anything is found in most; None where none could be made.
    n_twins
        How many stacks were simulated.
    arranged_as_found
        Whether their particles are arranged as those that were found, as a random packing does not describe these.
    comparison
        What was compared, by name: ``sample``, mean (``twins``) and standard ``deviation`` of the twins, and the
        ``difference`` over what is tolerated; empty where there is no twin.
    reasons
        In which way the twins do not describe the stack, in words.
    prediction
        Of precision, recall and localisation error; None where the twins do not describe the stack.
    checks
        What is known beside the twins.

    See Also
    --------
    assess : Makes one.

    Examples
    --------
    >>> import napari_colloids as nc
    >>> import numpy as np
    >>> noise = np.random.default_rng(0).normal(100, 20, (16, 32, 32)).astype(np.uint8)
    >>> nc.assess(noise, diameter=8, device="cpu")
    Assessment(0 particles in the part assessed, threshold 0.65,
               no prediction:
               only 0 particles were found in the part that is assessed)
    """

    particles: pd.DataFrame
    sample: Stack
    threshold: float
    notices: tuple[str, ...] = ()
    quality: ImageQuality | None = None
    twin: Simulation | None = None
    n_twins: int = 0
    arranged_as_found: bool = False
    comparison: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=COMPARED))
    reasons: tuple[str, ...] = ()
    prediction: Prediction | None = None
    checks: Checks = field(default_factory=Checks)

    @property
    def describes(self) -> bool:
        """Whether the digital twin describes the stack."""
        return self.prediction is not None

    @property
    def threshold_for_95(self) -> float | None:
        """Lowest threshold with a predicted precision of 95 %; None where there is none, or no prediction."""
        return None if self.prediction is None else self.prediction.threshold_for(_WANTED_PRECISION)

    def __repr__(self) -> str:
        lines = [f"Assessment({len(self.particles)} particles in the part assessed, threshold {self.threshold:.2f},"]
        if self.prediction is None:
            return "\n           ".join([*lines, "no prediction:", *self.reasons]) + ")"
        rmse = ", ".join(f"{axis} {value:.2g}" for axis, value in self.prediction.rmse.items())
        lines += [
            f"predicted from {self.n_twins} twins:",
            f"precision {self.prediction.precision!r}, recall {self.prediction.recall!r},",
            f"RMSE (voxels): {rmse};",
            *(f"{name}: {words}" for name, words in self.checks.words().items()),
            *self.checks.disagreements,
        ]
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

        Raises
        ------
        ColloidsError
            If there is no prediction.
        """
        predicted = self.prediction
        if predicted is None:
            raise ColloidsError(f"There is no prediction to be drawn: {'; '.join(self.reasons)}.")
        ax = axes_or_new(ax)
        ax.plot(predicted.thresholds, predicted.precision_at, label="precision")
        ax.plot(predicted.thresholds, predicted.recall_at, label="recall")
        ax.axvline(self.threshold, color="0.5", linestyle="dotted", label="threshold")
        ax.set_xlabel("threshold")
        ax.set_ylabel("predicted precision, recall")
        ax.set_ylim(0, 1.02)
        ax.legend(frameon=False, labelcolor="linecolor")  # on a dark background, too
        return ax

    def as_dict(self) -> dict[str, object]:
        """Return the figures as plain numbers, lists and dicts; NaN becomes None."""
        predicted = self.prediction
        figures = {
            "precision": None if predicted is None else predicted.precision,
            "recall": None if predicted is None else predicted.recall,
            "rmse": None if predicted is None else predicted.rmse,
            **self.checks.as_dict(),
            "describes": self.describes,
            "reasons": self.reasons,
            **({} if self.quality is None else self.quality.as_dict()),
            "threshold": self.threshold,
            "threshold_for_95": self.threshold_for_95,
            "particles": len(self.particles),
            "twins": self.n_twins,
            "arranged_as_found": self.arranged_as_found,
            "voxel_size": self.sample.voxel_size,
            "assumed": self.sample.assumed,
            "notices": self.notices,
            "parameters": None if self.twin is None else self.twin.parameters,
            "comparison": self.comparison.to_dict("index"),
        }
        return {name: jsonable(value) for name, value in figures.items()}

    def to_json(self) -> str:
        """Return the figures as one JSON object."""
        return json.dumps(self.as_dict())
