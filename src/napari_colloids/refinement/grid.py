"""The voxel grid of the fit: the stack, binned where particles are large, and boxes that are read from it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.refinement.polynomials import LegendreBasis
from napari_colloids.volumes import read_box

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_colloids.refinement.spheres import Array, Corner, Image
    from napari_colloids.volumes import Volume

#: Radius in voxels of the grid that is fine enough: larger particles are binned.
_TARGET_RADIUS_VOXELS = 5.0
#: Fraction of the voxels at the lowest or highest grey level from which the detector counts as saturated there.
_MIN_SATURATED_FRACTION = 0.002
#: Voxels that differ from all their neighbours at such a level, over those at it, from which noise is cut off there.
#: Where there are fewer, and at least this part of those at it lie among each other, the image is constant.
_MIN_NOISY_FRACTION = 0.003
_MIN_TOGETHER_FRACTION = 0.3
#: Blocks are fitted on parallel threads, but not every volume can be read from several.
_reading = threading.Lock()


@dataclass(frozen=True, eq=False)
class Box:
    """The voxels of a part of the grid.

    Attributes
    ----------
    image
        Shape ``(Z, Y, X)``; 0 where it has no value.
    known
        1 where the image has a value, else 0.
    low
        First voxel of the box.
    aspect
        Height of a voxel over its width.
    """

    image: Image
    known: Image
    low: Corner
    aspect: float

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape in voxels."""
        z, y, x = self.image.shape
        return z, y, x

    @property
    def basis(self) -> LegendreBasis:
        """Polynomials that background and illumination are expanded in."""
        return LegendreBasis.over(self.low, self.shape)

    def where_known(self, voxels: Image) -> Image:
        """Return those of the voxels (of the image, or of a model of it) where the image has a value."""
        return voxels[self.known > 0]


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
        return cls._of_bins(diameter / 2 / _TARGET_RADIUS_VOXELS, shape, aspect)

    def finer(self, stack: tuple[int, int, int]) -> Grid:
        """Return the grid of the next smaller bins, for a stack of a shape."""
        return self._of_bins(self.bins[2] - 1, stack, self.aspect * self.bins[2] / self.bins[0])

    @classmethod
    def _of_bins(cls, width: float, shape: tuple[int, int, int], aspect: float) -> Grid:
        """Return the grid of the largest bins that are no wider and no taller than a number of lateral voxels."""
        lateral, axial = max(int(width), 1), max(int(width / aspect), 1)
        bins = (min(axial, shape[0]), min(lateral, *shape[1:]), min(lateral, *shape[1:]))
        z, y, x = (n // b for n, b in zip(shape, bins, strict=True))
        return cls(bins, (z, y, x), aspect * bins[0] / bins[2])

    def binned_along_z(self, stack: tuple[int, int, int], factor: int) -> Grid:
        """Return the grid whose voxels are taller by a factor, for a stack of a shape."""
        z, y, x = self.bins
        return Grid((z * factor, y, x), (stack[0] // (z * factor), *self.shape[1:]), self.aspect * factor)

    @property
    def averaged(self) -> int:
        """Voxels of the stack in one of the grid."""
        return int(np.prod(self.bins))

    @property
    def scale(self) -> Array:
        """Factors ``(z, y, x)`` that turn voxels of the grid into its lateral voxels."""
        return np.array([self.aspect, 1, 1])

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

    def read(self, volume: Volume, low: Corner, high: Corner) -> Box:
        """Read the voxels ``[low, high)`` of the grid."""
        image = self._source_voxels(volume, low, high).astype(np.float32)
        known = np.isfinite(image)
        if not known.all():
            image = np.where(known, image, 0)
        return Box(
            self._binned(image), (self._binned(known.astype(np.float32)) == 1).astype(np.float32), low, self.aspect
        )

    def limits(self, volume: Volume, low: Corner, high: Corner) -> tuple[float, float]:
        """Return the grey levels at which noise is cut off in a box, infinities where it is not."""
        image = self._source_voxels(volume, low, high)
        known = image[np.isfinite(image)]
        if not known.size:
            return -np.inf, np.inf
        first, last = known.min(), known.max()
        low_end, high_end = (image == end for end in (first, last))
        limits = [
            float(end) if np.count_nonzero(at_end) > _MIN_SATURATED_FRACTION * known.size else unlimited
            for end, at_end, unlimited in ((first, low_end, -np.inf), (last, high_end, np.inf))
        ]
        if np.isfinite(limits[0]) and _is_constant(low_end):
            # Without noise in the dark, equal levels in the light are no sign of saturation either.
            return -np.inf, np.inf if _is_constant(high_end) else limits[1]
        return limits[0], limits[1]

    def _source_voxels(self, volume: Volume, low: Corner, high: Corner) -> NDArray[np.generic]:
        source = (slice(int(a * b), int(c * b)) for a, c, b in zip(low, high, self.bins, strict=True))
        with _reading:
            return read_box(volume, tuple(source))

    def _binned(self, image: Image) -> Image:
        if self.averaged == 1:
            return image
        (z, a), (y, b), (x, c) = ((n // bins, bins) for n, bins in zip(image.shape, self.bins, strict=True))
        return np.asarray(image.reshape(z, a, y, b, x, c).mean(axis=(1, 3, 5), dtype=np.float32))


def _is_constant(at_end: NDArray[np.bool_]) -> bool:
    """Return whether voxels at an end of the grey levels have no noise: they lie together, without others among them.

    Noise that is cut off there leaves single voxels with other levels; in light without noise these lie together.
    """
    among = np.ones(tuple(max(n - 2, 0) for n in at_end.shape), bool)
    middle = tuple(slice(1, -1) for _ in range(3))
    for axis in range(3):
        for shifted in (slice(None, -2), slice(2, None)):
            among &= at_end[(*middle[:axis], shifted, *middle[axis + 1 :])]
    count = np.count_nonzero(at_end)
    inside, single = (np.count_nonzero(among & part) for part in (at_end[middle], ~at_end[middle]))
    return bool(inside > _MIN_TOGETHER_FRACTION * count and single < _MIN_NOISY_FRACTION * count)
