"""What the network should say about a volume whose particles are known."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_colloids.detection.network import STRIDE
from napari_colloids.detection.scale import CANONICAL_DIAMETER

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
    nearest = np.full(cells, np.inf, np.float32)
    grid = (positions - (STRIDE - 1) / 2) / STRIDE
    home = np.rint(grid).astype(int)
    spread = MARK * 2 * radii / STRIDE
    relative_size = np.log(2 * radii / CANONICAL_DIAMETER)
    reach = min(3, int(np.ceil(3 * spread.max(initial=0.3))))
    shifts = np.array(list(product(range(-reach, reach + 1), repeat=3)))
    # A row per particle and cell around it.
    cell = (home + shifts[:, None]).reshape(-1, 3)
    kept = np.flatnonzero(np.all((cell >= 0) & (cell < cells), axis=1))
    cell, particle = cell[kept], kept % max(len(home), 1)
    away = grid[particle] - cell
    squared = (away**2).sum(axis=1)
    mark = np.exp(-0.5 * squared / spread[particle] ** 2)
    mark[(cell == home[particle]).all(axis=1)] = 1
    np.maximum.at(heat, tuple(cell.T), mark.astype(np.float32))
    # The nearest comes last and stays.
    near = np.flatnonzero(squared < _NEAR**2)
    near = near[np.argsort(-squared[near], kind="stable")]
    index = tuple(cell[near].T)
    nearest[index] = squared[near]
    offset[(slice(None), *index)] = away[near].T
    log_radius[index] = relative_size[particle[near]]
    return Targets(heat, offset, log_radius, (nearest < _NEAR**2).astype(np.float32))


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
