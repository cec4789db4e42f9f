"""What changes slowly over a box, such as background and illumination: polynomials of second order in z, y and x."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Image = NDArray[np.float32]

#: Powers of z, y and x in each term; the constant comes first.
POWERS = np.array(
    [
        *((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)),
        *((2, 0, 0), (0, 2, 0), (0, 0, 2), (1, 1, 0), (1, 0, 1), (0, 1, 1)),
    ]
)
TERMS = len(POWERS)


@dataclass(frozen=True, eq=False)
class Slow:
    """Products of Legendre polynomials on a box, whose ends are -1 and 1.

    Attributes
    ----------
    low
        First voxel of the box.
    shape
        Shape ``(Z, Y, X)`` of the box.
    factors
        For each axis the polynomials at its voxels, shape ``(3, length)``.
    """

    low: NDArray[np.intp]
    shape: tuple[int, int, int]
    factors: tuple[Image, Image, Image]

    @classmethod
    def over(cls, low: NDArray[np.intp], shape: tuple[int, int, int]) -> Slow:
        """Return the terms for a box."""
        z, y, x = (_legendre(np.linspace(-1, 1, n, dtype=np.float32)) for n in shape)
        return cls(low, shape, (z, y, x))

    def image(self, weights: Array) -> Image:
        """Return the sum of the terms, shape ``(Z, Y, X)``, for the weights of some of them, the last ones."""
        cube = np.zeros((3, 3, 3), np.float32)
        cube[tuple(POWERS[TERMS - len(weights) :].T)] = weights
        return np.einsum("abc,az,by,cx->zyx", cube, *self.factors, optimize=True)

    def images(self) -> Image:
        """Return all terms, shape ``(TERMS, Z, Y, X)``."""
        z, y, x = (factor[powers] for factor, powers in zip(self.factors, POWERS.T, strict=True))
        return np.asarray(z[:, :, None, None] * y[:, None, :, None] * x[:, None, None, :])

    def at(self, positions: Array) -> Array:
        """Return all terms at positions ``(N, 3)`` in voxels of the stack, shape ``(TERMS, N)``."""
        places = 2 * (positions - self.low) / np.maximum(np.array(self.shape) - 1, 1) - 1
        values = np.stack([_legendre(axis) for axis in places.T])
        return np.asarray(values[[0, 1, 2], POWERS].prod(axis=1))

    def products(self, images: Image) -> Array:
        """Return the sums over the box of images ``(n, Z, Y, X)`` times each term, shape ``(n, TERMS)``."""
        sums = self._moments(images, self.factors)
        return np.asarray(sums[(slice(None), *POWERS.T)], float)

    def products_of_terms(self, weight: Image) -> Array:
        """Return the sums over the box of a weight ``(Z, Y, X)`` times any two terms, shape ``(TERMS, TERMS)``."""
        z, y, x = ((factor[:, None] * factor).reshape(-1, factor.shape[1]) for factor in self.factors)
        sums = self._moments(weight[None], (z, y, x))[0].reshape(3, 3, 3, 3, 3, 3)
        one, other = POWERS[:, None], POWERS[None]
        index = [powers[..., axis] for axis in range(3) for powers in (one, other)]
        return np.asarray(sums[tuple(np.broadcast_arrays(*index))], float)

    @staticmethod
    def _moments(images: Image, factors: tuple[Image, Image, Image]) -> Image:
        """Return the sums of images ``(n, Z, Y, X)`` times functions ``(m, length)`` of each axis."""
        z, y, x = factors
        over_x = images @ x.T
        over_y = np.matmul(y, over_x)
        return np.tensordot(over_y, z, axes=([1], [1])).transpose(0, 3, 1, 2)


def _legendre(x: NDArray[Any]) -> NDArray[Any]:
    return np.stack([np.ones_like(x), x, x**2 - x.dtype.type(1 / 3)])
