"""What the microscope did to the particles, in the words of `napari_colloids.simulation`, and to the light."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.special import ndtr

Image = NDArray[np.float32]

#: Classes of brightness by which the noise is measured.
_CLASSES = 24
#: Voxels further from the model than this many times the typical one count as this far: a hot voxel is no noise.
_OUTLIER = 10.0
#: Standard deviations beyond which a grey level is never reached.
_FAR = 30.0
#: Least noise in the dark, of that in the mean.
_LEAST = 0.02
#: Most of the light that a PSF may have in its halo.
MOST_TAIL = 0.35


class Seen(NamedTuple):
    """What a detector makes of light.

    Attributes
    ----------
    expected
        Mean grey level.
    slope
        Its change with the light.
    deviation
        Standard deviation of the grey level.
    """

    expected: Image
    slope: Image
    deviation: Image


@dataclass(frozen=True)
class Detector:
    """Poisson-Gaussian noise, cut off where the grey levels end.

    Attributes
    ----------
    gain
        Grey levels per photon: the part of the variance that grows with the light.
    floor
        Standard deviation in the dark, in grey levels.
    limits
        Lowest and highest grey level. In stacks of little light many voxels lie there, which shifts the mean and
        makes the dark look quiet.
    averaged
        Voxels that were averaged after all this.
    """

    gain: float = 0.0
    floor: float = 1.0
    limits: tuple[float, float] = (-np.inf, np.inf)
    averaged: int = 1

    @classmethod
    def of(cls, image: NDArray[np.float32], limits: tuple[float, float], averaged: int = 1) -> Detector:
        """Return a first guess for an image: all its contrast taken for noise."""
        return cls(0.0, float(max(image.std(), 1e-6)) * averaged**0.5, limits, averaged)

    def see(self, light: Image) -> Seen:
        """Return mean and deviation of the grey levels for the light, in grey levels, that falls on each voxel."""
        sigma = np.sqrt(self.floor**2 + self.gain * np.maximum(light, 0))
        if not np.isfinite(self.limits).any():
            return Seen(light, np.ones_like(light), sigma / np.sqrt(self.averaged))
        # Light far beyond a limit is seen as that limit.
        light = np.clip(light, self.limits[0] - _FAR * sigma, self.limits[1] + _FAR * sigma)
        low, high = (np.clip((limit - light) / sigma, -_FAR, _FAR) for limit in self.limits)
        below, above = ndtr(low), ndtr(-high)
        within = 1 - below - above
        bell_low, bell_high = (np.exp(-(e**2) / 2) / np.sqrt(2 * np.pi) for e in (low, high))
        # Moments of (level - light) / sigma, cut off at low and high.
        mean = low * below + high * above + bell_low - bell_high
        square = low**2 * below + high**2 * above + within + low * bell_low - high * bell_high
        deviation = sigma * np.sqrt(np.maximum(square - mean**2, 1e-4))
        return Seen(light + sigma * mean, within, deviation / np.sqrt(self.averaged))

    def measured(self, image: NDArray[np.float32], light: NDArray[np.float32]) -> Detector:
        """Return the detector whose noise explains how voxels ``(N,)`` differ from the light of a model there."""
        classes = np.array_split(np.argsort(light), _CLASSES)
        levels = np.array([light[part].mean() for part in classes], float)
        off = [image[part] - light[part] for part in classes]
        far = _OUTLIER * float(np.median(np.abs(np.concatenate(off))))
        mean, square = (np.array([np.mean(np.clip(part, -far, far) ** power) for part in off]) for power in (1, 2))
        top, scale = float(levels.max()), max(float(square.mean()) * self.averaged, 1e-12)
        # Where all grey levels are below zero, as those of a negative are, noise that grows with the light is none.
        steepest = scale / top if top > 0 else 0.0

        def trial(numbers: NDArray[np.float64]) -> Detector:
            gain, floor = numbers[0] ** 2 * steepest, np.hypot(numbers[1], _LEAST) * scale**0.5
            return Detector(float(gain), float(floor), self.limits, self.averaged)

        def misfit(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
            seen = trial(numbers).see(levels)
            shift = seen.expected - levels
            # Nothing at all may be left of a constant image.
            left = np.maximum(square - 2 * shift * mean + shift**2, 1e-12)
            return np.asarray(np.log(seen.deviation**2 / left))

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
    psf_lean
        Covariances ``(zy, zx, yx, (yy - xx) / 2)`` of the PSF in squared lateral voxels: what a tilted or astigmatic
        PSF has beyond a round one.
    shell
        Radius of a dark core over the outer radius; 0 for solid particles.
    """

    psf_sigma: tuple[float, float]
    psf_tail: float = 0.0
    psf_lean: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    shell: float = 0.0
