"""Surrogate of an image: noise of the same grey levels and power spectrum, for comparison.

Its Fourier components have the amplitudes of the image and random phases, so that what is left of particles, lines or
clouds is their scale. What the network finds there is what it finds by chance in such an image.

References
----------
Theiler, Eubank, Longtin, Galdrikian and Farmer, Testing for nonlinearity in time series: the method of surrogate data,
Physica D 58, 77 (1992).
Moisan, Periodic plus smooth image decomposition, Journal of Mathematical Imaging and Vision 39, 161 (2011).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import fft

if TYPE_CHECKING:
    from numpy.typing import NDArray


def surrogate(image: NDArray[np.float32], seed: int = 0) -> NDArray[np.float32]:
    """Return an image with the phases of noise, another for each seed, and the grey levels of the given one."""
    noise = fft.rfftn(np.random.default_rng(seed).normal(size=image.shape).astype(np.float32))
    waves = np.abs(fft.rfftn(_periodic(image))) * np.exp(1j * np.angle(noise))
    mixed = fft.irfftn(waves, s=image.shape)
    ranked = np.empty_like(image)
    ranked.ravel()[np.argsort(mixed, axis=None)] = np.sort(image, axis=None)
    return ranked


def _periodic(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return an image without the smooth part by which opposite faces differ, whose spectrum is that of an edge."""
    steps = np.zeros_like(image)
    ripple = np.zeros((1, 1, 1), np.float32)
    for axis, length in enumerate(image.shape):
        ends = np.moveaxis(steps, axis, 0)
        step = image.take(-1, axis) - image.take(0, axis)
        ends[0] += step
        ends[-1] -= step
        cosine = 2 * np.cos(2 * np.pi * fft.fftfreq(length)) - 2
        ripple = ripple + np.expand_dims(cosine, [other for other in range(3) if other != axis]).astype(np.float32)
    ripple = ripple[..., : image.shape[2] // 2 + 1]
    ripple[0, 0, 0] = 1
    smooth = fft.rfftn(steps) / ripple
    smooth[0, 0, 0] = 0
    return image - fft.irfftn(smooth, s=image.shape)
