"""A measured point spread function: the image of a bead far smaller than the PSF, in the words of the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.optimize import least_squares

from napari_colloids.errors import ColloidsError
from napari_colloids.refinement.optics import MOST_TAIL, Optics
from napari_colloids.stack import as_stack

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_colloids.stack import VoxelSize

    Array = NDArray[np.float64]

#: Half the edge of what is looked at around the bead, in voxels.
_AROUND = 20
#: Least edge of its image, in voxels.
_SMALLEST = 5
#: Light from which a voxel belongs to the tip of the bead, of the brightest.
_HALF = 0.5
#: Logarithms of the widths in voxels, at least and at most; halo at first; and steps of the fit.
_WIDTHS = (-1.2, 3.5)
_TAIL = 0.03
_STEPS = 60
#: A voxel's own width, as a variance.
_VOXEL = 1 / 12
#: The PSF is never finer than this, in voxels.
_FINEST = 0.1
#: Part of the light within so many standard deviations that the model must explain for the image to be that of a bead;
#: and the brightness, of the bead's, from which anything else is another one.
_BEAD = 0.8
_NEAR = 3.0
_ANOTHER = 0.5


@dataclass(frozen=True)
class PSF:
    """A Gaussian core, leaning or not, and a halo of twice its width; in its own voxels, whose width is taken out.

    Attributes
    ----------
    sigma
        Standard deviations ``(axial, lateral)`` of the core.
    tail
        Fraction of the light in the halo.
    lean
        Covariances ``(zy, zx, yx, (yy - xx) / 2)``.
    voxel_size
        Micrometres ``(z, y, x)``; None if the voxels are those of whatever stack it is used for.
    """

    sigma: tuple[float, float]
    tail: float
    lean: tuple[float, float, float, float]
    voxel_size: VoxelSize | None = None

    @classmethod
    def measured(cls, image: Any) -> PSF:
        """Fit the image of one bead.

        Parameters
        ----------
        image
            A `Stack` or an array ``(z, y, x)``; of several beads, the brightest is looked at.

        Raises
        ------
        ColloidsError
            If there is no bright spot in the middle of dark, or the stack cannot be used.
        """
        stack = as_stack(image)
        light = np.asarray(stack.volume(), dtype=float)
        if min(light.shape) < _SMALLEST or not np.isfinite(light).all():
            raise ColloidsError(
                f"The measured PSF must be a 3D image of one bead: at least {_SMALLEST} voxels along each axis, all of "
                "them numbers."
            )
        place = np.unravel_index(int(light.argmax()), light.shape)
        light = light[tuple(slice(max(int(c) - _AROUND, 0), int(c) + _AROUND + 1) for c in place)]
        numbers = _fitted(light)
        if numbers is None:
            raise ColloidsError("The measured PSF does not look like one bead in the dark: cut out a single bead.")
        core, tail = _covariance(numbers), float(numbers[5])
        axial, lateral = core[0, 0], (core[1, 1] + core[2, 2]) / 2
        sigma = tuple(float(np.sqrt(max(variance - _VOXEL, _FINEST**2))) for variance in (axial, lateral))
        lean = (core[0, 1], core[0, 2], core[1, 2], (core[1, 1] - core[2, 2]) / 2)
        return cls(sigma, tail, tuple(float(c) for c in lean), stack.voxel_size)  # type: ignore[arg-type]

    def in_voxels(self, voxel_size: VoxelSize | None, aspect: float) -> PSF:
        """Return it in lateral voxels of a stack, in all directions.

        Parameters
        ----------
        voxel_size
            Of the stack, in micrometres.
        aspect
            Height of the stack's voxels over their width.

        Raises
        ------
        ColloidsError
            If the PSF knows its voxel size, and the stack does not.
        """
        if self.voxel_size is None:
            high, wide = aspect, 1.0
        elif voxel_size is None:
            raise ColloidsError("The measured PSF has a voxel size, but the stack has none: type that of the stack.")
        else:
            high, wide = self.voxel_size[0] / voxel_size[2], self.voxel_size[2] / voxel_size[2]
        (axial, lateral), (zy, zx, yx, round_) = self.sigma, self.lean
        lean = (zy * high * wide, zx * high * wide, yx * wide**2, round_ * wide**2)
        return PSF((axial * high, lateral * wide), self.tail, lean)

    def seen(self, lateral: int, height: float) -> Optics:
        """Return the optics of a grid, for a PSF in lateral voxels of the stack.

        Parameters
        ----------
        lateral
            Voxels of the stack in one of the grid, along y and x.
        height
            Of a voxel of the grid over its width.
        """
        axial = float(np.hypot(self.sigma[0] / lateral, height * _VOXEL**0.5))
        across = float(np.hypot(self.sigma[1] / lateral, _VOXEL**0.5))
        zy, zx, yx, round_ = (covariance / lateral**2 for covariance in self.lean)
        return Optics((max(axial, across), across), self.tail, (zy, zx, yx, round_))


def _fitted(light: Array) -> Array | None:
    """Return the numbers of `_bead` that describe an image; None where none do."""
    dark, bright = float(np.median(light)), float(light.max())
    if dark == bright:
        return None
    light = (light - dark) / (bright - dark)
    axes = np.stack(np.meshgrid(*[np.arange(n, dtype=float) for n in light.shape], indexing="ij"))
    bounds = np.array(
        [(-1, 1), (-2, 2), *[(-1, n) for n in light.shape], (0, MOST_TAIL), *[_WIDTHS] * 2, *[(-2, 2)] * 4]
    )
    first = np.clip(_first_guess(light, axes), *(bounds.T * 0.99))
    fit = least_squares(lambda numbers: (_bead(axes, numbers) - light).ravel(), first, bounds=bounds.T, max_nfev=_STEPS)
    return fit.x if _is_bead(light, axes, fit.x) else None


def _is_bead(light: Array, axes: Array, numbers: Array) -> bool:
    """Return whether numbers of `_bead` describe what they lie on, and nothing else shines as well.

    The dark around a bead has many voxels, whose noise says nothing of it.
    """
    if (np.exp(numbers[6:8]) > max(light.shape)).any():
        return False
    bead, near = _bead(axes, numbers), _squared_distance(axes, numbers) < _NEAR**2
    left = light - bead
    # As many numbers describe as many voxels, a hot one for instance, whatever they are of.
    if near.sum() <= len(numbers) or np.mean(left[near] ** 2) > (1 - _BEAD) * np.var(light[near]):
        return False
    # As bright as a spot of the same width would be: single voxels may be noise.
    widths = np.sqrt(np.diag(_covariance(numbers)))
    another, itself = (gaussian_filter(part, widths, mode="constant").max() for part in (left, bead - numbers[0]))
    return bool(another < _ANOTHER * itself)


def _first_guess(light: Array, axes: Array) -> Array:
    """Return background, logarithm of the height, place, halo, logarithms of widths, and lean; for light up to 1."""
    spot = np.maximum(light - _HALF, 0)
    place = [float((axis * spot).sum() / spot.sum()) for axis in axes]
    widths = [np.sqrt(((axis - c) ** 2 * spot).sum() / spot.sum()) for axis, c in zip(axes, place, strict=True)]
    # The tip of a Gaussian above half its height has about half its width.
    axial, lateral = (max(2 * float(width), 0.5) for width in (widths[0], np.mean(widths[1:])))
    return np.array([0.0, 0.0, *place, _TAIL, np.log(axial), np.log(lateral), *[0.0] * 4])


def _bead(axes: Array, numbers: Array) -> Array:
    """Draw a point through the PSF, a halo of twice the width included."""
    squared, tail = _squared_distance(axes, numbers), numbers[5]
    shape = (1 - tail) * np.exp(-squared / 2) + tail / 8 * np.exp(-squared / 8)
    return np.asarray(numbers[0] + np.exp(numbers[1]) * shape)


def _squared_distance(axes: Array, numbers: Array) -> Array:
    """Return the squared distance of voxels from the bead, in standard deviations of the core."""
    away = axes - numbers[2:5, None, None, None]
    return np.asarray(np.einsum("izyx,ij,jzyx->zyx", away, np.linalg.inv(_covariance(numbers)), away))


def _covariance(numbers: Array) -> Array:
    """Return the covariance of the core; any numbers make a valid one."""
    axial, lateral = np.exp(numbers[6:8])
    y, x, twist, round_ = numbers[8:12]
    root = np.array(
        [
            [axial, 0, 0],
            [y * lateral, lateral * np.exp(round_), 0],
            [x * lateral, twist * lateral, lateral * np.exp(-round_)],
        ]
    )
    return np.asarray(root @ root.T)
