"""`detect`: stack -> normalise -> tiles -> network -> peaks -> particles."""

from __future__ import annotations

import time
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_colloids.detection.candidates import Candidates, suppress_overlaps
from napari_colloids.detection.options import Options
from napari_colloids.detection.plan import iter_plan
from napari_colloids.detection.search import Found, iter_search
from napari_colloids.errors import ColloidsError
from napari_colloids.particles import POSITION, particle_table
from napari_colloids.stack import as_stack

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from napari_colloids.detection.plan import DiameterEstimate, Plan
    from napari_colloids.detection.progress import Progress
    from napari_colloids.detection.region import Region


def detect(
    stack: Any,
    options: Options | None = None,
    /,
    *,
    region: Region | None = None,
    progress: Callable[[int, int], None] | None = None,
    **changes: Any,
) -> pd.DataFrame:
    """Find the particles of a 3D stack.

    Parameters
    ----------
    stack
        A `Stack`, or an array ``(z, y, x)`` (NumPy, memory map or dask).
    options
        The settings.
    region
        Where particles are wanted; those found there are the same as without it.
    progress
        Called with the steps that are done and their total.
    **changes
        Fields of `Options` to set, e.g. ``detect(stack, diameter=12)``.

    Returns
    -------
    pandas.DataFrame
        A row per particle: ``z, y, x`` in voxels, ``radius`` in lateral voxels, ``confidence``, and with a known voxel
        size ``z_um, y_um, x_um, radius_um``. ``attrs`` says how it was found: ``diameter`` (lateral voxels),
        ``diameter_estimated``, ``diameter_certain``, ``threshold``, ``method``, ``device``, ``seconds``,
        ``mvoxel_per_s`` and ``notices``.

    Raises
    ------
    ColloidsError
        If the stack or a setting cannot be used; the message says what to do.
    """
    steps = iter_detect(stack, changed(options, changes), region)
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            table: pd.DataFrame = end.value
            return table
        if progress is not None:
            progress(step.done, step.total)


def changed(options: Options | None, changes: Mapping[str, Any]) -> Options:
    """Return the settings with some fields changed.

    Raises
    ------
    ColloidsError
        If there is no such field.
    """
    unknown = set(changes) - {f.name for f in fields(Options)}
    if unknown:
        raise ColloidsError(f"There is no detection option {', '.join(sorted(unknown))}.")
    return replace(options or Options(), **changes)


def iter_detect(
    stack: Any,
    options: Options | None = None,
    region: Region | None = None,
    estimate: DiameterEstimate | None = None,
) -> Generator[Progress, None, pd.DataFrame]:
    """Detect in steps: yields a `Progress` after every tile and returns the table of `detect`.

    A window runs this in a worker thread; closing the generator cancels. Raises `ColloidsError` only.

    Parameters
    ----------
    stack, options, region
        As in `detect`.
    estimate
        What is already known of the diameter, from another frame of the same series.
    """
    started = time.perf_counter()
    options = options or Options()
    stack = as_stack(stack)
    plan = yield from iter_plan(stack, options, region, estimate)
    found = yield from iter_search(stack.volume(options.frame, options.channel), plan)
    return particles_of(plan, [found], time.perf_counter() - started)


def particles_of(plan: Plan, parts: list[Found], seconds: float) -> pd.DataFrame:
    """Turn the candidates of all parts of a volume into the table of `detect`.

    Parameters
    ----------
    plan
        By which they were found.
    parts
        What was found, in any order.
    seconds
        How long it took.
    """
    found = Candidates.joined([part.candidates for part in parts])
    if plan.options.method == "network":
        kept = suppress_overlaps(found)
        scale = plan.scale
        found = Candidates(scale.to_source(kept.positions), kept.radii * scale.step[2], kept.confidence)
    options = plan.options
    chosen = _inside(found.positions, plan.shape, options.border) & plan.region.contains(found.positions)
    chosen &= found.confidence >= options.effective_threshold
    table = particle_table(
        found.positions[chosen],
        radius=found.radii[chosen],
        confidence=found.confidence[chosen],
        voxel_size=plan.voxel_size,
    ).sort_values(POSITION, ignore_index=True)
    low, high = plan.region.bounds(plan.shape)
    table.attrs = {
        "diameter": plan.diameter,
        "diameter_estimated": options.diameter is None and options.diameter_um is None,
        "diameter_certain": plan.certain,
        "threshold": options.effective_threshold,
        "method": options.method,
        "device": parts[0].device if parts else "cpu",
        "seconds": seconds,
        "mvoxel_per_s": float(np.prod(high - low)) / 1e6 / seconds,
        "notices": _notices(plan, parts),
    }
    return table


def _notices(plan: Plan, parts: list[Found]) -> list[str]:
    notices = list(dict.fromkeys(notice for part in parts for notice in part.notices))
    if not plan.certain:
        notices.insert(
            0,
            f"The diameter could not be told for sure from the image ({plan.diameter:.1f} px is the best guess): "
            "look at the result and type the diameter if it is wrong.",
        )
    return notices


def _inside(positions: NDArray[np.float64], shape: tuple[int, int, int], border: float) -> NDArray[np.bool_]:
    """Mark the centres that lie in the stack, at least `border` from its edge."""
    first = np.full(3, border - 0.5)
    last = np.asarray(shape) - 0.5 - border
    marked: NDArray[np.bool_] = np.all((positions >= first) & (positions < last), axis=1)
    return marked
