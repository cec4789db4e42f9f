"""Where to look: a volume of a series, and the part of it in which particles are wanted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from numbers import Integral
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_colloids.errors import ColloidsError
from napari_colloids.stack import read_box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_colloids.stack import Volume


Array = NDArray[np.float64]


class Part(NamedTuple):
    """One volume of a series."""

    frame: int = 0
    channel: int = 0


@dataclass(frozen=True, eq=False)
class Region:
    """A range of slices, outlines drawn on them, and a mask; where several are given, all of them apply.

    Attributes
    ----------
    z_range
        First slice and the one after the last.
    outlines
        Polygons, each of shape ``(N, 2)``: y, x in voxels. A particle is wanted when it lies in one of them.
    mask
        Array-like of the stack's shape ``(z, y, x)``; particles are wanted where it is not 0.
    """

    z_range: tuple[int, int] | None = None
    outlines: Sequence[Array] = ()
    mask: Volume | None = None

    @property
    def somewhere(self) -> bool:
        """Whether particles are wanted in a part of the stack only."""
        return self.z_range is not None or len(self.outlines) > 0 or self.mask is not None

    def between(self, z_range: tuple[int, int]) -> Region:
        """Return what of the region lies in a range of slices: the first and the one after the last.

        Raises
        ------
        ColloidsError
            If it has other slices only.
        """
        first, end = _slices(z_range)
        low, high = self.z_range or (first, end)
        if max(low, first) >= min(high, end) and self.z_range is not None:
            raise ColloidsError(f"The z ranges {low}:{high} and {first}:{end} have no slice in common.")
        return replace(self, z_range=(max(low, first), min(high, end)))

    def check(self, shape: tuple[int, int, int]) -> None:
        """Raise a `ColloidsError` if the region does not fit a stack of this shape, or lies outside it."""
        low, high = (0, shape[0]) if self.z_range is None else _slices(self.z_range)
        if not 0 <= low < high <= shape[0]:
            raise ColloidsError(f"The z range {low}:{high} does not lie within the {shape[0]} slices of the stack.")
        for outline in self.outlines:
            corners = np.asarray(outline, dtype=float)
            if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3 or not np.isfinite(corners).all():
                raise ColloidsError("An outline needs at least three corners (y, x) in voxels.")
            if np.ptp(corners, axis=0).min() == 0:
                raise ColloidsError("An outline holds no area: nothing would be searched.")
        if self.mask is not None and tuple(self.mask.shape) != shape:
            raise ColloidsError(
                f"The mask has shape {tuple(self.mask.shape)} and the stack {shape}: they must be equal."
            )
        first, last = self.bounds(shape)
        if np.any(first >= last):
            raise ColloidsError("The region lies outside the stack: nothing would be searched.")

    def bounds(self, shape: tuple[int, int, int]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the corners ``(low, high)`` of the smallest box of voxels that holds the region, half-open."""
        low, high = np.zeros(3, int), np.array(shape)
        if self.z_range is not None:
            low[0], high[0] = self.z_range
        if len(self.outlines):
            corners = np.concatenate([np.asarray(outline, dtype=float) for outline in self.outlines])
            low[1:] = np.clip(np.floor(corners.min(axis=0)), 0, high[1:])
            high[1:] = np.clip(np.ceil(corners.max(axis=0)) + 1, 0, high[1:])
        return low, high

    def overlaps(self, low: NDArray[np.intp], high: NDArray[np.intp]) -> bool:
        """Whether particles centred in the box of voxels ``[low, high)`` may be wanted; yes in case of doubt."""
        if self.z_range is not None and (high[0] <= self.z_range[0] or low[0] >= self.z_range[1]):
            return False
        if len(self.outlines) and not any(
            np.all(np.min(outline, axis=0) < high[1:]) and np.all(np.max(outline, axis=0) >= low[1:] - 1)
            for outline in self.outlines
        ):
            return False
        if self.mask is None:
            return True
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        return bool(read_box(self.mask, box).any())

    def contains(self, positions: Array) -> NDArray[np.bool_]:
        """Return which positions ``(N, 3)`` lie in the region."""
        inside = np.ones(len(positions), bool)
        if self.z_range is not None:
            inside &= (positions[:, 0] >= self.z_range[0] - 0.5) & (positions[:, 0] < self.z_range[1] - 0.5)
        if len(self.outlines):
            from matplotlib.path import Path

            inside &= np.any([Path(np.asarray(o)).contains_points(positions[:, 1:]) for o in self.outlines], axis=0)
        if self.mask is not None:
            inside &= _masked(self.mask, positions)
        return inside


def _slices(z_range: Sequence[int]) -> tuple[int, int]:
    """Return a range of slices.

    Raises
    ------
    ColloidsError
        If it is none.
    """
    numbers = list(z_range) if isinstance(z_range, Iterable) else []
    if len(numbers) != 2 or not all(isinstance(number, Integral) for number in numbers):
        raise ColloidsError(f"The z range is the first slice and the one after the last, not {z_range!r}.")
    return int(numbers[0]), int(numbers[1])


def _masked(mask: Volume, positions: Array) -> NDArray[np.bool_]:
    """Look the positions up in the mask, slice by slice: a mask can be as large as the stack."""
    z, y, x = np.clip(np.rint(positions).astype(int), 0, np.array(mask.shape) - 1).T
    inside = np.zeros(len(positions), bool)
    for number in np.unique(z):
        here = z == number
        (plane,) = read_box(mask, (slice(number, number + 1), slice(None), slice(None)))
        inside[here] = plane[y[here], x[here]] != 0
    return inside
