"""Post-processing of candidates: overlap suppression, optional refinement, cropping, table."""

from __future__ import annotations

import time
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_colloids import __version__
from napari_colloids.detection.candidates import Candidates, suppress_overlaps, without_overlaps
from napari_colloids.detection.methods import DEFAULT_THRESHOLD
from napari_colloids.detection.record import Record, region_record, settings_record
from napari_colloids.detection.weights import weights_digest
from napari_colloids.particles import ERRORS, POSITION, particle_table
from napari_colloids.stack import aspect_of
from napari_colloids.volumes import recorded_slices

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from napari_colloids.detection.plan import Plan
    from napari_colloids.detection.search import Found
    from napari_colloids.progress import Progress
    from napari_colloids.volumes import Volume


#: Margin around a region within which particles take part in the refinement, in diameters.
_REFINED_MARGIN_DIAMETERS = 1.0
#: A notice is given where the median diameter found differs from the given one by this factor; from 1.6 on many
#: particles are missed.
_MAX_DIAMETER_RATIO = 1.4


def iter_finish(
    volume: Volume, plan: Plan, parts: list[Found], seconds: float, *, may_be_noise: bool = True
) -> Generator[Progress, None, pd.DataFrame]:
    """Turn the candidates of all parts of a volume into the table of `detect`.

    Parameters
    ----------
    volume
        Array-like ``(z, y, x)`` that was searched.
    plan
        Of the search.
    parts
        What was found, in any order.
    seconds
        Duration of the search.
    may_be_noise
        Whether there may be no particles at all, so that all candidates may be false.
    """
    started = time.perf_counter()
    options = plan.options
    found = Candidates.joined([part.candidates for part in parts])
    unclear: list[str] = []
    if options.method == "network":
        kept = suppress_overlaps(found)
        scale = plan.scale
        found = Candidates(scale.to_source(kept.positions), kept.radii * scale.lateral_step, kept.confidence)
        found, unclear = yield from _tested(volume, plan, found, may_be_noise=may_be_noise)
    fitted = _Fitted(found)
    if options.refine:
        fitted = yield from _refined(volume, plan, found)
    found = fitted.candidates
    chosen = _inside(found.positions, plan.shape, options.border) & plan.region.contains(found.positions)
    chosen &= _recorded(found.positions, volume)
    chosen &= found.confidence >= options.effective_threshold
    table = particle_table(
        found.positions[chosen],
        radius=found.radii[chosen],
        confidence=found.confidence[chosen],
        errors=None if fitted.errors is None else fitted.errors[chosen],
        refined=None if fitted.refined is None else fitted.refined[chosen],
        misfit=None if fitted.misfit is None else fitted.misfit[chosen],
        voxel_size=plan.voxel_size,
    ).sort_values(POSITION, ignore_index=True)
    low, high = plan.region.bounds(plan.shape)
    seconds += time.perf_counter() - started
    record = Record(
        diameter=plan.diameter,
        diameter_estimated=not options.gives_diameter,
        diameter_certain=plan.estimate.certain,
        negative_certain=plan.estimate.negative_certain,
        threshold=options.effective_threshold,
        dark=options.dark,
        method=options.method,
        device=parts[0].device if parts else "cpu",
        seconds=seconds,
        mvoxel_per_s=float(np.prod(high - low)) / 1e6 / seconds,
        notices=(
            *plan.notices,
            *unclear,
            *_notices(plan, parts, table),
            *([] if unclear and not _likely(plan, found).any() else _doubts(plan, found)),
            *fitted.notices,
        ),
        optics=fitted.optics,
        version=__version__,
        weights_sha256=weights_digest(options.weights),
        settings=settings_record(options),
        region=region_record(plan.region),
        voxel_size=plan.voxel_size,
        assumed=plan.assumed,
        height_factor=plan.estimate.height_factor,
    )
    table.attrs.update(record.to_attrs())
    return table


def _tested(
    volume: Volume, plan: Plan, found: Candidates, *, may_be_noise: bool
) -> Generator[Progress, None, tuple[Candidates, list[str]]]:
    """Return the candidates of the network with doubt about those that look like noise, and what to say about them."""
    from napari_colloids.detection.false_positives import doubted, false_positive_notices, iter_false_positives

    false = yield from iter_false_positives(volume, plan, found, may_be_noise=may_be_noise)
    return doubted(found, false), false_positive_notices(plan, found, false)


class _Fitted(NamedTuple):
    """Candidates with what a fit of the image adds to them."""

    candidates: Candidates
    errors: NDArray[np.float64] | None = None
    refined: NDArray[np.bool_] | None = None
    misfit: NDArray[np.float64] | None = None
    optics: Mapping[str, object] = MappingProxyType({})
    notices: Sequence[str] = ()


def _refined(volume: Volume, plan: Plan, found: Candidates) -> Generator[Progress, None, _Fitted]:
    """Refine the candidates above the default threshold; the others stay, unless they overlap with refined ones.

    Particles that the fit finds in the residual get the confidence of the default threshold.
    """
    from napari_colloids.refinement import iter_refine

    threshold = DEFAULT_THRESHOLD[plan.options.method]
    likely = found.confidence >= threshold
    known, doubtful = found[likely], found[~likely]
    aspect = aspect_of(plan.voxel_size)
    low, box = plan.around(_REFINED_MARGIN_DIAMETERS)
    fit = yield from iter_refine(volume[box], known.positions - low, known.radii, plan.diameter, aspect, plan.psf)
    earlier = known.confidence[np.maximum(fit.source, 0)] if len(known) else threshold
    confidence = np.where(fit.source < 0, threshold, earlier)
    both = Candidates.joined([Candidates(fit.positions + low, fit.radii, confidence), doubtful])
    isotropic = Candidates(both.positions * [aspect, 1, 1], both.radii, both.confidence)
    # Refined particles come first, and all of them are kept.
    kept = without_overlaps(isotropic) | (np.arange(len(both)) < len(fit.source))
    count = len(doubtful)
    errors = np.concatenate([fit.errors, np.full((count, len(ERRORS)), np.nan)])
    refined = np.append(fit.refined, np.zeros(count, bool))
    misfit = np.append(fit.misfit, np.full(count, np.nan))
    return _Fitted(both[kept], errors[kept], refined[kept], misfit[kept], fit.facts, fit.notices)


def _notices(plan: Plan, parts: list[Found], table: pd.DataFrame) -> list[str]:
    """Return the notices of the search, and what is uncertain about the diameter."""
    notices = list(dict.fromkeys(notice for part in parts for notice in part.notices))
    if not plan.estimate.certain:
        notices.insert(
            0,
            f"The diameter could not be estimated with certainty ({plan.diameter:.1f} px is the best guess"
            f"{_neighbours(plan, table)}): check the result, and give the diameter if it is wrong.",
        )
    if plan.estimate.negative_certain:
        kind = "bright" if plan.options.dark else "dark"
        notices.append(
            f"The inverted image shows clear particles: if yours are {kind}, change the setting for dark particles."
        )
    if plan.estimate.height_factor is not None:
        notices.append(_height_notice(plan, plan.estimate.height_factor))
    return notices


def _height_notice(plan: Plan, factor: float) -> str:
    """Return that the height of a voxel does not fit the particles, and the one that would."""
    seen = f"The particles come out {'only ' if factor > 1 else ''}{1 / factor:.2g} times as high as they are wide"
    if plan.voxel_size is None:
        return (
            f"{seen}: the voxels, whose size is unknown, are probably not cubic; voxels about {factor:.2g} times as "
            "high as wide would make them round. Give the voxel size."
        )
    height = plan.voxel_size[0]
    assumed = "assumed " if "z" in plan.assumed else ""
    return (
        f"{seen}: the {assumed}z step of {height:g} µm is probably wrong; about {height * factor:.2g} µm would make "
        "them round. Check the voxel size, and give the right one."
    )


def _doubts(plan: Plan, found: Candidates) -> list[str]:
    """Return a notice where a given diameter does not fit what the network finds, in the region or beside it."""
    options = plan.options
    if options.method != "network" or not options.gives_diameter:
        return []
    likely = found[_likely(plan, found)]
    if len(likely) == 0:
        if plan.region.restricts:
            return []
        return [
            f"With a diameter of {plan.diameter:.3g} px no particle was found: if there are some, leave the diameter "
            "out to have it estimated."
        ]
    width = 2 * float(np.median(likely.radii))
    if 1 / _MAX_DIAMETER_RATIO < width / plan.diameter < _MAX_DIAMETER_RATIO:
        return []
    return [
        f"The diameter was given as {plan.diameter:.3g} px, but the particles found are mostly {width:.3g} px wide: "
        "unless they are of several sizes, leave it out to have it estimated."
    ]


def _likely(plan: Plan, found: Candidates) -> NDArray[np.bool_]:
    """Mark the candidates above the default threshold."""
    return found.confidence >= DEFAULT_THRESHOLD[plan.options.method]


def _neighbours(plan: Plan, table: pd.DataFrame) -> str:
    """Return words on the distance between neighbours; none where it is unknown."""
    from napari_colloids.structure import neighbour_distance

    likely = table[table["confidence"] >= DEFAULT_THRESHOLD[plan.options.method]]
    apart = neighbour_distance(likely, voxel_size=plan.proportions)
    if np.isnan(apart):
        return ""
    return f"; neighbours are mostly {apart:.2g} px apart: the diameter or a little more if they touch"


def _recorded(positions: NDArray[np.float64], volume: Volume) -> NDArray[np.bool_]:
    """Mark the centres in slices that were recorded."""
    recorded = recorded_slices(volume)
    return recorded[np.clip(np.rint(positions[:, 0]).astype(int), 0, len(recorded) - 1)]


def _inside(positions: NDArray[np.float64], shape: tuple[int, int, int], border: float) -> NDArray[np.bool_]:
    """Mark the centres that lie in the stack, at least `border` from its edge."""
    first = np.full(3, border - 0.5)
    last = np.asarray(shape) - 0.5 - border
    marked: NDArray[np.bool_] = np.all((positions >= first) & (positions < last), axis=1)
    return marked
