"""The forward model: the image of a box as it follows from spheres, optics, illumination, background and detector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter1d

from napari_colloids.refinement.profile import Profile
from napari_colloids.refinement.spheres import draw

if TYPE_CHECKING:
    from napari_colloids.refinement.grid import Box
    from napari_colloids.refinement.optics import Detector, Optics
    from napari_colloids.refinement.spheres import Array, Image, Spheres

#: Room for radii to change before the tables of the profile end, relative.
_RADIUS_MARGIN = 0.08


@dataclass(frozen=True, eq=False)
class Prediction:
    """The image of a box as a model predicts it, and what that leaves of the measured one.

    Attributes
    ----------
    illumination
        Of each voxel, over that in the middle of the box.
    core
        Light of the spheres through the core of a round PSF.
    light
        All of the model's light, in grey levels.
    residual
        Measured image less the expected grey levels, over the standard deviation of the noise.
    root_weight
        Derivative of the prediction, in standard deviations, with respect to the light; 0 where the image has no value.
    """

    illumination: Image
    core: Image
    light: Image
    residual: Image
    root_weight: Image


@dataclass(frozen=True, eq=False)
class Model:
    """All parameters that the image of a box follows from.

    Attributes
    ----------
    spheres
        That are fitted; their brightness is what it would be in the middle of the box.
    optics, detector
        Through which they are seen.
    background
        Coefficients of the terms of `LegendreBasis`.
    illumination
        Coefficients of all but the first of these terms in the logarithm of the illumination: shading, bleaching.
    fixed_light
        Light of spheres that are not fitted, at even illumination.
    """

    spheres: Spheres
    optics: Optics
    detector: Detector
    background: Array
    illumination: Array
    fixed_light: Image | float = 0.0

    def profile(self, aspect: float) -> Profile:
        """Return tables of blurred spheres for the radii and the PSF, on voxels of an aspect."""
        radii = self.spheres.radii
        smallest, largest = float(radii.min(initial=np.inf)), float(radii.max(initial=0.0))
        limits = smallest * (1 - _RADIUS_MARGIN), largest * (1 + _RADIUS_MARGIN)
        return Profile(limits, self.optics.psf_sigma, self.optics.shell, aspect)

    def predict(self, box: Box, profile: Profile) -> Prediction:
        """Return the image that the model predicts for a box."""
        optics = self.optics
        illumination = np.exp(box.basis.image(self.illumination))
        core = (draw(self.spheres, profile, box.low, box.shape) + self.fixed_light) * illumination
        light = core + box.basis.image(self.background)
        if optics.psf_tail:
            light += np.float32(optics.psf_tail) * (halo_of(core, optics.psf_sigma, box.aspect) - core)
        if any(optics.psf_covariances):
            covariances = np.array(optics.psf_covariances, np.float32)
            light += np.tensordot(covariances, covariance_derivatives(core, box.aspect), 1)
        return compare(self.detector, box, illumination, core, light)


def compare(detector: Detector, box: Box, illumination: Image, core: Image, light: Image) -> Prediction:
    """Return the prediction that some light makes for a box, as a detector records it."""
    response = detector.response(light)
    weight = box.known / response.deviation
    residual = ((box.image - response.expected) * weight).astype(np.float32)
    return Prediction(illumination, core, light, residual, (response.slope * weight).astype(np.float32))


def halo_of(core: Image, sigma: tuple[float, float], aspect: float) -> Image:
    """Return light that went through the core of a PSF as a PSF of twice the width would have blurred it."""
    axial, lateral = (np.sqrt(3) * s for s in sigma)
    for axis, width in enumerate((axial / aspect, lateral, lateral)):
        core = gaussian_filter1d(core, width, axis=axis, truncate=3, mode="nearest")
    return core


def covariance_derivatives(core: Image, aspect: float) -> Image:
    """Return the derivatives of light with respect to `Optics.psf_covariances`, shape ``(4, Z, Y, X)``.

    To first order a covariance adds the mixed second derivative of the image: the heat equation of a Gaussian blur.
    """

    def slope(image: Image, axis: int) -> Image:
        return np.gradient(image, axis=axis) if image.shape[axis] > 1 else np.zeros_like(image)

    y, x = slope(core, 1), slope(core, 2)
    return np.stack([slope(y, 0) / aspect, slope(x, 0) / aspect, slope(y, 2), slope(y, 1) - slope(x, 2)])
