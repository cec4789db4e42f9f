"""Part of a stack to search: a volume of a series, and a region of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from numbers import Integral
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_colloids.errors import ColloidsError
from napari_colloids.volumes import read_box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from napari_colloids.volumes import Volume


Array = NDArray[np.float64]


class Part(NamedTuple):
    """One volume of a series.

    Attributes
    ----------
    frame, channel
        Counted from 0.
    """

    frame: int = 0
    channel: int = 0


@dataclass(frozen=True, eq=False)
class Region:
    """Part of a stack in which particles are wanted; a centre has to satisfy all of the conditions that are given.

    Particles in it are found as in a search of the whole stack: what lies just around the region is searched, too.

    Attributes
    ----------
    z_range
        First slice and the one after the last.
    outlines
        Polygons, each of shape ``(N, 2)``: y, x in voxels. A centre has to lie in one of them.
    mask
        Array-like of the stack's shape ``(z, y, x)``. A centre has to lie where it is not 0.

    See Also
    --------
    detect : takes it as ``region``.

    Examples
    --------
    >>> import napari_colloids as nc
    >>> region = nc.Region(z_range=(0, 12), outlines=[[(2, 2), (2, 20), (20, 2)]])
    >>> region
    Region(z_range=(0, 12), 1 outline)
    >>> simulated = nc.simulate(shape=(24, 24, 24), volume_fraction=0.3, radius=4, seed=1)
    >>> found = nc.detect(simulated.stack, region=region, diameter=8, method="log")
    >>> bool((found["z"] < 11.5).all())
    True
    """

    z_range: tuple[int, int] | None = None
    outlines: Sequence[ArrayLike] = ()
    mask: Volume | None = None

    def __repr__(self) -> str:
        parts = [] if self.z_range is None else [f"z_range={self.z_range}"]
        if len(self.outlines):
            parts.append(f"{len(self.outlines)} outline{'s' if len(self.outlines) > 1 else ''}")
        if self.mask is not None:
            parts.append(f"mask of shape {tuple(self.mask.shape)}")
        return f"Region({', '.join(parts)})"

    @property
    def restricts(self) -> bool:
        """Whether particles are wanted in a part of the stack only."""
        return self.z_range is not None or len(self.outlines) > 0 or self.mask is not None

    def between(self, z_range: tuple[int, int]) -> Region:
        """Return the part of the region in a range of slices: the first and the one after the last.

        Raises
        ------
        ColloidsError
            If the region and the range have no slice in common.
        """
        first, end = _slices(z_range)
        low, high = self.z_range or (first, end)
        if max(low, first) >= min(high, end) and self.z_range is not None:
            raise ColloidsError(f"The z ranges {low}:{high} and {first}:{end} have no slice in common.")
        return replace(self, z_range=(max(low, first), min(high, end)))

    def check(self, shape: tuple[int, int, int]) -> None:
        """Refuse a region that does not fit a stack of this shape.

        Raises
        ------
        ColloidsError
            If it does not, or lies outside the stack.
        """
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
        """Return the corners ``(low, high)`` of the region's bounding box in voxels, half-open; masks are left out."""
        low, high = np.zeros(3, int), np.array(shape)
        if self.z_range is not None:
            low[0], high[0] = self.z_range
        if len(self.outlines):
            corners = np.concatenate([np.asarray(outline, dtype=float) for outline in self.outlines])
            low[1:] = np.clip(np.floor(corners.min(axis=0)), 0, high[1:])
            high[1:] = np.clip(np.ceil(corners.max(axis=0)) + 1, 0, high[1:])
        return low, high

    def overlaps(self, low: NDArray[np.intp], high: NDArray[np.intp]) -> bool:
        """Tell whether particles centred in the box of voxels ``[low, high)`` may be wanted; yes in case of doubt."""
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
        """Mark the positions ``(N, 3)`` that lie in the region."""
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
    """Return a range of slices as a tuple.

    Raises
    ------
    ColloidsError
        If it is not two whole numbers.
    """
    numbers = list(z_range) if isinstance(z_range, Iterable) else []
    if len(numbers) != 2 or not all(isinstance(number, Integral) for number in numbers):
        raise ColloidsError(f"The z range is the first slice and the one after the last, not {z_range!r}.")
    return int(numbers[0]), int(numbers[1])


def _masked(mask: Volume, positions: Array) -> NDArray[np.bool_]:
    """Mark the positions where the mask is not 0; it is read slice by slice, as it can be as large as the stack."""
    z, y, x = np.clip(np.rint(positions).astype(int), 0, np.array(mask.shape) - 1).T
    inside = np.zeros(len(positions), bool)
    for number in np.unique(z):
        here = z == number
        (plane,) = read_box(mask, (slice(number, number + 1), slice(None), slice(None)))
        inside[here] = plane[y[here], x[here]] != 0
    return inside
