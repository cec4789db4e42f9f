"""`assess`: how far what is found in a stack can be trusted, from simulated twins of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from napari_colloids.assessment.contact_edge import contact_edge
from napari_colloids.assessment.description import MIN_PARTICLES, compared, features_of, reasons_of
from napari_colloids.assessment.interval import Interval, ratio_interval
from napari_colloids.assessment.measurement import Measurement, measured
from napari_colloids.assessment.quality import ImageQuality
from napari_colloids.assessment.result import Assessment, Prediction
from napari_colloids.assessment.sample import Sample
from napari_colloids.assessment.twin import FLOOR, Twin, corrected, is_lost, iter_search, iter_twin, twin_parameters
from napari_colloids.detection import Options, Part, Record
from napari_colloids.detection.detector import selection
from napari_colloids.detection.inputs import input_stack
from napari_colloids.detection.plan import iter_plan
from napari_colloids.errors import ColloidsError
from napari_colloids.particles import POSITION, positions_of
from napari_colloids.progress import Progress, result_of
from napari_colloids.settings import check_value, takes_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from os import PathLike
    from typing import Unpack

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from napari_colloids.detection.options import OptionChanges
    from napari_colloids.stack import Stack

Result = TypeVar("Result")

#: Twins that precision and recall are taken from, and those before them that only bring density and brightness right.
N_TWINS, _N_CORRECTIONS = 6, 3
#: The interval needs their scatter.
_MIN_TWINS = 2
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
    twins: int = N_TWINS,
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
    twins
        How many stacks are simulated to predict from, at least two; the interval narrows with their number.
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
    >>> simulated = nc.simulate(shape=(32, 40, 40), volume_fraction=0.4, radius=4, psf_sigma=(2, 1, 1), seed=1)
    >>> assessment = nc.assess(simulated.stack, diameter=8, device="cpu", twins=2)
    >>> assessment.describes
    True
    >>> assessment.prediction.precision.low > 0.9
    True
    """
    settings, _, deprecated = selection(options, dict(changes), None)
    part = deprecated or Part(frame, channel)
    return result_of(iter_assess(input_stack(stack, voxel_size), settings, part, twins=twins, seed=seed), progress)


def iter_assess(
    stack: Stack, options: Options, part: Part | None = None, *, twins: int = N_TWINS, seed: int = 0
) -> Generator[Progress, None, Assessment]:
    """Assess a stack in steps, for worker threads; closing the generator cancels.

    Parameters
    ----------
    stack, options, twins, seed
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

    Raises
    ------
    ColloidsError
        As `assess` does.
    """
    part = part or Part()
    check_value("twins", twins, int, low=_MIN_TWINS)
    total = 2 + _N_CORRECTIONS + twins
    plan = yield from _iter_as(Progress(0, total, "measuring the diameter"), iter_plan(stack, part, options))
    sample = Sample.of(stack, part, plan.diameter, dark=options.dark)
    searching = iter_search(sample.stack, options, plan.diameter)
    found = yield from _iter_as(Progress(1, total, "searching"), searching)
    threshold = options.effective_threshold
    likely = found[found["confidence"] >= threshold]
    notices = (*plan.notices, *Record.from_attrs(found.attrs).notices)
    assessment = Assessment(likely, sample.stack, threshold, notices)
    if len(likely) < MIN_PARTICLES:
        return replace(assessment, reasons=(f"only {len(likely)} particles were found in the part that is assessed",))
    target = measured(sample.stack, likely, plan.diameter)
    if isinstance(target, str):
        return replace(assessment, reasons=(target,))
    try:
        twin_parameters(target, sample, _seen_volume_fraction(target))
    except ColloidsError as error:
        return replace(assessment, reasons=(f"no simulation can have what was measured: {error}",))
    seeds = range(seed, seed + _N_CORRECTIONS + twins)
    made = yield from _iter_twins(sample, target, options, plan.diameter, seeds)
    # The sample was not taken for noise: neither are the twins that it is like.
    made = [twin for twin in made if not is_lost(twin, target)]
    if len(made) < _MIN_TWINS:
        return replace(assessment, reasons=("most stacks that are simulated like this one are taken for noise",))
    images = [(sample.image, found), *((np.asarray(twin.simulation.stack.data), twin.found) for twin in made)]
    seen, *expected = (features_of(*image, threshold, plan.diameter, sample.aspect) for image in images)
    comparison = compared(seen, expected)
    reasons = reasons_of(comparison)
    if target.polydispersity > _MAX_POLYDISPERSITY:
        reasons.append("the particles are of several sizes")
    return replace(
        assessment,
        quality=ImageQuality.of(target, sample, _volume_fraction(made)),
        twin=made[0].simulation,
        n_twins=len(made),
        comparison=comparison,
        reasons=tuple(reasons),
        prediction=None if reasons else _predicted(made, len(likely)),
        edge_errors=_edge_errors(likely, plan.diameter, target.polydispersity, sample.aspect),
    )


def _edge_errors(particles: pd.DataFrame, diameter: float, spread: float, aspect: float) -> dict[str, float] | None:
    """Return the localisation errors that the contact edge of g(r) tells, in voxels; None where it does not."""
    edge = contact_edge(positions_of(particles) * [aspect, 1, 1], diameter)
    errors = None if edge is None else edge.localisation_errors(spread)
    return None if errors is None else {"z": errors[0] / aspect, "lateral": errors[1]}


def _predicted(twins: list[Twin], count: int) -> Prediction:
    """Return what twins that describe a sample predict for so many particles found in it."""
    scores = [twin.score for twin in twins]
    true = [score.true_positives for score in scores]
    found = [score.true_positives + score.false_positives for score in scores]
    there = [score.true_positives + score.false_negatives for score in scores]
    return Prediction(
        ratio_interval(true, found, count),
        ratio_interval(true, there, count * sum(there) / max(sum(found), 1)),
        {axis: float(np.sqrt(np.nanmean([score.rmse[axis] ** 2 for score in scores]))) for axis in POSITION},
        _THRESHOLDS,
        *_curves(twins),
    )


def _iter_twins(
    sample: Sample, target: Measurement, options: Options, diameter: float, seeds: Sequence[int]
) -> Generator[Progress, None, list[Twin]]:
    """Simulate twins, after a few that only bring density, brightness and sizes right."""
    measurement = target
    volume_fraction = _seen_volume_fraction(target)
    twins: list[Twin] = []
    for number, seed in enumerate(seeds):
        parameters = replace(twin_parameters(measurement, sample, volume_fraction), seed=seed)
        step = Progress(2 + number, 2 + len(seeds), "simulating twins")
        twin = yield from _iter_as(step, iter_twin(parameters, options, diameter))
        if number < _N_CORRECTIONS:
            measurement, volume_fraction = corrected(measurement, target, twin)
        else:
            twins.append(twin)
    return twins


def _seen_volume_fraction(measurement: Measurement) -> float:
    """Return the volume fraction of the particles that were found."""
    return measurement.density * measurement.mean_particle_volume


def _iter_as(step: Progress, work: Generator[Progress, None, Result]) -> Generator[Progress, None, Result]:
    """Run a computation as one step of a longer one."""
    while True:
        yield step
        try:
            next(work)
        except StopIteration as end:
            result: Result = end.value
            return result


def _volume_fraction(twins: list[Twin]) -> Interval:
    """Return the volume fraction of twins that are as dense as the sample."""
    values = np.array([twin.simulation.volume_fraction for twin in twins])
    mean = float(values.mean())
    reach = 1.96 * float(np.hypot(values.std(ddof=1), _VOLUME_FRACTION_MISMATCH * mean))
    return Interval(mean, max(mean - reach, 0.0), mean + reach)


def _curves(twins: list[Twin]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return precision and recall at all thresholds, as means over the twins; precision 1 where nothing is found."""
    precision, recall = [], []
    for twin in twins:
        # The last confidence that is at least the threshold; before the first there is nothing.
        last = np.searchsorted(-twin.curve.confidence, -_THRESHOLDS, side="right")
        precision.append(np.append(1.0, twin.curve.precision)[last])
        recall.append(np.append(0.0, twin.curve.recall)[last])
    return np.mean(precision, axis=0), np.mean(recall, axis=0)
