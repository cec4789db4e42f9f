"""Point spread function and detector: how the microscope images the particles, and its noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from napari_colloids.refinement.clipping import write_clipped
from napari_colloids.refinement.threads import in_chunks

Array = NDArray[np.float64]
Image = NDArray[np.float32]

#: Classes of brightness by which the noise is estimated.
_N_BRIGHTNESS_CLASSES = 24
#: Residuals are clipped at this many times their median magnitude: a hot voxel is no noise.
_OUTLIER_MEDIANS = 10.0
#: Smallest standard deviation of the noise in the dark, over its root mean square.
_MIN_FLOOR_FRACTION = 0.02
#: The same over the contrast of the image, for what no noise there hides: the model is no more exact than this.
_MIN_FLOOR_CONTRAST = 0.01
#: Grey levels that the contrast is taken between, in per cent of the voxels.
_CONTRAST_PERCENTILES = (5, 97)
#: Largest fraction of the light that the halo of a PSF may hold.
MAX_TAIL = 0.35


def whole_sigma(sigma: float, tail: float) -> float:
    """Return the standard deviation of a PSF with its halo, twice as wide, that has a part of the light.

    A PSF much longer than the particles is fitted with a large halo, which adds to it.
    """
    return float(sigma * np.sqrt(1 + 3 * tail))


class Response(NamedTuple):
    """Grey levels that a detector records of some light.

    Attributes
    ----------
    expected
        Mean grey level.
    slope
        Its derivative with respect to the light.
    deviation
        Standard deviation of the grey level.
    """

    expected: Image
    slope: Image
    deviation: Image


@dataclass(frozen=True)
class Detector:
    """Poisson-Gaussian noise, clipped where the grey levels end.

    Attributes
    ----------
    gain
        Grey levels per photon: the part of the variance that is proportional to the light (shot noise).
    floor
        Standard deviation in the dark, in grey levels (read noise).
    limits
        Lowest and highest grey level. In stacks of little light many voxels lie there, which shifts the mean and
        lessens the variance.
    averaged
        Voxels that are averaged after the exposure.
    least
        Smallest floor that a fit may find.
    """

    gain: float = 0.0
    floor: float = 1.0
    limits: tuple[float, float] = (-np.inf, np.inf)
    averaged: int = 1
    least: float = 0.0

    @classmethod
    def first_guess(cls, image: Image, limits: tuple[float, float], averaged: int = 1) -> Detector:
        """Return a detector for which all contrast of an image is noise."""
        low, high = (float(level) for level in np.percentile(image, _CONTRAST_PERCENTILES))
        least = _MIN_FLOOR_CONTRAST * (high - low)
        return cls(0.0, float(max(image.std(), 1e-6)) * averaged**0.5, limits, averaged, least)

    def response(self, light: Image) -> Response:
        """Return mean and deviation of the grey levels for the light, in grey levels, that falls on each voxel."""
        sigma = np.sqrt(self.floor**2 + self.gain * np.maximum(light, 0))
        if not np.isfinite(self.limits).any():
            return Response(light, np.ones_like(light), sigma / np.sqrt(self.averaged))
        found = Response(*(np.empty_like(light) for _ in Response._fields))
        flat = (values.reshape(-1) for values in found)
        in_chunks(write_clipped, light.size, light.reshape(-1), sigma.reshape(-1), *self.limits, *flat)
        return found._replace(deviation=found.deviation / np.sqrt(self.averaged))

    def fitted(self, image: Image, light: Image) -> Detector:
        """Return the detector whose noise explains how voxels ``(N,)`` differ from the light of a model there."""
        classes = np.array_split(np.argsort(light), _N_BRIGHTNESS_CLASSES)
        levels = np.array([light[part].mean() for part in classes], float)
        residuals = [image[part] - light[part] for part in classes]
        usual = float(np.median(np.abs(np.concatenate(residuals))))
        # Where most voxels are black, and have no noise, the usual residual says nothing of those in the light.
        far = [_OUTLIER_MEDIANS * max(usual, float(np.median(np.abs(part)))) for part in residuals]
        mean, square = (
            np.array([np.mean(np.clip(part, -end, end) ** power) for part, end in zip(residuals, far, strict=True)])
            for power in (1, 2)
        )
        top, scale = float(levels.max()), max(float(square.mean()) * self.averaged, 1e-12)
        # Where all grey levels are below zero, as in an inverted volume, no noise is proportional to the light.
        max_gain = scale / top if top > 0 else 0.0
        least = max(_MIN_FLOOR_FRACTION, self.least / scale**0.5)

        def trial(roots: Array) -> Detector:
            gain, floor = roots[0] ** 2 * max_gain, np.hypot(roots[1], least) * scale**0.5
            return Detector(float(gain), float(floor), self.limits, self.averaged, self.least)

        smallest = max(self.least**2 / self.averaged, 1e-12)

        def misfit(roots: Array) -> Array:
            response = trial(roots).response(levels)
            shift = response.expected - levels
            # Where there is no noise the residual may be zero everywhere.
            variance = np.maximum(square - 2 * shift * mean + shift**2, smallest)
            return np.asarray(np.log(response.deviation**2 / variance))

        return trial(least_squares(misfit, [0.7, 0.7]).x)


@dataclass(frozen=True)
class Optics:
    """Point spread function and structure of the particles, as `simulate` has them.

    Attributes
    ----------
    psf_sigma
        Standard deviations ``(axial, lateral)`` of the PSF's core in lateral voxels, the voxel's own width included.
    psf_tail
        Fraction of the light in a halo of twice the width.
    psf_covariances
        Covariances ``(zy, zx, yx, (yy - xx) / 2)`` of the PSF in squared lateral voxels: tilt and astigmatism, 0 for a
        PSF that is round across the optical axis.
    shell
        Radius of a dark core over the outer radius; 0 for solid particles.
    """

    psf_sigma: tuple[float, float]
    psf_tail: float = 0.0
    psf_covariances: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    shell: float = 0.0
