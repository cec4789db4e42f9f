"""Second-order Legendre basis for background and illumination, which vary slowly over a box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Image = NDArray[np.float32]
Real = TypeVar("Real", np.float32, np.float64)

#: Degrees in z, y and x of each term, of total degree at most 2; the constant comes first.
DEGREES = np.array(
    [
        *((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)),
        *((2, 0, 0), (0, 2, 0), (0, 0, 2), (1, 1, 0), (1, 0, 1), (0, 1, 1)),
    ]
)
N_TERMS = len(DEGREES)


@dataclass(frozen=True, eq=False)
class LegendreBasis:
    """Products of Legendre polynomials in z, y and x on a box, whose ends are at -1 and 1.

    Attributes
    ----------
    low
        First voxel of the box.
    shape
        Shape ``(Z, Y, X)`` of the box.
    factors
        For each axis the polynomials of degree 0, 1 and 2 at its voxels, shape ``(3, length)``.
    """

    low: NDArray[np.intp]
    shape: tuple[int, int, int]
    factors: tuple[Image, Image, Image]

    @classmethod
    def over(cls, low: NDArray[np.intp], shape: tuple[int, int, int]) -> LegendreBasis:
        """Return the basis on a box of a shape with a first voxel."""
        z, y, x = (_legendre(np.linspace(-1, 1, n, dtype=np.float32)) for n in shape)
        return cls(low, shape, (z, y, x))

    def image(self, coefficients: Array) -> Image:
        """Return a linear combination of the terms, shape ``(Z, Y, X)``; fewer coefficients are those of the last."""
        cube = np.zeros((3, 3, 3), np.float32)
        cube[tuple(DEGREES[N_TERMS - len(coefficients) :].T)] = coefficients
        return np.einsum("abc,az,by,cx->zyx", cube, *self.factors, optimize=True)

    def images(self) -> Image:
        """Return all terms on the voxels of the box, shape ``(N_TERMS, Z, Y, X)``."""
        z, y, x = (factor[degrees] for factor, degrees in zip(self.factors, DEGREES.T, strict=True))
        return np.asarray(z[:, :, None, None] * y[:, None, :, None] * x[:, None, None, :])

    def at(self, positions: Array) -> Array:
        """Return all terms at positions ``(N, 3)`` in voxels of the stack, shape ``(N_TERMS, N)``."""
        scaled = 2 * (positions - self.low) / np.maximum(np.array(self.shape) - 1, 1) - 1
        values = np.stack([_legendre(axis) for axis in scaled.T])
        return np.asarray(values[[0, 1, 2], DEGREES].prod(axis=1))

    def inner_products(self, images: Image) -> Array:
        """Return the sums over the box of images ``(n, Z, Y, X)`` times each term, shape ``(n, N_TERMS)``."""
        sums = self._moments(images, self.factors)
        return np.asarray(sums[(slice(None), *DEGREES.T)], float)

    def gram_matrix(self, weight: Image) -> Array:
        """Return the sums over the box of a weight ``(Z, Y, X)`` times any two terms, ``(N_TERMS, N_TERMS)``."""
        z, y, x = ((factor[:, None] * factor).reshape(-1, factor.shape[1]) for factor in self.factors)
        sums = self._moments(weight[None], (z, y, x))[0].reshape(3, 3, 3, 3, 3, 3)
        one, other = DEGREES[:, None], DEGREES[None]
        index = [degrees[..., axis] for axis in range(3) for degrees in (one, other)]
        return np.asarray(sums[tuple(np.broadcast_arrays(*index))], float)

    @staticmethod
    def _moments(images: Image, factors: tuple[Image, Image, Image]) -> Image:
        """Return the sums of images ``(n, Z, Y, X)`` times functions ``(m, length)`` of each axis."""
        z, y, x = factors
        over_x = images @ x.T
        over_y = np.matmul(y, over_x)
        return np.tensordot(over_y, z, axes=([1], [1])).transpose(0, 3, 1, 2)


def _legendre(x: NDArray[Real]) -> NDArray[Real]:
    """Return the Legendre polynomials of degree 0, 1 and 2, up to a factor in the last, shape ``(3, length)``."""
    return np.stack([np.ones_like(x), x, x**2 - x.dtype.type(1 / 3)])
