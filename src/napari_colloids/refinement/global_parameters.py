"""Parameters that all particles of a stack share: optics, detector, and the distributions of radius and brightness."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.refinement.optics import Detector, Optics

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_colloids.refinement.grid import Grid

#: Names of what `GlobalParameters.facts` tells.
_FACTS = (
    *("psf_sigma", "psf_tail", "psf_tilt", "shell", "polydispersity"),
    *("background", "brightness", "brightness_spread", "noise_gain", "noise_floor"),
)

#: Smallest lateral width of the PSF, in voxels: the standard deviation of the voxel itself, which is part of it.
MIN_LATERAL_SIGMA_VOXELS = 12**-0.5
#: Lateral width of the PSF, in bins of voxels, up to which smaller bins are worth their price.
_MIN_BINNED_SIGMA_VOXELS = 0.6


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
    peak
        Light of the model that hardly a voxel exceeds where they were fitted, in grey levels.
    """

    optics: Optics
    detector: Detector
    background: float
    brightness: float
    brightness_spread: float
    radius: float
    polydispersity: float
    peak: float

    @classmethod
    def from_facts(
        cls, facts: Mapping[str, object], grid: Grid, limits: tuple[float, float], radius: float
    ) -> GlobalParameters:
        """Return the parameters, in voxels of a grid, that `facts` told in those of the stack.

        Parameters
        ----------
        facts
            As `facts` returns them.
        grid
            Of the stack.
        limits
            Lowest and highest grey level, see `Detector`.
        radius
            In lateral voxels of the grid.

        Raises
        ------
        KeyError, TypeError, ValueError
            If the facts are incomplete, or no numbers.
        """
        values = {name: np.asarray(value, float) for name, value in facts.items() if name in _FACTS}
        lateral, height = grid.bins[2], grid.aspect * grid.bins[2]
        axial, across = (
            _with_voxel_width(float(sigma), binned, instead_of=voxel) / lateral
            for sigma, binned, voxel in zip(
                values["psf_sigma"], (height, lateral), (height / grid.bins[0], 1.0), strict=True
            )
        )
        zy, zx = (float(tilt) * axial**2 for tilt in values["psf_tilt"])
        optics = Optics((max(axial, across), across), float(values["psf_tail"]), (zy, zx, 0, 0), float(values["shell"]))
        detector = Detector(float(values["noise_gain"]), float(values["noise_floor"]), limits, grid.averaged)
        background, brightness, spread, polydispersity = (
            float(values[name]) for name in ("background", "brightness", "brightness_spread", "polydispersity")
        )
        peak = background + brightness
        return cls(optics, detector, background, brightness, spread, radius, polydispersity, peak)

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
        """Whether the PSF is as narrow as bins of several voxels allow, or narrower."""
        return self.optics.psf_sigma[1] <= _MIN_BINNED_SIGMA_VOXELS

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
