"""Structure of a sample: g(r), S(q), volume fraction, order of each particle, and what is not to be trusted of them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.particles import POSITION, implied_voxel_size, positions_of
from napari_colloids.progress import Progress, as_step, result_of
from napari_colloids.settings import changed, check_value, takes_settings
from napari_colloids.structure.by_frame import structure_by_frame
from napari_colloids.structure.degraded import degraded, has_errors
from napari_colloids.structure.excess_entropy import excess_entropy
from napari_colloids.structure.frames import frames_of, searched_shape
from napari_colloids.structure.inputs import checked_particles
from napari_colloids.structure.local_structure import iter_local_structure, mean_diameter
from napari_colloids.structure.notices import error_notices, window_notices
from napari_colloids.structure.pair_correlation import pair_correlation
from napari_colloids.structure.settings import MeasurementSettings
from napari_colloids.structure.slab import slab_of
from napari_colloids.structure.structure_factor import structure_factor
from napari_colloids.structure.structure_result import AVERAGED, Structure
from napari_colloids.structure.volume_fraction import volume_fraction

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from typing import Unpack

    import pandas as pd
    from numpy.typing import ArrayLike

    from napari_colloids.structure.frames import Frames
    from napari_colloids.structure.settings import MeasurementChanges

#: Bins of g(r).
_BINS = 200
#: Steps of one structure, and how often errors are made once more.
_STEPS, _REPEATS = 3, 2


@takes_settings(MeasurementSettings)
def measure_structure(
    particles: pd.DataFrame | ArrayLike,
    *,
    shape: Sequence[float] | None = None,
    voxel_size: Sequence[float] | None = None,
    slab: tuple[float, float] | None = None,
    progress: Callable[[int, int], None] | None = None,
    **settings: Unpack[MeasurementChanges],
) -> Structure:
    """Measure g(r), S(q), the volume fraction and the local structure of a sample.

    Parameters
    ----------
    particles
        Particle table, or array of shape ``(N, 3)``: z, y, x in voxels. Frames are averaged.
    shape
        Shape ``(z, y, x)`` of the stack in voxels; None takes that of the stack that the table says it was found in, if
        all of it was searched, else the box that the particles fill.
    voxel_size
        Micrometres ``(z, y, x)``; None takes what the table's columns in micrometres imply.
    slab
        Smallest and largest z in voxels (whose centres lie at integers) of the part that is measured, as though the
        stack ended there; only particles in it are counted and returned. None takes all.
    progress
        Called with the number of steps done and their total.
    {settings}

    Returns
    -------
    Structure

    Raises
    ------
    ColloidsError
        If freud is not installed, no frame has two particles, or a setting cannot be used.

    See Also
    --------
    local_structure, pair_correlation, structure_factor, volume_fraction : Its parts.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_colloids.structure import measure_structure
    >>> crystal = 10.0 * np.indices((9, 9, 9)).reshape(3, -1).T + 4.5
    >>> result = measure_structure(crystal, shape=(90, 90, 90), diameter=10)
    >>> len(result.inside), round(result.averages()["neighbours"], 3), round(result.averages()["q6"], 3)
    (27, 6.0, 0.354)
    """
    return result_of(iter_structure(particles, shape=shape, voxel_size=voxel_size, slab=slab, **settings), progress)


@takes_settings(MeasurementSettings)
def iter_structure(
    particles: pd.DataFrame | ArrayLike,
    *,
    shape: Sequence[float] | None = None,
    voxel_size: Sequence[float] | None = None,
    slab: tuple[float, float] | None = None,
    **settings: Unpack[MeasurementChanges],
) -> Generator[Progress, None, Structure]:
    """Measure the structure in steps, for worker threads; closing the generator cancels.

    Parameters
    ----------
    particles, shape, voxel_size, slab
        As in `measure_structure`.
    {settings}

    Yields
    ------
    Progress
        Before each part.

    Returns
    -------
    Structure
        As that of `measure_structure`.

    Raises
    ------
    ColloidsError
        As `measure_structure` does.
    """
    table = checked_particles(particles)
    shape = searched_shape(table) if shape is None else shape
    how = changed(MeasurementSettings(), settings, "setting of the structure")
    searched, positions = shape, table[POSITION]
    if slab is not None:
        check_value("slab", slab, tuple[float, float], unit="voxels")
        # Positions that are moved no longer tell how long a voxel is.
        voxel_size = implied_voxel_size(table) if voxel_size is None else voxel_size
        table, shape, inside = slab_of(table, shape, slab)
        positions = positions[inside]
    recall, precision = (1.0 if value is None else value for value in (how.recall, how.precision))
    disturbed = has_errors(table) or recall < 1 or precision < 1
    repeats = _REPEATS if how.bands and disturbed else 0
    total = _STEPS * (1 + repeats)
    found = yield from _iter_once(table, shape, voxel_size, how, Progress(0, total, ""))
    errors = None if has_errors(table) else np.zeros(3)
    again = []
    for number in range(1, repeats + 1):
        table = degraded(table, errors=errors, recall=recall, precision=precision, shape=shape, seed=number)
        started = Progress(number * _STEPS, total, "")
        again.append((yield from _iter_once(table, shape, voxel_size, how, started)))
    return replace(
        found,
        particles=found.particles.assign(**{name: positions[name].to_numpy() for name in POSITION}),
        notices=(*window_notices(found.particles, searched), *found.notices),
        again=tuple(again),
    )


def _iter_once(
    table: pd.DataFrame,
    shape: Sequence[float] | None,
    voxel_size: Sequence[float] | None,
    how: MeasurementSettings,
    started: Progress,
) -> Generator[Progress, None, Structure]:
    """Measure the structure of a table, some of all steps being done."""
    done, total, _ = started
    local = iter_local_structure(table, shape=shape, voxel_size=voxel_size, **how.local())
    result = yield from as_step(Progress(done, total, "bond order and Voronoi cells"), local)
    yield Progress(done + 1, total, "g(r)")
    size = mean_diameter(table, how.diameter, voxel_size)
    g = pair_correlation(
        table, shape=shape, voxel_size=voxel_size, diameter=size if np.isfinite(size) else None, bins=_BINS
    )
    yield Progress(done + 2, total, "S(q)")
    s = structure_factor(table, shape=shape, voxel_size=voxel_size)
    seen = frames_of(table, shape, voxel_size)
    density = float(np.mean([len(frame) for frame in seen.positions])) / seen.window.volume
    by_frame = None
    if "frame" in table and table["frame"].nunique() > 1:
        by_frame = structure_by_frame(result, shape=shape, voxel_size=voxel_size, diameter=how.diameter)
    return Structure(
        result,
        g,
        s,
        volume_fraction(result, shape=shape, voxel_size=voxel_size, diameter=how.diameter),
        excess_entropy(g, density),
        size * seen.scaling.lateral,
        density,
        seen.unit,
        tuple(error_notices(result, seen.scaling.aspect, size)),
        _standard_errors(result, seen),
        by_frame=by_frame,
    )


def _standard_errors(table: pd.DataFrame, seen: Frames) -> dict[str, float]:
    """Return the standard errors of the figures of a structure."""
    inside = table[table["interior"] == 1]
    positions = positions_of(inside) * seen.scaling.scale
    errors = {name: seen.window.standard_error(inside[name].to_numpy(dtype=float), positions) for name in AVERAGED}
    volumes = inside["voronoi_volume"]
    of_spread = float(volumes.std() / volumes.mean()) / (2 * len(volumes)) ** 0.5 if len(volumes) > 1 else math.nan
    return {**errors, "voronoi_spread": of_spread}
