"""What the network should say about a volume whose particles are known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_colloids.compiled import compiled
from napari_colloids.detection.scale import CANONICAL_DIAMETER, STRIDE

#: Width (standard deviation) of the mark around a centre, in diameters.
MARK = 0.13
#: Heat around a particle too faint to be asked for: next to no loss, whatever the network says there, and no centre.
FAINT = 0.99
#: How far that reaches, in radii.
_FAINT_REACH = 0.7
#: Offset and radius are learned at cells closer to the centre than this, in cells.
_NEAR = 1.3

Array = NDArray[np.float64]
Map = NDArray[np.float32]


class Targets(NamedTuple):
    """The wanted output for one volume.

    Attributes
    ----------
    heat
        Gaussian marks, 1 exactly at the cells that hold a centre, `FAINT` around particles that are too faint; shape
        ``(Z, Y, X)`` in cells.
    offset
        Cells from the cell's centre to the particle's, shape ``(3, Z, Y, X)``.
    log_radius
        Logarithm of the radius over the canonical radius, shape ``(Z, Y, X)``.
    near
        1 where offset and radius are to be learned, shape ``(Z, Y, X)``.
    """

    heat: Map
    offset: Map
    log_radius: Map
    near: Map


def make_targets(
    positions: Array, radii: Array, shape: tuple[int, int, int], faint: NDArray[np.bool_] | None = None
) -> Targets:
    """Make the targets of one volume.

    Parameters
    ----------
    positions
        Shape ``(N, 3)``: centres in canonical voxels.
    radii
        Shape ``(N,)`` in canonical voxels.
    shape
        Shape of the volume in canonical voxels, multiples of `STRIDE`.
    faint
        Which particles are too faint to be asked for, shape ``(N,)``; they may be found or not.
    """
    if faint is not None:
        clear = make_targets(positions[~faint], radii[~faint], shape)
        _mark_faint(clear.heat, positions[faint], radii[faint])
        return clear
    cells = tuple(n // STRIDE for n in shape)
    heat = np.zeros(cells, np.float32)
    offset = np.zeros((3, *cells), np.float32)
    log_radius = np.zeros(cells, np.float32)
    nearest = np.full(cells, np.inf)
    grid = (positions - (STRIDE - 1) / 2) / STRIDE
    spread = MARK * 2 * radii / STRIDE
    reach = min(3, int(np.ceil(3 * spread.max(initial=0.3))))
    _mark(grid, spread, np.log(2 * radii / CANONICAL_DIAMETER), reach, heat, offset, log_radius, nearest)
    return Targets(heat, offset, log_radius, np.isfinite(nearest).astype(np.float32))


@compiled
def _mark(
    grid: Array,
    spread: Array,
    relative_size: Array,
    reach: int,
    heat: Map,
    offset: Map,
    log_radius: Map,
    nearest: Array,
) -> None:
    """Mark particles at `grid` in the cells around them; offset and radius are those of the nearest particle."""
    depth, height, width = heat.shape
    for n in range(len(grid)):
        home = np.rint(grid[n])
        for z in range(max(int(home[0]) - reach, 0), min(int(home[0]) + reach + 1, depth)):
            for y in range(max(int(home[1]) - reach, 0), min(int(home[1]) + reach + 1, height)):
                for x in range(max(int(home[2]) - reach, 0), min(int(home[2]) + reach + 1, width)):
                    up, side, along = grid[n, 0] - z, grid[n, 1] - y, grid[n, 2] - x
                    squared = up**2 + side**2 + along**2
                    at_home = z == home[0] and y == home[1] and x == home[2]
                    mark = 1.0 if at_home else np.exp(-0.5 * squared / spread[n] ** 2)
                    heat[z, y, x] = max(heat[z, y, x], np.float32(mark))
                    if squared < _NEAR**2 and squared < nearest[z, y, x]:
                        nearest[z, y, x] = squared
                        offset[0, z, y, x], offset[1, z, y, x], offset[2, z, y, x] = up, side, along
                        log_radius[z, y, x] = relative_size[n]


def _mark_faint(heat: Map, positions: Array, radii: Array) -> None:
    for centre, reach in zip((positions - (STRIDE - 1) / 2) / STRIDE, _FAINT_REACH * radii / STRIDE, strict=True):
        low = np.maximum(np.ceil(centre - reach), 0).astype(int)
        high = np.minimum(np.floor(centre + reach) + 1, heat.shape).astype(int)
        if np.any(high <= low):
            continue
        z, y, x = (np.arange(a, b) - c for a, b, c in zip(low, high, centre, strict=True))
        near = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 <= reach**2
        around = heat[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
        around[near] = np.maximum(around[near], FAINT)
