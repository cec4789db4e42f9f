"""Misfit: what the residual of a fit has beyond the noise, around each particle and in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

if TYPE_CHECKING:
    from napari_colloids.refinement.grid import Box
    from napari_colloids.refinement.spheres import Image, Spheres

Array = NDArray[np.float64]

#: Edge of the cubes, in voxels, over which the residual is averaged to see what neighbours in it have in common, and of
#: the window that this is measured in, in diameters.
_CUBE_VOXELS = 3
_WINDOW_DIAMETERS = 2.0
#: Excess over the noise, as a median over the particles, from which the residual is not noise.
_MAX_NOISE_EXCESS = 1.25
#: Mean residual in the middle of the particles, in standard deviations of the noise of a cube, that is told.
_MIN_MIDDLE_SIGMAS = 1.0
#: Correlation along an axis over that along the others, from which the residual lies along that axis.
_MAIN_AXIS_RATIO = 1.5


@dataclass(frozen=True, eq=False)
class Misfit:
    """What the residual around each sphere has beyond the noise.

    Attributes
    ----------
    excess
        Shape ``(N,)``: its root mean square over that of the noise, at least 1. What neighbouring voxels have in common
        does not average out: it counts as the mean of a few voxels tells it.
    correlation
        Shape ``(N, 3)``: correlation of neighbouring voxels along z, y and x: 0 for noise, 1 for light.
    middle
        Shape ``(N,)``: mean of the cube in the middle, in standard deviations of the noise of such a mean.
    """

    excess: Array
    correlation: Array
    middle: Array

    def __getitem__(self, which: NDArray[np.bool_]) -> Misfit:
        return Misfit(self.excess[which], self.correlation[which], self.middle[which])

    @classmethod
    def joined(cls, parts: list[Misfit]) -> Misfit:
        """Return the misfit around the spheres of all parts."""
        names = ("excess", "correlation", "middle")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    @classmethod
    def around(cls, spheres: Spheres, box: Box, residual: Image) -> Misfit:
        """Measure it.

        Parameters
        ----------
        spheres
            In the box, or just outside.
        box
            That was fitted.
        residual
            Image less model, over the standard deviation of the noise.
        """
        residual = residual * box.known
        index = np.clip(np.rint(spheres.positions - box.low).astype(int), 0, np.array(box.shape) - 1)
        radius = float(np.median(spheres.radii))

        def mean_around(voxels: Image, diameters: float = 1.0) -> Array:
            scale = np.array([box.aspect, 1, 1])
            size = tuple(max(int(2 * diameters * radius / s), 1) for s in scale)
            return np.asarray(uniform_filter(voxels, size, mode="nearest")[tuple(index.T)], float)

        power = mean_around(residual**2)
        correlation = np.stack([mean_around(_neighbour_products(residual, axis)) for axis in range(3)], axis=1)
        cubes = uniform_filter(residual, _CUBE_VOXELS, mode="constant") * np.float32(_CUBE_VOXELS**1.5)
        single = power / np.maximum(mean_around(box.known), 0.1)
        common = mean_around(cubes**2, _WINDOW_DIAMETERS) / np.maximum(mean_around(box.known, _WINDOW_DIAMETERS), 0.1)
        return cls(
            np.sqrt(np.maximum(np.maximum(single, common), 1)),
            correlation / np.maximum(power, 1e-12)[:, None],
            np.asarray(cubes[tuple(index.T)], float),
        )

    def notices(self) -> list[str]:
        """Return a sentence that says what the residual has beyond noise; none where it is noise."""
        excess = float(np.median(self.excess)) if len(self.excess) else 1.0
        if excess < _MAX_NOISE_EXCESS:
            return []
        kinds = [self._direction()]
        middle = float(np.median(self.middle))
        if abs(middle) > _MIN_MIDDLE_SIGMAS:
            kinds.append(f"the particles are {'brighter' if middle > 0 else 'darker'} in the middle than spheres are")
        return [
            f"The fit leaves more than noise: {'; '.join(kinds)}. Standard errors are {excess:.1f} times as large "
            "for it; look at the residual."
        ]

    def _direction(self) -> str:
        """Return where neighbouring voxels of the residual have most in common."""
        along = np.median(self.correlation, axis=0)
        main = int(along.argmax())
        others = float(np.delete(along, main).max())
        if along[main] > _MAIN_AXIS_RATIO * max(others, 0.0):
            return f"structure along {'zyx'[main]}"
        return "light in patches of several voxels"


def _neighbour_products(residual: Image, axis: int) -> Image:
    """Return the product of each voxel with the one before it along an axis; 0 for the first."""
    products = np.zeros_like(residual)
    along = np.moveaxis(residual, axis, 0)
    np.moveaxis(products, axis, 0)[1:] = along[1:] * along[:-1]
    return products
