"""The point spread function as users give it: measured on a bead, or by its widths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.errors import ColloidsError
from napari_colloids.plotting import axes_or_new
from napari_colloids.refinement.bead_fit import fit_bead
from napari_colloids.refinement.optics import Optics
from napari_colloids.settings import check_value
from napari_colloids.stack import as_stack, checked_voxel_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from napari_colloids.stack import Stack, VoxelSize

    Array = NDArray[np.float64]

#: Smallest edge of the image of a bead, in voxels.
_MIN_EDGE_VOXELS = 5
#: Variance of a uniform distribution over a voxel: what its own width adds to that of the PSF.
_VOXEL_VARIANCE = 1 / 12
#: Smallest width of a measured PSF without that of the voxel, in voxels.
_MIN_SIGMA_VOXELS = 0.1
#: Halo and tilt below which the printed form leaves them out.
_MIN_PRINTED = 0.005
#: How far the plot goes, in axial standard deviations, and its points.
_PLOT_SIGMAS = 4.0
_PLOT_POINTS = 401


@dataclass(frozen=True)
class PSF:
    r"""A point spread function: a Gaussian core, tilted or astigmatic where it is, and a halo of twice its width.

    .. math::

        h = (1 - \tau)\, G_\Sigma + \tau\, G_{4 \Sigma}, \qquad
        \Sigma = \begin{pmatrix} \sigma_z^2 & c_{zy} & c_{zx} \\ c_{zy} & \sigma^2 + a & c_{yx} \\
                 c_{zx} & c_{yx} & \sigma^2 - a \end{pmatrix}

    with the normalised Gaussian :math:`G_\Sigma` of covariance :math:`\Sigma`. The width of a voxel is not part of it.

    Attributes
    ----------
    sigma
        Standard deviations :math:`(\sigma_z, \sigma)` of the core, ``(axial, lateral)``: in voxels along z and along y
        and x.
    tail
        Fraction :math:`\tau` of the light in the halo.
    covariances
        :math:`(c_{zy}, c_{zx}, c_{yx}, a)` in units of squared voxels: tilt and astigmatism.
    voxel_size
        Edges ``(z, y, x)`` of the voxels in micrometres; None if they are those of whatever stack the PSF is used for.
        A PSF in micrometres has voxels of 1 µm.

    Raises
    ------
    ColloidsError
        If a width is not positive, or the halo holds less than none or all of the light.

    See Also
    --------
    refine : Use it, instead of measuring the PSF on the particles.
    simulate : Make stacks with a PSF of these parameters.

    Examples
    --------
    A PSF of known widths in micrometres:

    >>> import napari_colloids as nc
    >>> nc.PSF(sigma=(0.35, 0.12), voxel_size=(1, 1, 1))
    PSF(sigma=(0.35, 0.12) voxels, voxel_size=(1, 1, 1) µm)

    One that is measured on the image of a bead:

    >>> import numpy as np
    >>> z, y, x = np.mgrid[-16:17, -12:13, -12:13]
    >>> bead = 10 + 200 * np.exp(-((z / 3.0) ** 2 + (y / 1.2) ** 2 + (x / 1.2) ** 2) / 2)
    >>> nc.PSF.measured(bead)
    PSF(sigma=(2.99, 1.16) voxels)
    """

    sigma: tuple[float, float]
    tail: float = 0.0
    covariances: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    voxel_size: VoxelSize | None = None

    def __post_init__(self) -> None:
        check_value("sigma", self.sigma, tuple[float, float], unit="voxels")
        check_value("tail", self.tail, float)
        check_value("covariances", self.covariances, tuple[float, float, float, float], unit="voxels^2")
        if not (all(width > 0 for width in self.sigma) and 0 <= self.tail < 1):
            raise ColloidsError(
                "A PSF needs two positive standard deviations (axial, lateral) and a tail of at least 0 and below 1; "
                f"these are {self.sigma} and {self.tail}."
            )
        object.__setattr__(self, "voxel_size", checked_voxel_size(self.voxel_size))

    def __repr__(self) -> str:
        parts = [f"sigma=({self.sigma[0]:.3g}, {self.sigma[1]:.3g}) voxels"]
        if self.tail >= _MIN_PRINTED:
            parts.append(f"tail={self.tail:.2g}")
        if max(map(abs, self.tilt)) >= _MIN_PRINTED:
            parts.append(f"tilt=({self.tilt[0]:.2f}, {self.tilt[1]:.2f})")
        if self.voxel_size is not None:
            parts.append("voxel_size=({:.4g}, {:.4g}, {:.4g}) µm".format(*self.voxel_size))
        return f"PSF({', '.join(parts)})"

    @property
    def tilt(self) -> tuple[float, float]:
        """Shift ``(y, x)`` of the PSF along y and x for each voxel along z."""
        zy, zx, _, _ = self.covariances
        return zy / self.sigma[0] ** 2, zx / self.sigma[0] ** 2

    @classmethod
    def measured(cls, image: Stack | ArrayLike, *, voxel_size: Sequence[float] | None = None) -> PSF:
        """Fit the image of one bead.

        Parameters
        ----------
        image
            A `Stack` or an array ``(z, y, x)``: a bead far smaller than the PSF, taken through the same microscope as
            the particles. Of several beads the brightest is fitted; the others must be less than half as bright.
        voxel_size
            Edges ``(z, y, x)`` in micrometres; None takes that of the stack.

        Raises
        ------
        ColloidsError
            If there is no single bright spot in the dark, or the image cannot be used.
        """
        stack = as_stack(image)
        light = np.asarray(stack.volume(), dtype=float)
        if min(light.shape) < _MIN_EDGE_VOXELS or not np.isfinite(light).all():
            raise ColloidsError(
                f"The measured PSF must be a 3D image of one bead: at least {_MIN_EDGE_VOXELS} voxels along each axis, "
                "all of them numbers."
            )
        fit = fit_bead(light)
        if fit is None:
            raise ColloidsError("The measured PSF does not look like one bead in the dark: cut out a single bead.")
        core = fit.covariance
        axial, lateral = (
            float(np.sqrt(max(variance - _VOXEL_VARIANCE, _MIN_SIGMA_VOXELS**2)))
            for variance in (core[0, 0], (core[1, 1] + core[2, 2]) / 2)
        )
        zy, zx, yx = float(core[0, 1]), float(core[0, 2]), float(core[1, 2])
        covariances = (zy, zx, yx, float((core[1, 1] - core[2, 2]) / 2))
        return cls((axial, lateral), fit.tail, covariances, checked_voxel_size(voxel_size) or stack.voxel_size)

    def in_voxels(self, voxel_size: VoxelSize | None, aspect: float) -> PSF:
        """Return the PSF in lateral voxels of a stack, in all directions.

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
            raise ColloidsError("The measured PSF has a voxel size, but the stack has none: give that of the stack.")
        else:
            high, wide = self.voxel_size[0] / voxel_size[2], self.voxel_size[2] / voxel_size[2]
        (axial, lateral), (zy, zx, yx, astigmatism) = self.sigma, self.covariances
        covariances = (zy * high * wide, zx * high * wide, yx * wide**2, astigmatism * wide**2)
        return PSF((axial * high, lateral * wide), self.tail, covariances)

    def on_grid(self, lateral: int, aspect: float) -> Optics:
        """Return the optics of a grid, for a PSF in lateral voxels of the stack; the voxel's width is added.

        Parameters
        ----------
        lateral
            Voxels of the stack in one of the grid, along y and x.
        aspect
            Height of a voxel of the grid over its width.
        """
        axial = float(np.hypot(self.sigma[0] / lateral, aspect * _VOXEL_VARIANCE**0.5))
        across = float(np.hypot(self.sigma[1] / lateral, _VOXEL_VARIANCE**0.5))
        zy, zx, yx, astigmatism = (covariance / lateral**2 for covariance in self.covariances)
        return Optics((max(axial, across), across), self.tail, (zy, zx, yx, astigmatism))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the axial and the lateral profile through the centre, without tilt and astigmatism.

        Parameters
        ----------
        ax
            Axes to draw on; None makes a new figure.

        Returns
        -------
        matplotlib.axes.Axes
        """
        drawn = axes_or_new(ax)
        size, unit = ((1.0, 1.0, 1.0), "voxels") if self.voxel_size is None else (self.voxel_size, "µm")
        sigmas = (self.sigma[0] * size[0], self.sigma[1] * size[2])
        distance = np.linspace(-_PLOT_SIGMAS, _PLOT_SIGMAS, _PLOT_POINTS) * max(sigmas)
        for name, sigma in zip(("axial", "lateral"), sigmas, strict=True):
            label = rf"{name}, $\sigma$ = {sigma:.3g} {unit}"
            drawn.plot(distance, _relative_intensity(distance / sigma, self.tail), label=label)
        drawn.set_xlabel(f"distance from the centre ({unit})")
        drawn.set_ylabel("intensity over that in the centre")
        drawn.set_ylim(bottom=0)
        if ax is None:
            drawn.legend()
        return drawn


def _relative_intensity(distance: Array, tail: float) -> Array:
    """Return the PSF over its maximum at distances in standard deviations of the core."""
    core, halo = (1 - tail) * np.exp(-(distance**2) / 2), tail / 8 * np.exp(-(distance**2) / 8)
    return np.asarray((core + halo) / (1 - tail + tail / 8))
