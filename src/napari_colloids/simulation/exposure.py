"""From a noise-free image to grey levels: background, uneven illumination, loss of light with depth, noise, bits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_colloids.simulation.parameters import Parameters

Image = NDArray[np.float32]


#: Photons of a voxel from which their number is drawn from a normal distribution, as it cannot be told from Poisson's.
_MAX_PHOTONS = 1e12


def background_level(snr: float, cnr: float, photon_noise: float) -> float:
    r"""Return the background over the foreground level :math:`b / f` from SNR and CNR.

    .. math:: \mathrm{SNR} = \frac{f}{\sigma_f}, \qquad
        \mathrm{CNR} = \frac{f - b}{\sqrt{(\sigma_f^2 + \sigma_b^2) / 2}}, \qquad
        \sigma_b^2 = \sigma_f^2 \left( 1 - p + p \, \frac{b}{f} \right)

    where :math:`p` is the `photon_noise`, the fraction of the variance at :math:`f` that is Poisson noise. Where the
    level would be negative, it is 0.
    """
    # With u = b / f: (1 - u)^2 = (cnr / snr)^2 (1 + (1 - p) + p u) / 2, a quadratic equation in u.
    ratio = (cnr / snr) ** 2 / 2
    linear = 2 + ratio * photon_noise
    constant = 1 - ratio * (2 - photon_noise)
    root = (linear - math.sqrt(linear**2 - 4 * constant)) / 2
    return max(root, 0.0)


def smooth_field(shape: tuple[int, int, int], rng: np.random.Generator) -> Image:
    """Return a slowly varying field between -1 and 1: a random plane wave whose length is about that of the stack."""
    z, y, x = np.meshgrid(*[np.linspace(0, 1, n, dtype=np.float32) for n in shape], indexing="ij", sparse=True)
    k = rng.normal(0, 3, 3)
    return np.cos(k[0] * z + k[1] * y + k[2] * x + rng.uniform(0, 2 * np.pi)).astype(np.float32)


def expose(signal: Image, parameters: Parameters, rng: np.random.Generator) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Turn a signal (0 in the solvent, 1 in a typical particle) into grey levels.

    Parameters
    ----------
    signal
        Shape ``(z, y, x)``.
    parameters
        Of them `brightness`, `snr`, `cnr`, `photon_noise`, `shading`, `depth_loss` and `bits`.
    rng
        Source of randomness.
    """
    snr, photon_noise = parameters.snr, parameters.photon_noise
    low = background_level(snr, parameters.cnr, photon_noise)
    light = low + (1 - low) * signal
    if parameters.shading:
        light *= 1 + parameters.shading * smooth_field(signal.shape, rng)
    if parameters.depth_loss:
        depth = np.linspace(0, 1, signal.shape[0], dtype=np.float32)
        light *= ((1 - parameters.depth_loss) ** depth)[:, None, None]
    # In units of the foreground level the variance at 1 is snr^-2, of which a fraction is Poisson noise.
    if photon_noise > 0:
        photons = snr**2 / photon_noise
        if photons * float(light.max(initial=0.0)) < _MAX_PHOTONS:
            light = (rng.poisson(np.maximum(light, 0) * photons) / photons).astype(np.float32)
        else:
            light += np.sqrt(np.maximum(light, 0) / photons) * rng.standard_normal(light.shape, dtype=np.float32)
    light += math.sqrt(1 - photon_noise) / snr * rng.standard_normal(light.shape, dtype=np.float32)
    bits = parameters.bits
    grey = light * parameters.brightness * (257 if bits == 16 else 1)
    return np.clip(np.rint(grey), 0, 2**bits - 1).astype(np.uint16 if bits == 16 else np.uint8)
