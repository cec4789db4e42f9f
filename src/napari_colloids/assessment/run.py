"""`assess`: how far what is found in a stack can be trusted, from simulated twins of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.assessment.checks import N_STEPS, Checks, edge_errors, iter_checks
from napari_colloids.assessment.measurement import MIN_PARTICLES, measured
from napari_colloids.assessment.prediction import Prediction
from napari_colloids.assessment.quality import ImageQuality, volume_fraction_interval
from napari_colloids.assessment.ratio import MISMATCH, ratio_interval
from napari_colloids.assessment.result import Assessment
from napari_colloids.assessment.sample import Sample
from napari_colloids.assessment.twin import FLOOR, Twin, iter_search, twin_parameters
from napari_colloids.assessment.twin_set import MIN_TWINS, N_CORRECTIONS, Target, TwinSet, iter_twin_set, n_steps
from napari_colloids.detection import Options, Part, Record
from napari_colloids.detection.detector import selection
from napari_colloids.detection.inputs import input_stack
from napari_colloids.detection.plan import iter_plan
from napari_colloids.errors import ColloidsError
from napari_colloids.particles import POSITION
from napari_colloids.progress import Progress, as_step, result_of
from napari_colloids.settings import check_value, takes_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from os import PathLike
    from typing import Unpack

    from numpy.typing import ArrayLike, NDArray

    from napari_colloids.detection.options import OptionChanges
    from napari_colloids.interval import Interval
    from napari_colloids.stack import Stack

#: Twins that precision and recall are taken from.
N_TWINS = 6
#: Mismatch of sample and twins that are arranged as what was found: what was missed is not where it was.
_MISMATCH_AS_FOUND = 0.3
#: Thresholds for which precision and recall are predicted.
_THRESHOLDS = np.round(np.arange(FLOOR, 1.0, 0.01), 2)


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
    check_value("twins", twins, int, low=MIN_TWINS)
    total = n_steps(N_CORRECTIONS + twins)
    plan = yield from as_step(Progress(0, total, "measuring the diameter"), iter_plan(stack, part, options))
    sample = Sample.of(stack, part, plan.diameter, dark=options.dark)
    searching = iter_search(sample.stack, options, plan.diameter, may_be_noise=True)
    found = yield from as_step(Progress(1, total, "searching"), searching)
    threshold = options.effective_threshold
    likely = found[found["confidence"] >= threshold]
    notices = (*plan.notices, *Record.from_attrs(found.attrs).notices)
    assessment = Assessment(likely, sample.stack, threshold, notices)
    if len(likely) < MIN_PARTICLES:
        return replace(assessment, reasons=(f"only {len(likely)} particles were found in the part that is assessed",))
    measurement = measured(sample.stack, likely, plan.diameter)
    if isinstance(measurement, str):
        return replace(assessment, reasons=(measurement,))
    target = Target(sample, found, threshold, plan.diameter, measurement, options)
    try:
        twin_parameters(measurement, sample, target.volume_fraction)
    except ColloidsError as error:
        return replace(assessment, reasons=(f"no simulation can have what was measured: {error}",))
    made = yield from iter_twin_set(target, range(seed, seed + N_CORRECTIONS + twins))
    if made.comparison is None:
        twin = made.twins[0].simulation if made.twins else None
        return replace(assessment, twin=twin, reasons=tuple(made.reasons))
    if made.arrangement is not None:
        radius, polydispersity = made.arrangement.mean_radius, made.arrangement.polydispersity
        measurement = replace(measurement, radius=radius, polydispersity=polydispersity)
    polydispersity = measurement.polydispersity
    prediction, checks = None, Checks(edge_errors(target, polydispersity))
    if not made.reasons:
        prediction = _predicted(made, len(likely))
        thinning, injection = (Progress(total - left, total, "checking the twins") for left in range(N_STEPS, 0, -1))
        checks = yield from iter_checks(target, prediction, polydispersity, seed, (thinning, injection))
    return replace(
        assessment,
        quality=ImageQuality.of(measurement, sample, _volume_fraction(made.twins)),
        twin=made.twins[0].simulation,
        n_twins=len(made.twins),
        arranged_as_found=made.arrangement is not None,
        comparison=made.comparison,
        reasons=tuple(made.reasons),
        prediction=prediction,
        checks=checks,
    )


def _predicted(made: TwinSet, count: int) -> Prediction:
    """Return what twins that describe a sample predict for so many particles found in it."""
    scores = [twin.score for twin in made.twins]
    true = [score.true_positives for score in scores]
    found = [score.true_positives + score.false_positives for score in scores]
    there = [score.true_positives + score.false_negatives for score in scores]
    mismatch = MISMATCH if made.arrangement is None else _MISMATCH_AS_FOUND
    return Prediction(
        ratio_interval(true, found, count, mismatch),
        ratio_interval(true, there, count * sum(there) / max(sum(found), 1), mismatch),
        {axis: float(np.sqrt(np.nanmean([score.rmse[axis] ** 2 for score in scores]))) for axis in POSITION},
        _THRESHOLDS,
        *_curves(made.twins),
    )


def _volume_fraction(twins: list[Twin]) -> Interval:
    """Return the volume fraction of twins that are as dense as the sample."""
    values = np.array([twin.simulation.volume_fraction for twin in twins])
    return volume_fraction_interval(float(values.mean()), float(values.std(ddof=1)))


def _curves(twins: list[Twin]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return precision and recall at all thresholds, as means over the twins; precision 1 where nothing is found."""
    precision, recall = [], []
    for twin in twins:
        # The last confidence that is at least the threshold; before the first there is nothing.
        last = np.searchsorted(-twin.curve.confidence, -_THRESHOLDS, side="right")
        precision.append(np.append(1.0, twin.curve.precision)[last])
        recall.append(np.append(0.0, twin.curve.recall)[last])
    return np.mean(precision, axis=0), np.mean(recall, axis=0)
