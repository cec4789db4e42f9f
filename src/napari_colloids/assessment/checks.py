"""Checks beside the digital twins: data thinning, injection and recovery, and the contact edge of g(r)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_colloids.assessment.contact_edge import contact_edge
from napari_colloids.assessment.disagreements import disagreements
from napari_colloids.assessment.injection import Injection, iter_injection
from napari_colloids.assessment.sample_model import fitted_model
from napari_colloids.assessment.thinning import Thinning, iter_thinning
from napari_colloids.formatting import errors_by_axis
from napari_colloids.particles import positions_of
from napari_colloids.progress import as_step

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from napari_colloids.assessment.prediction import Prediction
    from napari_colloids.assessment.twin_set import Target
    from napari_colloids.progress import Progress

#: Steps of the checks.
N_STEPS = 2


@dataclass(frozen=True)
class Checks:
    """What is known of a detection beside the digital twins.

    Attributes
    ----------
    edge_errors
        Localisation errors along ``z`` and ``lateral`` in voxels from the contact edge of g(r) alone; None where too
        few particles are near each other, or sizes that differ blur it more.
    thinning
        Upper bound of the recall, and errors from noise alone; None where it says nothing.
    injection
        Recall and errors of particles drawn into the image; None where it says nothing.
    disagreements
        In which way these and the twins disagree, in words.
    """

    edge_errors: Mapping[str, float] | None = None
    thinning: Thinning | None = None
    injection: Injection | None = None
    disagreements: tuple[str, ...] = ()

    def words(self) -> dict[str, str]:
        """Return what each of the checks says, by its name; those that say nothing are left out."""
        said = {}
        if self.edge_errors is not None:
            said["Contact edge of g(r)"] = f"localisation errors (voxels): {errors_by_axis(self.edge_errors)}"
        if self.injection is not None:
            said["Injection and recovery"] = self.injection.words()
        if self.thinning is not None:
            said["Data thinning"] = self.thinning.words()
        return said

    def as_dict(self) -> dict[str, object]:
        """Return the figures by name."""
        thinning, injection = self.thinning, self.injection
        return {
            "edge_errors": self.edge_errors,
            "thinning": None
            if thinning is None
            else {"recall_at_most": thinning.recall_bound.high, "rmse": thinning.rmse},
            "injection": None if injection is None else {"recall": injection.recall, "rmse": injection.rmse},
            "disagreements": self.disagreements,
        }


def edge_errors(target: Target, polydispersity: float) -> dict[str, float] | None:
    """Return the localisation errors that the contact edge of g(r) tells, in voxels; None where it does not."""
    aspect = target.sample.aspect
    edge = contact_edge(positions_of(target.likely) * [aspect, 1, 1], target.diameter)
    errors = None if edge is None else edge.localisation_errors(polydispersity)
    return None if errors is None else {"z": errors[0] / aspect, "lateral": errors[1]}


def iter_checks(
    target: Target, prediction: Prediction, polydispersity: float, seed: int, steps: tuple[Progress, Progress]
) -> Generator[Progress, None, Checks]:
    """Check what twins predict.

    Parameters
    ----------
    target
        The sample and what was found in it.
    prediction
        Of the twins.
    polydispersity
        Of the particles.
    seed
        Of what is drawn at random.
    steps
        What to yield during data thinning, and during injection.
    """
    edge = edge_errors(target, polydispersity)
    yield steps[0]
    likely = target.likely.reset_index(drop=True)
    model = fitted_model(target.sample, likely, target.measurement, target.diameter)
    if isinstance(model, str):
        return Checks(edge)
    thinning = yield from as_step(
        steps[0], iter_thinning(target.sample, model, likely, target.options, target.diameter, seed)
    )
    injection = yield from as_step(
        steps[1], iter_injection(target.sample, model, target.options, target.diameter, seed)
    )
    halves = None if isinstance(thinning, str) else thinning
    drawn = None if isinstance(injection, str) else injection
    return Checks(edge, halves, drawn, tuple(disagreements(prediction, edge, halves, drawn)))
