"""Volume fraction of particles, from their radii and the Voronoi cells of those inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.interval import Interval
from napari_colloids.particles import positions_of
from napari_colloids.structure.frames import frames_of
from napari_colloids.structure.local_structure import interior_margin, mean_diameter

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

#: Cells that are needed inside; with fewer, whose volumes scatter, all particles are counted.
_MIN_CELLS = 150
#: Relative standard deviation of the mean of measured radii: the width of the PSF hides as much of it.
_RADIUS_DEVIATION = 0.01


def volume_fraction(
    table: pd.DataFrame,
    *,
    shape: Sequence[float] | None = None,
    voxel_size: Sequence[float] | None = None,
    diameter: float | None = None,
) -> Interval | None:
    r"""Return the volume fraction of particles.

    .. math::

        \phi = \frac{\sum_i v_i}{\sum_i V_i}

    of the particles at least 1.75 mean spacings inside the window, with their volumes :math:`v_i` and those of their
    Voronoi cells :math:`V_i`; where these are few, of all, with the volume of the window.

    Parameters
    ----------
    table
        As `local_structure` returns it.
    shape, voxel_size, diameter
        As in `local_structure`.

    Returns
    -------
    Interval or None
        With the scatter between eight parts of the window, and 1 % for radii that were measured; None without radii.

    Raises
    ------
    ColloidsError
        If no frame has two particles.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_colloids.structure import local_structure, volume_fraction
    >>> crystal = 10.0 * np.indices((8, 8, 8)).reshape(3, -1).T
    >>> table = local_structure(crystal, shape=(80, 80, 80), diameter=10)
    >>> abs(volume_fraction(table, shape=(80, 80, 80), diameter=10).value - np.pi / 6) < 1e-5
    True
    """
    seen = frames_of(table, shape, voxel_size, "The volume fraction")
    lateral = seen.scaling.lateral
    cells = table["voronoi_volume"].to_numpy(dtype=float)
    occupied = table["local_volume_fraction"].to_numpy(dtype=float) * cells
    if not np.isfinite(occupied).any():
        return None
    positions = positions_of(table) * seen.scaling.scale
    size = mean_diameter(table, diameter, voxel_size) * lateral
    number = round(float(np.mean([len(frame) for frame in seen.positions])))
    margin = interior_margin(seen.window, number, size, cells=True)
    inside = np.isfinite(occupied) & (seen.window.depths(positions) >= margin)
    measured = 0.0 if diameter is not None else 3 * _RADIUS_DEVIATION
    if inside.sum() < _MIN_CELLS:
        value = float(np.nansum(occupied)) / (seen.window.volume * len(seen.positions))
        return Interval.of_normal(value, value * float(np.hypot(measured, len(table) ** -0.5)))
    value = float(occupied[inside].sum() / cells[inside].sum())
    part = seen.window.parts(positions[inside])
    above, below = (np.bincount(part, values[inside]) for values in (occupied, cells))
    parts = above[below > 0] / below[below > 0]
    scatter = float(parts.std(ddof=1)) / len(parts) ** 0.5 if len(parts) > 1 else 0.0
    return Interval.of_normal(value, float(np.hypot(scatter, measured * value)))
