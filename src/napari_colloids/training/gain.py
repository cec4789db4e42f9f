"""What a network finds in held-out twins of a stack: the figures before and after it was trained on others."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_colloids.assessment.twin import iter_twin
from napari_colloids.particles import POSITION
from napari_colloids.progress import result_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_colloids.detection import Options
    from napari_colloids.scoring import Score
    from napari_colloids.simulation import Parameters

#: Seed of the first held-out twin: those that the parameters were corrected with have smaller ones.
_FIRST_SEED = 10**6


@dataclass(frozen=True)
class Accuracy:
    """What a network finds in several stacks of known truth, all their particles together.

    Attributes
    ----------
    precision, recall, f1
        For the threshold in use.
    rmse
        Localisation error along ``z``, ``y`` and ``x`` in voxels; NaN where nothing is found.
    """

    precision: float
    recall: float
    f1: float
    rmse: Mapping[str, float]

    @classmethod
    def of(cls, scores: Sequence[Score]) -> Accuracy:
        """Return the figures of all particles of several scores together."""
        true = sum(score.true_positives for score in scores)
        false = sum(score.false_positives for score in scores)
        missed = sum(score.false_negatives for score in scores)
        found = [score for score in scores if score.true_positives]
        squares = {axis: sum(score.true_positives * score.rmse[axis] ** 2 for score in found) for axis in POSITION}
        return cls(
            true / max(true + false, 1),
            true / max(true + missed, 1),
            2 * true / max(2 * true + false + missed, 1),
            {axis: math.sqrt(square / true) if true else math.nan for axis, square in squares.items()},
        )

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Accuracy:
        """Return what was written as JSON, where NaN is null."""
        rmse = {axis: math.nan if error is None else error for axis, error in values["rmse"].items()}
        return cls(values["precision"], values["recall"], values["f1"], rmse)

    def __str__(self) -> str:
        errors = ", ".join(f"{axis} {error:.2f}" for axis, error in self.rmse.items())
        return (
            f"precision {self.precision:.3f}, recall {self.recall:.3f}, F1 {self.f1:.3f}, "
            f"localisation error (RMSE, voxels) {errors}"
        )


def accuracy_on_twins(parameters: Parameters, options: Options, diameter: float, count: int) -> Accuracy:
    """Search held-out twins, and return how right what is found in them is.

    Parameters
    ----------
    parameters
        Of the twins, but for the seed.
    options
        Of the search, with the weights.
    diameter
        That is searched for, in lateral voxels.
    count
        Number of twins; the same number gives the same ones.
    """
    seeds = range(_FIRST_SEED, _FIRST_SEED + count)
    twins = (result_of(iter_twin(replace(parameters, seed=seed), options, diameter)) for seed in seeds)
    return Accuracy.of([twin.score for twin in twins])
