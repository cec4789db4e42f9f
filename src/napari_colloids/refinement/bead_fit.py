"""Fit of the PSF to the image of a bead far smaller than it: a Gaussian core and a halo of twice its width."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.optimize import least_squares

from napari_colloids.refinement.optics import MAX_TAIL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

#: Half the edge of the window around the bead, in voxels.
_HALF_WINDOW_VOXELS = 20
#: Light over that of the brightest voxel, from which a voxel belongs to the tip of the bead.
_TIP_LEVEL = 0.5
#: Range of the logarithms of the widths in voxels, halo at the start, and evaluations of the fit at most.
_LOG_WIDTH_RANGE = (-1.2, 3.5)
_START_TAIL = 0.03
_MAX_EVALUATIONS = 60
#: The image is that of a bead if the model explains this part of its variance within so many standard deviations.
_MIN_EXPLAINED_VARIANCE = 0.8
_NEAR_SIGMAS = 3.0
#: Brightness over that of the bead, from which anything else is another bead.
_MAX_OTHER_BRIGHTNESS = 0.5


class BeadFit(NamedTuple):
    """Fitted shape of a bead.

    Attributes
    ----------
    covariance
        Of the core, shape ``(3, 3)`` in squared voxels, the voxel's own width included.
    tail
        Fraction of the light in the halo.
    """

    covariance: Array
    tail: float


def fit_bead(light: Array) -> BeadFit | None:
    """Fit the brightest bead of an image; None where there is no single bright spot in the dark."""
    place = np.unravel_index(int(light.argmax()), light.shape)
    half = _HALF_WINDOW_VOXELS
    light = light[tuple(slice(max(int(c) - half, 0), int(c) + half + 1) for c in place)]
    dark, bright = float(np.median(light)), float(light.max())
    if dark == bright:
        return None
    light = (light - dark) / (bright - dark)
    axes = np.stack(np.meshgrid(*[np.arange(n, dtype=float) for n in light.shape], indexing="ij"))
    places, widths, shears = [(-1, n) for n in light.shape], [_LOG_WIDTH_RANGE] * 2, [(-2, 2)] * 4
    bounds = np.array([(-1, 1), (-2, 2), *places, (0, MAX_TAIL), *widths, *shears])
    start = np.clip(_start(light, axes), *(bounds.T * 0.99))

    def misfit(parameters: Array) -> Array:
        return (_model(axes, parameters) - light).ravel()

    parameters = least_squares(misfit, start, bounds=bounds.T, max_nfev=_MAX_EVALUATIONS).x
    if not _is_bead(light, axes, parameters):
        return None
    return BeadFit(_covariance(parameters), float(parameters[5]))


def _is_bead(light: Array, axes: Array, parameters: Array) -> bool:
    """Return whether the model describes the spot that it lies on, and there is no other as bright.

    The dark around a bead has many voxels, whose noise says nothing of it.
    """
    if (np.exp(parameters[6:8]) > max(light.shape)).any():
        return False
    bead, near = _model(axes, parameters), _squared_distance(axes, parameters) < _NEAR_SIGMAS**2
    residual = light - bead
    # As many parameters as voxels describe anything, such as a hot voxel.
    if near.sum() <= len(parameters):
        return False
    if np.mean(residual[near] ** 2) > (1 - _MIN_EXPLAINED_VARIANCE) * np.var(light[near]):
        return False
    # Compared after a blur by the width of the bead: single voxels may be noise.
    widths = np.sqrt(np.diag(_covariance(parameters)))
    other, itself = (gaussian_filter(part, widths, mode="constant").max() for part in (residual, bead - parameters[0]))
    return bool(other < _MAX_OTHER_BRIGHTNESS * itself)


def _start(light: Array, axes: Array) -> Array:
    """Return first guesses for an image of values up to 1.

    The parameters are background, logarithm of the height, place, halo, logarithms of the axial and lateral width, and
    four of the shape of the covariance (`_covariance`).
    """
    tip = np.maximum(light - _TIP_LEVEL, 0)
    place = [float((axis * tip).sum() / tip.sum()) for axis in axes]
    widths = [np.sqrt(((axis - c) ** 2 * tip).sum() / tip.sum()) for axis, c in zip(axes, place, strict=True)]
    # The tip of a Gaussian above half its height has about half its width.
    axial, lateral = (max(2 * float(width), 0.5) for width in (widths[0], np.mean(widths[1:])))
    return np.array([0.0, 0.0, *place, _START_TAIL, np.log(axial), np.log(lateral), *[0.0] * 4])


def _model(axes: Array, parameters: Array) -> Array:
    """Return the image of a point through the PSF."""
    squared, tail = _squared_distance(axes, parameters), parameters[5]
    shape = (1 - tail) * np.exp(-squared / 2) + tail / 8 * np.exp(-squared / 8)
    return np.asarray(parameters[0] + np.exp(parameters[1]) * shape)


def _squared_distance(axes: Array, parameters: Array) -> Array:
    """Return the squared distance of voxels from the bead, in standard deviations of the core (Mahalanobis)."""
    away = axes - parameters[2:5, None, None, None]
    return np.asarray(np.einsum("izyx,ij,jzyx->zyx", away, np.linalg.inv(_covariance(parameters)), away))


def _covariance(parameters: Array) -> Array:
    """Return the covariance of the core by its Cholesky factor, so that any parameters make a valid one."""
    axial, lateral = np.exp(parameters[6:8])
    y, x, twist, stretch = parameters[8:12]
    root = np.array(
        [
            [axial, 0, 0],
            [y * lateral, lateral * np.exp(stretch), 0],
            [x * lateral, twist * lateral, lateral * np.exp(-stretch)],
        ]
    )
    return np.asarray(root @ root.T)
