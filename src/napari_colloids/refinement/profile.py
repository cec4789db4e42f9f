"""The image of one sphere: a ball blurred by the core of the PSF, cheap to shift and to differentiate.

A ball blurred by an isotropic Gaussian has a closed form; the excess of the axial over the lateral width of the PSF is
a convolution along z. The result depends on height, distance from the axis and radius. As a matrix (height by
everything else) it has a low rank: a few functions of the height, common to all radii, times as many functions of
distance and radius. A template of 30 x 20 x 20 voxels thus costs 20 x 20 evaluations and a small matrix product.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import erf

from napari_colloids.refinement.templates import N_NODES, ProfileTables

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.floating]

#: How far beyond the surface a template is followed, in standard deviations of the PSF; and its derivatives, for which
#: a shorter reach saves time and costs no exactness.
REACH = 3.0
DERIVATIVE_REACH = 2.4
#: Steps of the tables per lateral standard deviation of the PSF, and the smallest step, in lateral voxels.
_STEPS_PER_SIGMA = 8
_MIN_STEP_VOXELS = 0.06
#: Steps in the radius, in lateral standard deviations of the PSF, and the smallest, in lateral voxels: interpolation is
#: cubic.
_RADIUS_STEP_SIGMAS = 0.4
_MIN_RADIUS_STEP_VOXELS = 0.17
#: Fraction of the squared profile that the low-rank approximation may lose.
_MAX_LOST_ENERGY = 1e-7
#: Random combinations of columns that the low-rank approximation is looked for in: of usual images, and of those with
#: edges so sharp that the radius is more than this many standard deviations of the PSF.
_N_RANDOM_COLUMNS, _N_RANDOM_COLUMNS_SHARP = 16, 40
_SHARP_RADIUS_SIGMAS = 12.0


def blurred_ball(distance: Array, radius: Array | float, sigma: float) -> Array:
    r"""Return a ball of value 1, convolved with an isotropic Gaussian, at a distance from its centre.

    .. math::

        B(\rho) = \tfrac12 \left[\operatorname{erf}\frac{R - \rho}{\sqrt2 \sigma}
                  + \operatorname{erf}\frac{R + \rho}{\sqrt2 \sigma}\right]
                  - \frac{\sigma}{\sqrt{2 \pi} \rho}
                  \left[e^{-(R - \rho)^2 / 2 \sigma^2} - e^{-(R + \rho)^2 / 2 \sigma^2}\right]

    It is the radial convolution of a step; for large radii it becomes the error function of a flat edge.
    """
    rho = np.maximum(distance, 1e-3 * sigma)
    width = np.sqrt(2) * sigma
    near, far = (radius - rho) / width, (radius + rho) / width
    edges = (erf(near) + erf(far)) / 2
    return np.asarray(edges - sigma / (np.sqrt(2 * np.pi) * rho) * (np.exp(-(near**2)) - np.exp(-(far**2))))


class Profile:
    """Tabulated images of blurred spheres of a range of radii.

    Parameters
    ----------
    radii
        Smallest and largest radius, in lateral voxels.
    sigma
        Standard deviations ``(axial, lateral)`` of the PSF in lateral voxels, the axial one not the smaller.
    shell
        Radius of the dark core over the outer radius.
    aspect
        Height of a voxel over its width.
    """

    def __init__(
        self, radii: tuple[float, float], sigma: tuple[float, float], shell: float = 0.0, aspect: float = 1.0
    ) -> None:
        axial, lateral = sigma
        self.sigma, self.aspect = sigma, aspect
        step, radius_step = (
            max(lateral / _STEPS_PER_SIGMA, _MIN_STEP_VOXELS),
            max(_RADIUS_STEP_SIGMAS * lateral, _MIN_RADIUS_STEP_VOXELS),
        )
        steps = max(int(np.ceil((radii[1] - radii[0]) / radius_step)), 0) + N_NODES - 1
        first_radius = max((radii[0] + radii[1] - steps * radius_step) / 2, 1e-3)
        grid = first_radius + radius_step * np.arange(steps + 1)
        heights, distances = (
            np.arange(int(np.ceil((grid[-1] + REACH * s) / step)) + 2) * step for s in (axial, lateral)
        )
        image = _ball(np.hypot(heights[:, None, None], distances), grid[:, None], lateral, shell)
        image = image.reshape(len(heights), -1)
        excess = np.sqrt(max(axial**2 - lateral**2, 0.0))
        if excess > 0:
            image = _axial_blur(heights, excess) @ image
        sharp = grid[-1] > _SHARP_RADIUS_SIGMAS * lateral
        basis = _leading_columns(image, _N_RANDOM_COLUMNS_SHARP if sharp else _N_RANDOM_COLUMNS)
        lateral_part = (basis.T @ image).reshape(-1, len(grid), len(distances)).transpose(1, 0, 2)
        self.tables = ProfileTables(
            _single_precision(basis),
            _single_precision(np.gradient(basis, step, axis=0)),
            _single_precision(lateral_part),
            _single_precision(np.gradient(lateral_part, step, axis=2)),
            step,
            radius_step,
            float(first_radius),
            float(aspect),
        )

    def half_window(self, radius: float, reach: float = REACH) -> tuple[int, int, int]:
        """Return the half width ``(z, y, x)`` in voxels of the window that holds the template of a radius.

        Parameters
        ----------
        radius
            In lateral voxels.
        reach
            How far the template goes beyond the surface, in standard deviations of the PSF.
        """
        axial, lateral = self.sigma
        height = int(np.ceil((radius + reach * axial) / self.aspect))
        width = int(np.ceil(radius + reach * lateral))
        return height, width, width


def _ball(distance: Array, radius: Array, sigma: float, shell: float) -> Array:
    ball = blurred_ball(distance, radius, sigma)
    return ball - blurred_ball(distance, shell * radius, sigma) if shell > 0 else ball


def _axial_blur(heights: Array, sigma: float) -> Array:
    """Return the matrix of a Gaussian blur along z for an even function that is tabulated at heights from 0."""
    weight = np.exp(-((heights[:, None] - heights) ** 2) / (2 * sigma**2))
    weight[:, 1:] += np.exp(-((heights[:, None] + heights[1:]) ** 2) / (2 * sigma**2))
    steps = np.arange(-len(heights), len(heights) + 1) * heights[1]
    return np.asarray(weight / np.exp(-(steps**2) / (2 * sigma**2)).sum())


def _leading_columns(matrix: Array, n_mixtures: int) -> Array:
    """Return an orthonormal basis, shape ``(rows, rank)``, of nearly all of the columns of a matrix.

    Singular values fall fast here, so that a few random mixtures of the columns hold all that matters (Halko,
    Martinsson, Tropp, SIAM Rev. 53, 217, 2011).
    """
    mixtures = np.random.default_rng(0).standard_normal((matrix.shape[1], n_mixtures))
    rows = np.linalg.qr(matrix @ mixtures)[0]
    energy, vectors = np.linalg.eigh(np.einsum("ik,jk->ij", *[rows.T @ matrix] * 2))
    rank = int(np.searchsorted(np.cumsum(energy), _MAX_LOST_ENERGY * energy.sum(), side="right"))
    return np.asarray(rows @ vectors[:, rank:])


def _single_precision(values: ArrayLike) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, np.float32)
