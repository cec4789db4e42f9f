"""Cutting a volume into tiles that overlap by a halo and own a core each."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Tile:
    """A box to compute, and the part of it whose results count.

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


def cut(shape: Shape, core: Shape, halo: int) -> Iterator[Tile]:
    """Cut a volume into tiles whose boxes all have the same shape, so that their memory can be used again.

    Parameters
    ----------
    shape
        Shape ``(z, y, x)`` of the volume.
    core
        Shape of the cores; those at the far end may be smaller.
    halo
        How far a box reaches beyond its core at least, where the volume does.
    """
    for z, y, x in product(*(list(_spans(n, c, halo)) for n, c in zip(shape, core, strict=True))):
        yield Tile((z[0], y[0], x[0]), (z[1], y[1], x[1]), (z[2], y[2], x[2]), (z[3], y[3], x[3]))


def box_length(length: int, core: int, halo: int) -> int:
    """Return how long the boxes are along an axis that is cut into cores of a length."""
    ends = [(max(a - halo, 0), min(a + core + halo, length)) for a in range(0, length, core)]
    return max(high - low for low, high in ends)


def cheapest_core(shape: Shape, halo: int, voxels: float, multiple: int) -> Shape | None:
    """Return the cores whose boxes hold at most so many voxels and together cost least.

    Parameters
    ----------
    shape
        Shape ``(z, y, x)`` of the volume.
    halo
        As in `cut`.
    voxels
        Largest number of voxels of a box.
    multiple
        The lengths of the cores are multiples of this.

    Returns
    -------
    tuple of int or None
        None if even the smallest cores need larger boxes.
    """
    cores, boxes, costs = [], [], []
    for length in shape:
        parts = range(1, -(-length // multiple) + 1)
        choices = sorted({-(-length // (k * multiple)) * multiple for k in parts})
        cores.append(choices)
        boxes.append(np.array([box_length(length, core, halo) for core in choices], float))
        costs.append(boxes[-1] * [-(-length // core) for core in choices])
    box, cost = (a[0][:, None, None] * a[1][:, None] * a[2] for a in (boxes, costs))
    cost[box > voxels] = np.inf
    best = np.unravel_index(np.argmin(cost), cost.shape)
    if not np.isfinite(cost[best]):
        return None
    z, y, x = (choices[k] for choices, k in zip(cores, best, strict=True))
    return z, y, x


def _spans(length: int, core: int, halo: int) -> Iterator[tuple[int, int, int, int]]:
    box = box_length(length, core, halo)
    for start in range(0, length, core):
        low = min(max(start - halo, 0), length - box)
        yield low, low + box, start, min(start + core, length)
