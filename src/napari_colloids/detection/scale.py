"""The canonical scale: every stack is resampled to isotropic voxels in which a particle is 10 voxels wide.

Particles then have the same size for the network whatever the magnification, so that a small network suffices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_colloids.stack import VoxelSize

#: Diameter of a particle on the canonical scale, in voxels.
CANONICAL_DIAMETER = 10.0
#: Empty canonical voxels around a stack, for spheres that its faces cut and that are centred outside. The network finds
#: them there, and they can be dropped; without the margin it would place them in the outermost voxels.
MARGIN = 4
#: Canonical voxels per cell of the network's output.
STRIDE = 2
#: Standard deviation of the interpolating Gaussian over the coarser of the two voxel spacings.
_SIGMA_SPACINGS = 0.5
#: It is truncated at this many standard deviations.
_TRUNCATE_SIGMAS = 4.0

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Scale:
    """The map between a stack's voxels and the canonical ones.

    Attributes
    ----------
    step
        Source voxels per canonical voxel, ``(z, y, x)``.
    shape
        Shape ``(z, y, x)`` of the stack in source voxels.
    y_over_x
        Edge of a source voxel along y over that along x.
    """

    step: tuple[float, float, float]
    shape: tuple[int, int, int]
    y_over_x: float = 1.0

    @classmethod
    def for_diameter(
        cls, diameter: float, shape: tuple[int, int, int], proportions: VoxelSize = (1.0, 1.0, 1.0)
    ) -> Scale:
        """Return the scale on which particles of a `diameter` in voxels along x are `CANONICAL_DIAMETER` wide.

        Or nearly so: the stack becomes a whole number of the network's cells, so that its point reflection has the same
        grid of cells.

        Parameters
        ----------
        diameter
            In source voxels along x.
        shape
            Shape ``(z, y, x)`` of the stack.
        proportions
            Edges ``(z, y, x)`` of a source voxel over the one along x.
        """
        ideal = (diameter / CANONICAL_DIAMETER / edge for edge in proportions)
        z, y, x = (n / (STRIDE * max(round(n / (STRIDE * f)), 1)) for n, f in zip(shape, ideal, strict=True))
        return cls((z, y, x), shape, proportions[1])

    @property
    def lateral_step(self) -> float:
        """Source voxels along x per canonical voxel, mean of y and x."""
        return float(np.sqrt(self.step[1] * self.y_over_x * self.step[2]))

    @property
    def canonical_shape(self) -> tuple[int, int, int]:
        """Shape of the stack in canonical voxels, rounded up."""
        z, y, x = (int(np.ceil(n / f - 1e-9)) for n, f in zip(self.shape, self.step, strict=True))
        return z, y, x

    @property
    def padded_shape(self) -> tuple[int, int, int]:
        """Shape of the canonical volume with its margin."""
        z, y, x = (n + 2 * MARGIN for n in self.canonical_shape)
        return z, y, x

    def to_source(self, positions: Array) -> Array:
        """Turn canonical positions ``(N, 3)`` into source voxels."""
        return (positions + 0.5) * self.step - 0.5

    def to_canonical(self, positions: Array) -> Array:
        """Turn source positions ``(N, 3)`` in voxels into canonical ones."""
        return (positions + 0.5) / self.step - 0.5

    def source_slices(self, low: tuple[int, ...], high: tuple[int, ...]) -> tuple[slice, ...]:
        """Return the part of the source that determines the canonical voxels ``[low, high)``."""
        slices = []
        for a, b, f, n in zip(low, high, self.step, self.shape, strict=True):
            reach = _TRUNCATE_SIGMAS * _SIGMA_SPACINGS * max(f, 1.0)
            first = int(np.floor((a + 0.5) * f - 0.5 - reach))
            last = int(np.ceil((b - 0.5) * f - 0.5 + reach)) + 1
            slices.append(slice(min(max(first, 0), n - 1), max(min(last, n), 1)))
        return tuple(slices)

    def weights(self, axis: int, low: int, high: int, source: slice) -> NDArray[np.float32]:
        """Return the matrix that resamples one axis: canonical voxels ``[low, high)`` from a slice of source voxels.

        Parameters
        ----------
        axis
            0, 1 or 2 for z, y, x.
        low, high
            Canonical voxels.
        source
            As `source_slices` gives for them.

        Returns
        -------
        numpy.ndarray
            Shape ``(high - low, source voxels)``. Each row is a Gaussian of sum 1, which interpolates, and smooths
            where the canonical grid is the coarser one. It does not depend on where a tile begins; rows beyond the
            stack are 0.
        """
        f, n = self.step[axis], self.shape[axis]
        centre = (np.arange(low, high) + 0.5) * f - 0.5
        distance = (np.arange(source.start, source.stop)[None, :] - centre[:, None]) / (_SIGMA_SPACINGS * max(f, 1.0))
        weights = np.where(np.abs(distance) <= _TRUNCATE_SIGMAS, np.exp(-0.5 * distance**2), 0.0)
        total = weights.sum(axis=1, keepdims=True)
        beyond = (centre < -0.5) | (centre > n - 0.5)
        weights = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
        weights[beyond] = 0.0
        return weights.astype(np.float32)
