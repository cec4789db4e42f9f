"""The grid of the fit: the stack, binned where particles are large, which loses nothing and saves most of the work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_colloids.refinement.fit import Box
from napari_colloids.stack import read_box

Array = NDArray[np.float64]
Corner = NDArray[np.intp]

#: Radius in voxels of the grid that is fine enough.
_RADIUS = 5.0
#: Share of the voxels that must lie at the lowest or highest grey level to be taken as cut off there.
_CUT = 0.002


@dataclass(frozen=True)
class Grid:
    """Voxels of a stack, averaged in bins.

    Attributes
    ----------
    bins
        Voxels of the stack in one of the grid, ``(z, y, x)``; as many along y as along x.
    shape
        Shape ``(z, y, x)`` of the grid; what does not fill a bin at the far faces is left out.
    aspect
        Height of a voxel of the grid over its width.
    """

    bins: tuple[int, int, int]
    shape: tuple[int, int, int]
    aspect: float

    @classmethod
    def of(cls, shape: tuple[int, int, int], diameter: float, aspect: float = 1.0) -> Grid:
        """Return the grid for particles of a diameter in lateral voxels, in a stack of voxels of an aspect."""
        return cls._of_bins(diameter / 2 / _RADIUS, shape, aspect)

    def finer(self, stack: tuple[int, int, int]) -> Grid:
        """Return the grid of the next smaller bins, for a stack of a shape."""
        return self._of_bins(self.bins[2] - 1, stack, self.aspect * self.bins[2] / self.bins[0])

    @classmethod
    def _of_bins(cls, width: float, shape: tuple[int, int, int], aspect: float) -> Grid:
        """Return the grid whose bins are at most so many lateral voxels wide and high."""
        lateral, axial = max(int(width), 1), max(int(width / aspect), 1)
        bins = (min(axial, shape[0]), min(lateral, *shape[1:]), min(lateral, *shape[1:]))
        z, y, x = (n // b for n, b in zip(shape, bins, strict=True))
        return cls(bins, (z, y, x), aspect * bins[0] / bins[2])

    def coarser(self, stack: tuple[int, int, int], along: int) -> Grid:
        """Return a grid of which each voxel is so many of these high, for a stack of a shape."""
        z, y, x = self.bins
        return Grid((z * along, y, x), (stack[0] // (z * along), *self.shape[1:]), self.aspect * along)

    @property
    def averaged(self) -> int:
        """Voxels of the stack in one of the grid."""
        return int(np.prod(self.bins))

    def to_grid(self, positions: Array) -> Array:
        """Turn positions ``(N, 3)`` in voxels of the stack into voxels of the grid."""
        return np.asarray((positions + 0.5) / self.bins - 0.5)

    def to_source(self, positions: Array) -> Array:
        """Turn positions ``(N, 3)`` in voxels of the grid into voxels of the stack."""
        return np.asarray((positions + 0.5) * self.bins - 0.5)

    def inside(self, positions: Array) -> NDArray[np.bool_]:
        """Return which positions ``(N, 3)`` in voxels of the grid lie in it."""
        within: NDArray[np.bool_] = np.all((positions >= -0.5) & (positions < np.array(self.shape) - 0.5), axis=1)
        return within

    def read(self, volume: Any, low: Corner, high: Corner) -> Box:
        """Read the voxels ``[low, high)`` of the grid."""
        image = self._raw(volume, low, high).astype(np.float32)
        known = np.isfinite(image)
        if not known.all():
            image = np.where(known, image, 0)
        return Box(
            self._binned(image), (self._binned(known.astype(np.float32)) == 1).astype(np.float32), low, self.aspect
        )

    def limits(self, volume: Any, low: Corner, high: Corner) -> tuple[float, float]:
        """Return the lowest and highest grey level of the stack if many of the voxels lie there, else infinities."""
        image = self._raw(volume, low, high)
        image = image[np.isfinite(image)]
        if not image.size:
            return -np.inf, np.inf
        first, last = image.min(), image.max()
        cut_low, cut_high = np.mean(image == first) > _CUT, np.mean(image == last) > _CUT
        return (float(first) if cut_low else -np.inf, float(last) if cut_high else np.inf)

    def _raw(self, volume: Any, low: Corner, high: Corner) -> NDArray[Any]:
        source = (slice(int(a * b), int(c * b)) for a, c, b in zip(low, high, self.bins, strict=True))
        return read_box(volume, tuple(source))

    def _binned(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.averaged == 1:
            return image
        (z, a), (y, b), (x, c) = ((n // bins, bins) for n, bins in zip(image.shape, self.bins, strict=True))
        return np.asarray(image.reshape(z, a, y, b, x, c).mean(axis=(1, 3, 5), dtype=np.float32))
