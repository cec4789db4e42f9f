"""Cutting a stack into blocks of so many particles, so that the memory of a fit does not grow with the stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


class Core(NamedTuple):
    """A part of space, half-open, that belongs to one block alone; the outermost ones have no end."""

    low: Array
    high: Array

    def holds(self, positions: Array, around: Array | float = 0.0) -> NDArray[np.bool_]:
        """Return which positions ``(N, 3)`` lie in it, or at most so far outside."""
        inside: NDArray[np.bool_] = np.all((positions >= self.low - around) & (positions < self.high + around), axis=1)
        return inside


def cut_by_count(positions: Array, most: int, scale: Array) -> list[Core]:
    """Halve space, again and again, along the longest side of the particles in it until no part holds too many.

    Parameters
    ----------
    positions
        Shape ``(N, 3)``.
    most
        Particles in a part at most.
    scale
        What makes the positions isotropic.
    """
    return _halved(positions, most, scale, Core(np.full(3, -np.inf), np.full(3, np.inf)))


def _halved(positions: Array, most: int, scale: Array, core: Core) -> list[Core]:
    here = positions[core.holds(positions)]
    sides = np.ptp(here, axis=0) * scale if len(here) else np.zeros(3)
    axis = int(np.argmax(sides))
    if len(here) <= most or sides[axis] == 0:
        return [core]
    middle = float(np.median(here[:, axis]))
    if middle <= here[:, axis].min():
        middle = float(here[:, axis].min() + here[:, axis].max()) / 2
    low, high = core.low.copy(), core.high.copy()
    low[axis] = high[axis] = middle
    return _halved(positions, most, scale, Core(core.low, high)) + _halved(positions, most, scale, Core(low, core.high))
