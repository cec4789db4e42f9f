"""Parameters that all particles of a stack share: optics, detector, and the distributions of radius and brightness."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_colloids.refinement.grid import Grid
    from napari_colloids.refinement.optics import Detector, Optics

#: Smallest lateral width of the PSF, in voxels: these do not resolve a finer one.
MIN_LATERAL_SIGMA_VOXELS = 0.6
#: Range of the radius over that of the detections.
_RADIUS_RATIO_RANGE = (0.8, 1.25)
#: Largest axial width of the PSF, halo included, in radii.
_MAX_AXIAL_SIGMA_RADII = 2.2
#: Largest spread of the brightness, relative.
_MAX_BRIGHTNESS_SPREAD = 0.8


@dataclass(frozen=True, eq=False)
class GlobalParameters:
    """Parameters that all particles of a stack share.

    Attributes
    ----------
    optics, detector
        Through which they are seen.
    background
        Mean grey level between them.
    brightness
        Mean brightness of a particle, in grey levels above the background.
    brightness_spread
        Standard deviation of the brightness over its mean.
    radius
        Mean radius in lateral voxels.
    polydispersity
        Standard deviation of the radius over its mean.
    """

    optics: Optics
    detector: Detector
    background: float
    brightness: float
    brightness_spread: float
    radius: float
    polydispersity: float

    def in_stack_voxels(self, grid: Grid) -> GlobalParameters:
        """Return the parameters in voxels of the stack; the PSF has their width in it, not that of the grid's."""
        lateral, height = grid.bins[2], grid.aspect * grid.bins[2]
        axial, across = (
            _with_voxel_width(sigma * lateral, voxel, instead_of=binned)
            for sigma, binned, voxel in zip(
                self.optics.psf_sigma, (height, lateral), (height / grid.bins[0], 1.0), strict=True
            )
        )
        zy, zx, yx, astigmatism = (covariance * lateral**2 for covariance in self.optics.psf_covariances)
        optics = replace(self.optics, psf_sigma=(axial, across), psf_covariances=(zy, zx, yx, astigmatism))
        return replace(self, optics=optics, radius=self.radius * lateral)

    def binned_along_z(self, factor: int, aspect: float) -> GlobalParameters:
        """Return the parameters for voxels that are taller by a factor than those of an aspect: the PSF gets longer."""
        axial, across = self.optics.psf_sigma
        axial = float(np.sqrt(axial**2 + (factor**2 - 1) / 12 * aspect**2))
        detector = replace(self.detector, averaged=self.detector.averaged * factor)
        return replace(self, optics=replace(self.optics, psf_sigma=(axial, across)), detector=detector)

    @property
    def psf_unresolved(self) -> bool:
        """Whether the PSF is as narrow as the voxels allow, or narrower."""
        return self.optics.psf_sigma[1] <= MIN_LATERAL_SIGMA_VOXELS

    def problem(self, radius: float) -> str | None:
        """Return why the parameters cannot be right for particles of about a radius; None if they may be."""
        optics = self.optics
        if self.background < self.detector.limits[0] - self.brightness:
            return "the background is cut off at the lowest grey level, and cannot be estimated"
        if not _RADIUS_RATIO_RANGE[0] < self.radius / radius < _RADIUS_RATIO_RANGE[1]:
            return "the fit does not agree with the diameter"
        # A PSF much longer than the particles is fitted with a large halo, which adds to the width of the core.
        axial = optics.psf_sigma[0] * np.sqrt(1 + 3 * optics.psf_tail)
        if not np.isfinite(optics.psf_sigma).all() or axial > _MAX_AXIAL_SIGMA_RADII * radius:
            return "the particles are too blurred along z"
        if self.brightness_spread > _MAX_BRIGHTNESS_SPREAD:
            return "the particles are too unequally bright"
        return None

    def facts(self) -> dict[str, float | list[float]]:
        """Return the parameters by name, in lateral voxels and grey levels; the tilt in voxels per voxel."""
        axial, lateral = self.optics.psf_sigma
        return {
            "psf_sigma": [float(axial), float(lateral)],
            "psf_tail": self.optics.psf_tail,
            "psf_tilt": [float(covariance / axial**2) for covariance in self.optics.psf_covariances[:2]],
            "shell": self.optics.shell,
            "polydispersity": self.polydispersity,
            "background": self.background,
            "brightness": self.brightness,
            "brightness_spread": self.brightness_spread,
            "noise_gain": self.detector.gain,
            "noise_floor": self.detector.floor,
        }


def _with_voxel_width(sigma: float, voxel: float, *, instead_of: float) -> float:
    """Return a standard deviation with the variance of one voxel width in it, instead of that of another."""
    return float(np.sqrt(max(sigma**2 - (instead_of**2 - voxel**2) / 12, voxel**2 / 12)))
