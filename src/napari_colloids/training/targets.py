"""Training targets of a volume of known particles: centre heat map, offsets and log-radius."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_colloids.compiled import compiled
from napari_colloids.detection.scale import CANONICAL_DIAMETER, STRIDE

#: Standard deviation of the Gaussian around a centre, in particle diameters.
HEAT_SIGMA_DIAMETERS = 0.13
#: Heat around an optional particle: next to no loss whether it is found or not, and no centre.
OPTIONAL_HEAT = 0.99
#: Reach of that heat, in particle radii.
_OPTIONAL_REACH_RADII = 0.7
#: Distance to the centre up to which a cell learns offset and radius, in cells.
_MAX_OFFSET_CELLS = 1.3
#: Distance up to which the Gaussian is drawn: in standard deviations, and at most, in cells.
_HEAT_REACH_SIGMAS = 3
_MAX_HEAT_REACH_CELLS = 3

Array = NDArray[np.float64]
Map = NDArray[np.float32]


class Targets(NamedTuple):
    """The wanted output of the network for one volume.

    Attributes
    ----------
    heat
        Centre heat map: 1 exactly in the cells that hold a centre, a Gaussian around them, `OPTIONAL_HEAT` around
        particles that may be found or not; shape ``(Z, Y, X)`` in cells.
    offset
        From the middle of the cell to the centre of the particle, in cells, shape ``(3, Z, Y, X)``.
    log_radius
        Logarithm of the radius over the canonical radius, shape ``(Z, Y, X)``.
    near
        1 in the cells near a centre, where offset and radius are to be learned, else 0; shape ``(Z, Y, X)``.
    """

    heat: Map
    offset: Map
    log_radius: Map
    near: Map


def make_targets(
    positions: Array, radii: Array, shape: tuple[int, int, int], optional: NDArray[np.bool_] | None = None
) -> Targets:
    r"""Make the targets of one volume.

    Parameters
    ----------
    positions
        Shape ``(N, 3)``: centres in canonical voxels.
    radii
        Shape ``(N,)`` in canonical voxels.
    shape
        Shape of the volume in canonical voxels, multiples of `STRIDE`.
    optional
        Shape ``(N,)``: particles that may be found or not, as they are too faint.

    Notes
    -----
    The heat of cell :math:`i` is that of the particle :math:`k` for which it is highest,

    .. math::

        h_i = \max_k \exp\left(-\frac{|\mathbf{r}_i - \mathbf{c}_k|^2}{2 \sigma_k^2}\right), \qquad
        \sigma_k = 0.13 \, \frac{2 R_k}{s},

    with centres :math:`\mathbf{c}_k` in cells and the stride :math:`s` of the network.
    """
    if optional is not None:
        wanted = make_targets(positions[~optional], radii[~optional], shape)
        _mark_optional(wanted.heat, positions[optional], radii[optional])
        return wanted
    cells = tuple(n // STRIDE for n in shape)
    heat = np.zeros(cells, np.float32)
    offset = np.zeros((3, *cells), np.float32)
    log_radius = np.zeros(cells, np.float32)
    nearest = np.full(cells, np.inf)
    centres = _in_cells(positions)
    sigma = HEAT_SIGMA_DIAMETERS * 2 * radii / STRIDE
    reach = min(_MAX_HEAT_REACH_CELLS, int(np.ceil(_HEAT_REACH_SIGMAS * sigma.max(initial=0.3))))
    _mark(centres, sigma, np.log(2 * radii / CANONICAL_DIAMETER), reach, heat, offset, log_radius, nearest)
    return Targets(heat, offset, log_radius, np.isfinite(nearest).astype(np.float32))


def _in_cells(positions: Array) -> Array:
    """Return positions in cells of the network's output; the middle of a cell is a whole number."""
    return (positions - (STRIDE - 1) / 2) / STRIDE


@compiled
def _mark(
    centres: Array,
    sigma: Array,
    relative_size: Array,
    reach: int,
    heat: Map,
    offset: Map,
    log_radius: Map,
    nearest: Array,
) -> None:
    """Write the particles into the cells around them; offset and radius are those of the nearest particle."""
    depth, height, width = heat.shape
    for n in range(len(centres)):
        home = np.rint(centres[n])
        for z in range(max(int(home[0]) - reach, 0), min(int(home[0]) + reach + 1, depth)):
            for y in range(max(int(home[1]) - reach, 0), min(int(home[1]) + reach + 1, height)):
                for x in range(max(int(home[2]) - reach, 0), min(int(home[2]) + reach + 1, width)):
                    dz, dy, dx = centres[n, 0] - z, centres[n, 1] - y, centres[n, 2] - x
                    squared = dz**2 + dy**2 + dx**2
                    at_home = z == home[0] and y == home[1] and x == home[2]
                    mark = 1.0 if at_home else np.exp(-0.5 * squared / sigma[n] ** 2)
                    heat[z, y, x] = max(heat[z, y, x], np.float32(mark))
                    if squared < _MAX_OFFSET_CELLS**2 and squared < nearest[z, y, x]:
                        nearest[z, y, x] = squared
                        offset[0, z, y, x], offset[1, z, y, x], offset[2, z, y, x] = dz, dy, dx
                        log_radius[z, y, x] = relative_size[n]


def _mark_optional(heat: Map, positions: Array, radii: Array) -> None:
    """Raise the heat around particles to `OPTIONAL_HEAT`."""
    for centre, reach in zip(_in_cells(positions), _OPTIONAL_REACH_RADII * radii / STRIDE, strict=True):
        low = np.maximum(np.ceil(centre - reach), 0).astype(int)
        high = np.minimum(np.floor(centre + reach) + 1, heat.shape).astype(int)
        if np.any(high <= low):
            continue
        z, y, x = (np.arange(a, b) - c for a, b, c in zip(low, high, centre, strict=True))
        near = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 <= reach**2
        around = heat[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
        around[near] = np.maximum(around[near], OPTIONAL_HEAT)
