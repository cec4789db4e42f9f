"""`assess`: how far what is found in a stack can be trusted, from simulated twins of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from napari_colloids.assessment.description import COMPARED, MIN_PARTICLES, compared, features_of, reasons_of
from napari_colloids.assessment.interval import Interval, ratio_interval
from napari_colloids.assessment.measurement import Measurement, measured
from napari_colloids.assessment.quality import ImageQuality
from napari_colloids.assessment.result import Assessment
from napari_colloids.assessment.sample import Sample
from napari_colloids.assessment.twin import FLOOR, Twin, corrected, iter_search, iter_twin, twin_parameters
from napari_colloids.detection import Options, Part, Record
from napari_colloids.detection.detector import selection
from napari_colloids.detection.inputs import input_stack
from napari_colloids.detection.plan import iter_plan
from napari_colloids.particles import POSITION
from napari_colloids.progress import Progress, result_of
from napari_colloids.settings import takes_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from os import PathLike
    from typing import Unpack

    from numpy.typing import ArrayLike, NDArray

    from napari_colloids.detection.options import OptionChanges
    from napari_colloids.simulation import Parameters
    from napari_colloids.stack import Stack

#: Twins that precision and recall are taken from, and those before them that only bring density and brightness right.
N_TWINS, _N_CORRECTIONS = 6, 3
#: Thresholds for which precision and recall are predicted.
_THRESHOLDS = np.round(np.arange(FLOOR, 1.0, 0.01), 2)
#: Standard deviation of the volume fraction from what a twin has otherwise than the stack: a radius that is off by 1 %
#: makes 3 % of it, and the PSF can hide as much.
_VOLUME_FRACTION_MISMATCH = 0.05
#: Polydispersity from which sizes are too different for a twin of one normal distribution.
_MAX_POLYDISPERSITY = 0.25


@takes_settings(Options)
def assess(
    stack: Stack | ArrayLike | str | PathLike[str],
    options: Options | None = None,
    /,
    *,
    voxel_size: Sequence[float] | None = None,
    frame: int = 0,
    channel: int = 0,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    **changes: Unpack[OptionChanges],
) -> Assessment:
    r"""Predict precision, recall and localisation error of a detection without ground truth, by a digital twin.

    Optics, noise, brightness, sizes and density are measured on the middle of the stack; stacks are simulated with
    them, searched with the same settings and scored. Density, spread of the brightness and of the sizes are corrected
    for what is missed. Where the twins differ from the stack in what can be compared without truth, there is no
    prediction, and the result says in which way they differ.

    Parameters
    ----------
    stack
        A `Stack`, an array ``(z, y, x)``, or the name of a file.
    options
        The settings of the search; keywords below replace single ones.
    voxel_size
        Micrometres ``(z, y, x)``, in place of that of the stack or file.
    frame, channel
        Which volume of a time series or of several channels.
    seed
        Of the simulated stacks.
    progress
        Called with the number of steps done and their total.
    {settings}

    Returns
    -------
    Assessment

    Raises
    ------
    ColloidsError
        If the stack or a setting cannot be used.

    See Also
    --------
    score : against a ground truth.
    compare : two detections with each other.

    Notes
    -----
    The twins have the physics that the network has learnt: what neither knows (rods, shaken slices, inclusions) they
    can only refuse. A ratio is that of all twins together; its interval includes their scatter, the number of particles
    in the stack, and what twins and stacks of another simulator differ by.

    Examples
    --------
    >>> import napari_colloids as nc
    >>> simulated = nc.simulate(shape=(48, 48, 48), volume_fraction=0.4, radius=5, seed=1)
    >>> assessment = nc.assess(simulated.stack, diameter=10, device="cpu")
    >>> assessment.describes
    True
    >>> bool(assessment.precision.low > 0.9)
    True
    """
    settings, _, deprecated = selection(options, dict(changes), None)
    part = deprecated or Part(frame, channel)
    return result_of(iter_assess(input_stack(stack, voxel_size), settings, part, seed), progress)


def iter_assess(
    stack: Stack, options: Options, part: Part | None = None, seed: int = 0
) -> Generator[Progress, None, Assessment]:
    """Assess a stack in steps, for worker threads; closing the generator cancels.

    Parameters
    ----------
    stack, options, seed
        As in `assess`.
    part
        Which volume of a series; None for the first.

    Yields
    ------
    Progress
        Several times per simulated stack.

    Returns
    -------
    Assessment
        As that of `assess`.
    """
    part = part or Part()
    plan = yield from iter_plan(stack, part, options)
    sample = Sample.of(stack, part, plan.diameter, dark=options.dark)
    found = yield from iter_search(sample.stack, options, plan.diameter)
    threshold = options.effective_threshold
    likely = found[found["confidence"] >= threshold]
    base = _Base(threshold, likely, sample.stack, (*plan.notices, *Record.from_attrs(found.attrs).notices))
    if len(likely) < MIN_PARTICLES:
        return base.declined([f"only {len(likely)} particles were found in the part that is assessed"])
    target = measured(sample.stack, likely, plan.diameter)
    if isinstance(target, str):
        return base.declined([target])
    twins, parameters = yield from _iter_twins(sample, target, options, plan.diameter, seed)
    quality = ImageQuality.of(target, sample, _volume_fraction(twins))
    images = [(sample.image, found), *((np.asarray(twin.simulation.stack.data), twin.found) for twin in twins)]
    seen, *expected = (features_of(*image, threshold, plan.diameter, sample.aspect) for image in images)
    comparison = compared(seen, expected)
    reasons = reasons_of(comparison)
    if target.polydispersity > _MAX_POLYDISPERSITY:
        reasons.append("the particles are of several sizes")
    if plan.estimate.height_factor is not None:
        reasons.append("the particles are not as high as wide: check the z step")
    base = replace(base, quality=quality, parameters=parameters, twins=tuple(twins), comparison=comparison)
    return base.declined(reasons) if reasons else base.predicted()


@dataclass(frozen=True, eq=False)
class _Base:
    """What an assessment has, whether it predicts anything or not."""

    threshold: float
    particles: pd.DataFrame
    sample: Stack
    notices: tuple[str, ...]
    quality: ImageQuality | None = None
    parameters: Parameters | None = None
    twins: tuple[Twin, ...] = ()
    comparison: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=COMPARED))

    def declined(self, reasons: Sequence[str]) -> Assessment:
        """Return the assessment that says why there is no prediction."""
        nothing = np.empty(0)
        return self._assessment(False, reasons, None, None, None, nothing, nothing, nothing)

    def predicted(self) -> Assessment:
        """Return the assessment with what twins that describe the sample predict."""
        scores = [twin.score for twin in self.twins]
        true = [score.true_positives for score in scores]
        found = [score.true_positives + score.false_positives for score in scores]
        there = [score.true_positives + score.false_negatives for score in scores]
        precision = ratio_interval(true, found, len(self.particles))
        count = len(self.particles) * sum(there) / max(sum(found), 1)
        recall = ratio_interval(true, there, count)
        rmse = {axis: float(np.sqrt(np.nanmean([one.rmse[axis] ** 2 for one in scores]))) for axis in POSITION}
        return self._assessment(True, (), precision, recall, rmse, _THRESHOLDS, *_curves(self.twins))

    def _assessment(
        self,
        describes: bool,
        reasons: Sequence[str],
        precision: Interval | None,
        recall: Interval | None,
        rmse: dict[str, float] | None,
        *curves: NDArray[np.float64],
    ) -> Assessment:
        return Assessment(
            describes,
            tuple(reasons),
            self.quality,
            precision,
            recall,
            rmse,
            self.threshold,
            *curves,
            parameters=self.parameters,
            particles=self.particles,
            sample=self.sample,
            twin=self.twins[0].simulation.stack if self.twins else None,
            comparison=self.comparison,
            n_twins=len(self.twins),
            notices=self.notices,
        )


def _iter_twins(
    sample: Sample, target: Measurement, options: Options, diameter: float, seed: int
) -> Generator[Progress, None, tuple[list[Twin], Parameters]]:
    """Simulate twins, after a few that only bring density, brightness and sizes right."""
    measurement, total = target, _N_CORRECTIONS + N_TWINS
    volume_fraction = target.density * target.mean_particle_volume
    twins: list[Twin] = []
    for number in range(total):
        yield Progress(number, total, "simulating twins")
        parameters = replace(twin_parameters(measurement, sample, volume_fraction), seed=seed + number)
        twin = yield from iter_twin(parameters, options, diameter)
        if number < _N_CORRECTIONS:
            measurement, volume_fraction = corrected(measurement, target, twin, options)
        else:
            twins.append(twin)
    return twins, parameters


def _volume_fraction(twins: list[Twin]) -> Interval:
    """Return the volume fraction of twins that are as dense as the sample."""
    values = np.array([twin.simulation.volume_fraction for twin in twins])
    mean = float(values.mean())
    reach = 1.96 * float(np.hypot(values.std(ddof=1), _VOLUME_FRACTION_MISMATCH * mean))
    return Interval(mean, max(mean - reach, 0.0), mean + reach)


def _curves(twins: Sequence[Twin]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return precision and recall at all thresholds, as means over the twins; precision 1 where nothing is found."""
    precision, recall = [], []
    for twin in twins:
        # The last confidence that is at least the threshold; before the first there is nothing.
        last = np.searchsorted(-twin.curve.confidence, -_THRESHOLDS, side="right")
        precision.append(np.append(1.0, twin.curve.precision)[last])
        recall.append(np.append(0.0, twin.curve.recall)[last])
    return np.mean(precision, axis=0), np.mean(recall, axis=0)
