"""`detect`: stack -> normalise -> tiles -> network -> peaks -> particles."""

from __future__ import annotations

import time
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from napari_colloids.detection.finish import iter_finish
from napari_colloids.detection.options import Options
from napari_colloids.detection.plan import iter_plan
from napari_colloids.detection.search import iter_search
from napari_colloids.errors import ColloidsError
from napari_colloids.progress import result_of
from napari_colloids.stack import as_stack

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    import pandas as pd

    from napari_colloids.detection.estimate import DiameterEstimate
    from napari_colloids.detection.region import Region
    from napari_colloids.progress import Progress


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
        size ``z_um, y_um, x_um, radius_um``; with ``refine`` the standard errors ``z_err, y_err, x_err`` (voxels) and
        ``radius_err``, and ``refined``: 0 where the fit was not accepted. ``attrs`` says how it was found:
        ``diameter`` (lateral voxels), ``diameter_estimated``, ``diameter_certain``, ``negative_certain`` (with bright
        and dark exchanged), ``dark``, ``threshold``, ``method``, ``device``, ``seconds``, ``mvoxel_per_s`` and
        ``notices``, and what `refine` measured of the optics.

    Raises
    ------
    ColloidsError
        If the stack or a setting cannot be used; the message says what to do.
    """
    return result_of(iter_detect(stack, changed(options, changes), region), progress)


def changed(options: Options | None, changes: Mapping[str, Any]) -> Options:
    """Return the settings with some fields changed.

    Raises
    ------
    ColloidsError
        If there is no such field, or the settings are none.
    """
    if not isinstance(options, Options | None):
        raise ColloidsError(f"Settings are given by name, as in detect(stack, diameter=12), not as {options!r}.")
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
    volume = options.volume_of(stack)
    found = yield from iter_search(volume, plan)
    return (yield from iter_finish(volume, plan, [found], time.perf_counter() - started))
