"""Measurement of optics, noise and sample on an image and the particles found in it: the same for stack and twins."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

from napari_colloids.particles import positions_of
from napari_colloids.refinement.optics import whole_sigma
from napari_colloids.refinement.preparation import prepare
from napari_colloids.refinement.threads import single_threaded_blas
from napari_colloids.stack import aspect_of

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from napari_colloids.stack import Stack

#: Particles that are needed for a measurement at least.
MIN_PARTICLES = 20
#: Radius of a dark core over that of the particle from which there is one.
_MIN_SHELL = 0.15
#: Standard deviation of the lateral blur under which slices are compared, in voxels.
_SMOOTHING_VOXELS = 1.5
#: Loss of light over the depth, as a logarithm, that is told from none.
_MIN_DECAY = 0.05
#: Background over the foreground at most.
_MAX_BACKGROUND = 0.98


@dataclass(frozen=True)
class Measurement:
    r"""Optics, noise and sample as they are measured on an image.

    Attributes
    ----------
    radius, polydispersity
        Mean radius in lateral voxels, and the standard deviation over it.
    shell
        Radius of the dark core over the radius; 0 for solid particles.
    psf_sigma
        Axial and lateral standard deviation of the PSF in lateral voxels, without the width of a voxel.
    psf_tail, psf_tilt
        As in `Parameters`; the tilt in voxels per lateral voxel.
    foreground, background
        Grey levels of a typical particle and between particles, at half depth.
    gain, floor
        Of the noise, whose variance is :math:`\text{floor}^2 + \text{gain} \cdot \text{grey level}`.
    brightness_spread
        Standard deviation of the brightness over its mean.
    decay
        Logarithm of the light of the last slice over that of the first; 0 or less.
    density
        Particles found per cubic lateral voxel.
    """

    radius: float
    polydispersity: float
    shell: float
    psf_sigma: tuple[float, float]
    psf_tail: float
    psf_tilt: tuple[float, float]
    foreground: float
    background: float
    gain: float
    floor: float
    brightness_spread: float
    decay: float
    density: float

    def noise(self, level: float) -> float:
        """Return the standard deviation of the noise at a grey level."""
        return float(np.sqrt(self.floor**2 + self.gain * max(level, 0.0)))

    @property
    def axial_blur(self) -> float:
        """Axial standard deviation of the whole PSF in lateral voxels, with a halo that is twice as wide."""
        return whole_sigma(self.psf_sigma[0], self.psf_tail)

    @property
    def snr(self) -> float:
        """Signal-to-noise ratio of a typical particle."""
        return self.foreground / self.noise(self.foreground)

    @property
    def cnr(self) -> float:
        """Contrast-to-noise ratio of a typical particle."""
        noise = np.hypot(self.noise(self.foreground), self.noise(self.background)) / np.sqrt(2)
        return float((self.foreground - self.background) / noise)

    def in_first_slice(self) -> Measurement:
        """Return the measurement with the grey levels of the first slice, before light is lost with depth."""
        rise = float(np.exp(-self.decay / 2))
        return replace(self, foreground=self.foreground * rise, background=self.background * rise)

    @property
    def mean_particle_volume(self) -> float:
        """Mean volume of a particle in cubic lateral voxels, for a normal distribution of the radius."""
        return 4 / 3 * np.pi * self.radius**3 * (1 + 3 * self.polydispersity**2)


def measured(stack: Stack, found: pd.DataFrame, diameter: float) -> Measurement | str:
    """Measure optics, noise and sample.

    Parameters
    ----------
    stack
        The image, particles bright.
    found
        Particles in it, above the threshold.
    diameter
        In lateral voxels.

    Returns
    -------
    Measurement or str
        Why it cannot be measured, where that is so.
    """
    volume, aspect = stack.volume(), aspect_of(stack.voxel_size)
    positions = positions_of(found)
    with single_threaded_blas():
        prepared = prepare(volume, positions, found["radius"].to_numpy(dtype=float), diameter, aspect)
    if isinstance(prepared, str):
        return prepared
    common = prepared.common.in_stack_voxels(prepared.grid)
    optics, detector = common.optics, common.detector
    image = np.asarray(volume)
    decay = _decay(image)
    shell = optics.shell if optics.shell > _MIN_SHELL else 0.0
    foreground = _foreground(image, positions, common.radius * (1 + shell) / 2 if shell else 0.0, decay)
    axial, lateral = optics.psf_sigma
    return Measurement(
        radius=common.radius,
        polydispersity=common.polydispersity,
        shell=shell,
        psf_sigma=(_without_voxel(axial, aspect), _without_voxel(lateral, 1.0)),
        psf_tail=optics.psf_tail,
        psf_tilt=(optics.psf_covariances[0] / axial**2, optics.psf_covariances[1] / axial**2),
        foreground=foreground,
        background=float(np.clip(common.background, 0, _MAX_BACKGROUND * foreground)),
        gain=detector.gain,
        floor=detector.floor,
        brightness_spread=common.brightness_spread,
        decay=decay,
        density=len(found) / image.size / aspect,
    )


def _decay(image: NDArray[np.generic]) -> float:
    """Return the logarithm of the light of the last slice over that of the first, where it is clearly lost."""
    means = image.mean(axis=(1, 2), dtype=float)
    depth = np.linspace(0, 1, len(means))
    if len(means) < 2 or means.min() <= 0:
        return 0.0
    slope = float(np.polyfit(depth, np.log(means), 1)[0])
    return slope if slope < -_MIN_DECAY else 0.0


def _foreground(image: NDArray[np.generic], positions: NDArray[np.float64], sideways: float, decay: float) -> float:
    """Return the median grey level of the particles at half depth, so far from their centres along x.

    The median of single voxels has the noise of the image averaged out, and no blur is added.
    """
    depth = positions[:, 0] / max(len(image) - 1, 1) - 0.5
    levels = []
    for shift in {-sideways, sideways}:
        index = np.rint(positions + np.array([0, 0, shift])).astype(int)
        levels.append(image[tuple(np.clip(index, 0, np.array(image.shape) - 1).T)] / np.exp(decay * depth))
    return max(float(np.median(np.concatenate(levels))), 1e-6)


def _without_voxel(sigma: float, voxel: float) -> float:
    """Return the standard deviation of a PSF without the width of a voxel."""
    return float(np.sqrt(max(sigma**2 - voxel**2 / 12, 0.0)))


def slice_jitter(image: NDArray[np.generic]) -> float:
    """Return how far neighbouring slices are shifted against each other, as a standard deviation in voxels.

    The shift of two slices is where their cross-correlation is highest, to a whole voxel.
    """
    smooth = gaussian_filter(image.astype(np.float32), (0, _SMOOTHING_VOXELS, _SMOOTHING_VOXELS))
    waves = np.fft.rfft2(smooth - smooth.mean(axis=(1, 2), keepdims=True))
    shape = image.shape[1:]
    shifts = []
    for one, other in pairwise(waves):
        correlation = np.fft.irfft2(one * other.conj(), s=shape)
        highest = np.unravel_index(correlation.argmax(), shape)
        shifts.append([(int(k) + n // 2) % n - n // 2 for k, n in zip(highest, shape, strict=True)])
    return float(np.std(shifts)) if shifts else 0.0
