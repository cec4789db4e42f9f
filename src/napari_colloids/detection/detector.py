"""`detect`: stack -> normalise -> tiles -> network -> peaks -> particles."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

from napari_colloids.detection.deprecated import split_deprecated
from napari_colloids.detection.finish import iter_finish
from napari_colloids.detection.inputs import input_stack
from napari_colloids.detection.intensity import intensities
from napari_colloids.detection.options import Options
from napari_colloids.detection.plan import iter_plan
from napari_colloids.detection.region import Part, Region
from napari_colloids.detection.search import iter_search
from napari_colloids.errors import ColloidsError, brief
from napari_colloids.progress import result_of
from napari_colloids.settings import changed, takes_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from os import PathLike
    from typing import Unpack

    import pandas as pd
    from numpy.typing import ArrayLike

    from napari_colloids.detection.estimate import DiameterEstimate
    from napari_colloids.detection.options import OptionChanges
    from napari_colloids.progress import Progress
    from napari_colloids.stack import Stack


@takes_settings(Options)
def detect(
    stack: Stack | ArrayLike | str | PathLike[str],
    options: Options | None = None,
    /,
    *,
    voxel_size: Sequence[float] | None = None,
    frame: int = 0,
    channel: int = 0,
    region: Region | None = None,
    progress: Callable[[int, int], None] | None = None,
    **changes: Unpack[OptionChanges],
) -> pd.DataFrame:
    """Find the particles of a 3D stack.

    The image is normalised and resampled tile by tile; a 3D residual U-Net gives for each cell of a grid the
    probability of a particle's centre, its sub-voxel offset and its radius; overlapping candidates are suppressed, the
    confidence is calibrated and, where asked for, positions are refined by a fit of the image.

    Parameters
    ----------
    stack
        A `Stack`, an array ``(z, y, x)`` (NumPy, memory map or dask), or the name of a file.
    options
        The settings; keywords below replace single ones.
    voxel_size
        Micrometres ``(z, y, x)``, in place of that of the stack or file.
    frame, channel
        Which volume of a time series or of several channels.
    region
        Where particles are wanted; those found there are the same as in a search of the whole stack.
    progress
        Called with the number of steps done and their total.
    {settings}

    Returns
    -------
    pandas.DataFrame
        A row per particle: ``z, y, x`` in voxels, ``radius`` in lateral voxels, ``confidence``, and with a known voxel
        size ``z_um, y_um, x_um, radius_um``; with ``refine`` the standard errors ``z_err, y_err, x_err`` (voxels) and
        ``radius_err``, and ``refined``: 0 where the fit was not accepted; with ``intensity`` the columns of
        `intensities`. ``attrs`` says how it was found: the fields
        of `Record`, and what `refine` measured of the optics.

    Raises
    ------
    ColloidsError
        If the stack or a setting cannot be used; the message says what to do.

    See Also
    --------
    detect_series : all volumes of a time series.
    refine : exact positions of particles that are known already.
    score : compare with a ground truth.

    Examples
    --------
    >>> import napari_colloids as nc
    >>> simulated = nc.simulate(shape=(32, 32, 32), volume_fraction=0.3, radius=5, seed=1)
    >>> particles = nc.detect(simulated.stack, diameter=10, device="cpu")
    >>> list(particles)
    ['z', 'y', 'x', 'radius', 'confidence']
    >>> nc.Record.from_attrs(particles.attrs).diameter
    10
    """
    settings, region, deprecated = selection(options, dict(changes), region)
    steps = iter_detect(input_stack(stack, voxel_size), settings, region, part=deprecated or Part(frame, channel))
    return result_of(steps, progress)


def selection(
    options: Options | None, changes: dict[str, object], region: Region | None
) -> tuple[Options, Region | None, Part | None]:
    """Return the changed settings, the region, and the volume that deprecated fields of `Options` name, if any.

    Raises
    ------
    ColloidsError
        If there is no such field, the settings are not `Options`, or the region is no `Region`.
    """
    if not isinstance(options, Options | None):
        raise ColloidsError(f"Settings are given by name, as in detect(stack, diameter=12), not as {brief(options)}.")
    if not isinstance(region, Region | None):
        raise ColloidsError(f"A region is what Region(...) returns, not {brief(region)}.")
    settings, deprecated = split_deprecated(options or Options(), changes)
    z_range = deprecated.pop("z_range", None)
    if z_range is not None:
        region = (region or Region()).between(cast("tuple[int, int]", z_range))
    part = Part(**cast("dict[str, int]", deprecated)) if deprecated else None
    return changed(settings, changes, "detection option"), region, part


def iter_detect(
    stack: Stack | ArrayLike,
    options: Options | None = None,
    region: Region | None = None,
    estimate: DiameterEstimate | None = None,
    part: Part | None = None,
) -> Generator[Progress, None, pd.DataFrame]:
    """Find the particles of a 3D stack in steps, for worker threads; closing the generator cancels.

    Parameters
    ----------
    stack, options, region
        As in `detect`.
    estimate
        Known diameter, from another frame of the same series; None to estimate it where it is not given.
    part
        Which volume of a series; None for the first.

    Yields
    ------
    Progress
        Several times per tile.

    Returns
    -------
    pandas.DataFrame
        As that of `detect`.

    Raises
    ------
    ColloidsError
        As `detect` does; no other error is raised.

    See Also
    --------
    detect : the same in one go.

    Examples
    --------
    >>> import napari_colloids as nc
    >>> simulated = nc.simulate(shape=(24, 24, 24), volume_fraction=0.3, radius=4, seed=1)
    >>> steps = nc.iter_detect(simulated.stack, nc.Options(diameter=8, method="log"))
    >>> next(steps)
    Progress(done=0, total=1, message='detecting with log')
    >>> steps.close()  # cancels
    """
    started = time.perf_counter()
    options, region, deprecated = selection(options, {}, region)
    stack = input_stack(stack)
    part = part or deprecated or Part()
    plan = yield from iter_plan(stack, part, options, region, estimate)
    volume = stack.volume(*part, dark=options.dark)
    found = yield from iter_search(volume, plan)
    table = yield from iter_finish(volume, plan, [found], time.perf_counter() - started)
    return intensities(stack, table, frame=part.frame, channel=part.channel) if options.intensity else table
