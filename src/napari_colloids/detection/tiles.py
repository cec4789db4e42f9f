"""Tiles of a volume: overlapping boxes, each of a core, whose results are kept, and a halo around it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

Shape = tuple[int, int, int]


class Box(NamedTuple):
    """A part of a volume, half-open, ``(z, y, x)``."""

    low: Shape
    high: Shape


@dataclass(frozen=True)
class Tile:
    """A box to compute, and the part of it whose results are kept.

    Attributes
    ----------
    low, high
        The box to compute, half-open, ``(z, y, x)``.
    core_low, core_high
        The core; the cores of all tiles fill the volume without overlap.
    """

    low: Shape
    high: Shape
    core_low: Shape
    core_high: Shape


def cut(shape: Shape, core: Shape, halo: int, multiple: int, box: Box | None = None) -> Iterator[Tile]:
    """Cut a volume, or a box of it, into tiles of the same shape, so that their memory can be reused.

    Parameters
    ----------
    shape
        Shape ``(z, y, x)`` of the volume.
    core
        Shape of the cores; those at the far end may be smaller.
    halo
        Smallest distance from the core to the faces of the tile that are not faces of the volume.
    multiple
        If the cores begin at multiples of it, the tiles do, too, and end at multiples of it from the volume's end.
    box
        The part of the volume that the cores fill; None for all of it.
    """
    box = box or Box((0, 0, 0), shape)
    sides = zip(shape, core, box.low, box.high, strict=True)
    for z, y, x in product(*(list(_spans(n, c, halo, multiple, a, b)) for n, c, a, b in sides)):
        yield Tile((z[0], y[0], x[0]), (z[1], y[1], x[1]), (z[2], y[2], x[2]), (z[3], y[3], x[3]))


def tile_length(length: int, core: int, halo: int, multiple: int, low: int, high: int) -> int:
    """Return the length of the tiles along an axis, of which ``[low, high)`` is cut into cores of a length."""
    ends = [(max(a - halo, 0), min(a + core + halo, length)) for a in range(low, high, core)]
    needed = max(last - first for first, last in ends)
    return needed + (length - needed) % multiple


def halved(box: Box, voxels: float, multiple: int) -> list[Box]:
    """Halve a box along its longest side, recursively, until the parts hold at most so many voxels.

    The parts begin and end at multiples of `multiple` from the corner of the box.
    """
    lengths = [b - a for a, b in zip(box.low, box.high, strict=True)]
    axis = int(np.argmax(lengths))
    if np.prod(lengths) <= voxels or lengths[axis] <= multiple:
        return [box]
    middle = box.low[axis] + -(-lengths[axis] // (2 * multiple)) * multiple
    low, high = list(box.low), list(box.high)
    low[axis] = high[axis] = middle
    first, second = Box(box.low, (high[0], high[1], high[2])), Box((low[0], low[1], low[2]), box.high)
    return halved(first, voxels, multiple) + halved(second, voxels, multiple)


def cheapest_core(shape: Shape, halo: int, voxels: float, multiple: int, box: Box | None = None) -> Shape | None:
    """Return the shape of the cores whose tiles hold at most so many voxels each and the fewest together.

    Parameters
    ----------
    shape
        Shape ``(z, y, x)`` of the volume.
    halo
        As in `cut`.
    voxels
        Largest number of voxels of a tile.
    multiple
        The lengths of the cores are multiples of this; see also `cut`.
    box
        As in `cut`.

    Returns
    -------
    tuple of int or None
        None if even the smallest cores need larger tiles.
    """
    box = box or Box((0, 0, 0), shape)
    cores, tiles, costs = [], [], []
    for length, low, high in zip(shape, box.low, box.high, strict=True):
        # Of cores that are as many, some larger ones need shorter tiles where the box ends near a face of the volume.
        shortest: dict[int, tuple[int, int]] = {}
        for core in range(multiple, high - low + multiple, multiple):
            number, tile = -(-(high - low) // core), tile_length(length, core, halo, multiple, low, high)
            shortest[number] = min(shortest.get(number, (tile, core)), (tile, core))
        cores.append([core for _, core in shortest.values()])
        tiles.append(np.array([tile for tile, _ in shortest.values()], float))
        costs.append(tiles[-1] * list(shortest))
    size, cost = (a[0][:, None, None] * a[1][:, None] * a[2] for a in (tiles, costs))
    cost[size > voxels] = np.inf
    best = np.unravel_index(np.argmin(cost), cost.shape)
    if not np.isfinite(cost[best]):
        return None
    z, y, x = (choices[k] for choices, k in zip(cores, best, strict=True))
    return z, y, x


def _spans(
    length: int, core: int, halo: int, multiple: int, low: int, high: int
) -> Iterator[tuple[int, int, int, int]]:
    tile = tile_length(length, core, halo, multiple, low, high)
    for start in range(low, high, core):
        first = min(max(start - halo, 0), length - tile)
        yield first, first + tile, start, min(start + core, high)
