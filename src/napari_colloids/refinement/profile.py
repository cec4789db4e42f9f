"""The image of one sphere: a ball blurred by the core of the PSF, cheap to shift and to differentiate.

A ball blurred by an isotropic Gaussian has a closed form; what the PSF is longer than wide is a convolution along z.
The result depends on height, distance from the axis and radius. As a matrix (height by everything else) it has a low
rank: a few functions of the height, common to all radii, times as many functions of distance and radius. So a picture
of 30 x 20 x 20 voxels costs 20 x 20 evaluations and a small matrix product.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import erf

from napari_colloids.refinement.templates import NODES, Tables

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

#: How far the picture reaches beyond the surface, in standard deviations of the PSF; and how far its derivatives are
#: followed, which may be less: that costs the fit some speed and no truth.
REACH = 3.0
STEEP_REACH = 2.4
#: Steps of the tables per lateral standard deviation.
_FINE = 8
#: Steps in the radius, in lateral standard deviations: interpolation is cubic.
_RADIUS_STEP = 0.4
#: Share of the squared picture that the low rank may lose.
_LOST = 1e-7
_MIXTURES = 16


def blurred_ball(distance: Array, radius: Array | float, sigma: float) -> Array:
    """Return a ball of value 1, convolved with an isotropic Gaussian, at a distance from its centre.

    The closed form follows from the radial convolution of a step; for large radii it is the error function of the edge.
    """
    rho = np.maximum(distance, 1e-3 * sigma)
    width = np.sqrt(2) * sigma
    near, far = (radius - rho) / width, (radius + rho) / width
    edges = (erf(near) + erf(far)) / 2
    return np.asarray(edges - sigma / (np.sqrt(2 * np.pi) * rho) * (np.exp(-(near**2)) - np.exp(-(far**2))))


class Profile:
    """Pictures of blurred spheres of a range of radii.

    Parameters
    ----------
    radii
        Smallest and largest radius, in lateral voxels.
    sigma
        Standard deviations ``(axial, lateral)`` of the PSF in lateral voxels, the axial one not the smaller.
    shell
        Radius of the dark core over the radius.
    aspect
        Height of a voxel over its width.
    """

    def __init__(
        self, radii: tuple[float, float], sigma: tuple[float, float], shell: float = 0.0, aspect: float = 1.0
    ) -> None:
        axial, lateral = sigma
        self.sigma, self.aspect = sigma, aspect
        step, radius_step = lateral / _FINE, _RADIUS_STEP * lateral
        steps = max(int(np.ceil((radii[1] - radii[0]) / radius_step)), 0) + NODES - 1
        first_radius = max((radii[0] + radii[1] - steps * radius_step) / 2, 1e-3)
        grid = first_radius + radius_step * np.arange(steps + 1)
        heights, distances = (
            np.arange(int(np.ceil((grid[-1] + REACH * s) / step)) + 2) * step for s in (axial, lateral)
        )
        picture = _ball(np.hypot(heights[:, None, None], distances), grid[:, None], lateral, shell)
        picture = picture.reshape(len(heights), -1)
        along = np.sqrt(max(axial**2 - lateral**2, 0.0))
        if along > 0:
            picture = _blurring(heights, along) @ picture
        basis = _leading(picture)
        across = (basis.T @ picture).reshape(-1, len(grid), len(distances)).transpose(1, 0, 2)
        self.tables = Tables(
            _single(basis),
            _single(np.gradient(basis, step, axis=0)),
            _single(across),
            _single(np.gradient(across, step, axis=2)),
            step,
            radius_step,
            float(first_radius),
            float(aspect),
        )

    def window(self, radius: float, reach: float = REACH) -> tuple[int, int, int]:
        """Return how many voxels ``(z, y, x)`` from the middle of its voxel the picture of a radius is drawn.

        Parameters
        ----------
        radius
            In lateral voxels.
        reach
            Beyond the surface, in standard deviations of the PSF.
        """
        axial, lateral = self.sigma
        height = int(np.ceil((radius + reach * axial) / self.aspect))
        width = int(np.ceil(radius + reach * lateral))
        return height, width, width


def _ball(distance: Array, radius: Any, sigma: float, shell: float) -> Array:
    ball = blurred_ball(distance, radius, sigma)
    return ball - blurred_ball(distance, shell * radius, sigma) if shell > 0 else ball


def _blurring(heights: NDArray[Any], sigma: float) -> Array:
    """Return the matrix that blurs what is given at some heights, from 0, and is the same below."""
    weight = np.exp(-((heights[:, None] - heights) ** 2) / (2 * sigma**2))
    weight[:, 1:] += np.exp(-((heights[:, None] + heights[1:]) ** 2) / (2 * sigma**2))
    steps = np.arange(-len(heights), len(heights) + 1) * heights[1]
    return np.asarray(weight / np.exp(-(steps**2) / (2 * sigma**2)).sum())


def _leading(matrix: Array) -> Array:
    """Return an orthonormal basis, shape ``(rows, rank)``, of nearly all of a matrix's columns.

    Singular values fall fast here, so that a few random mixtures of the columns hold all that matters (Halko,
    Martinsson, Tropp, SIAM Rev. 53, 217, 2011).
    """
    mixtures = np.random.default_rng(0).standard_normal((matrix.shape[1], _MIXTURES))
    rows = np.linalg.qr(matrix @ mixtures)[0]
    energy, vectors = np.linalg.eigh(np.einsum("ik,jk->ij", *[rows.T @ matrix] * 2))
    rank = int(np.searchsorted(np.cumsum(energy), _LOST * energy.sum(), side="right"))
    return np.asarray(rows @ vectors[:, rank:])


def _single(values: Any) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, np.float32)
