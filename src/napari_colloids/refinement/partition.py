"""Partition of space into cells of a limited number of particles, so that memory does not grow with the stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


class Cell(NamedTuple):
    """A half-open box of a partition; the outermost ones extend to infinity.

    Attributes
    ----------
    low, high
        Corners ``(z, y, x)``.
    """

    low: Array
    high: Array

    def contains(self, positions: Array, margin: Array | float = 0.0) -> NDArray[np.bool_]:
        """Return which positions ``(N, 3)`` lie in the cell, or within a margin around it."""
        inside: NDArray[np.bool_] = np.all((positions >= self.low - margin) & (positions < self.high + margin), axis=1)
        return inside


def partition_by_count(positions: Array, max_count: int, scale: Array) -> list[Cell]:
    """Bisect space recursively at the median along the longest side of the particles in it.

    Parameters
    ----------
    positions
        Shape ``(N, 3)``.
    max_count
        Particles in a cell at most.
    scale
        Factors ``(z, y, x)`` that make the positions isotropic.
    """
    return _bisected(positions, max_count, scale, Cell(np.full(3, -np.inf), np.full(3, np.inf)))


def _bisected(positions: Array, max_count: int, scale: Array, cell: Cell) -> list[Cell]:
    here = positions[cell.contains(positions)]
    sides = np.ptp(here, axis=0) * scale if len(here) else np.zeros(3)
    axis = int(np.argmax(sides))
    if len(here) <= max_count or sides[axis] == 0:
        return [cell]
    middle = float(np.median(here[:, axis]))
    if middle <= here[:, axis].min():
        middle = float(here[:, axis].min() + here[:, axis].max()) / 2
    low, high = cell.low.copy(), cell.high.copy()
    low[axis] = high[axis] = middle
    lower, upper = Cell(cell.low, high), Cell(low, cell.high)
    return _bisected(positions, max_count, scale, lower) + _bisected(positions, max_count, scale, upper)
