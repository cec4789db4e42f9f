"""Random imaging conditions of training scenes: PSF, noise, background, uneven brightness and illumination."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.simulation.parameters import Parameters
from napari_colloids.training.draws import log_uniform

if TYPE_CHECKING:
    from numpy.random import Generator


def confocal(rng: Generator, radius: float, aspect: float) -> Parameters:
    """Draw the imaging conditions of a confocal microscope, over wider ranges than real ones have.

    Parameters
    ----------
    rng
        Source of the random numbers.
    radius
        Of the particles in lateral voxels.
    aspect
        Height of a voxel over its width.
    """
    lateral = radius * log_uniform(rng, 0.06, 0.5)
    axial = float(np.clip(lateral * rng.uniform(1.0, 5.0), 0.1 * radius, 1.5 * radius))
    snr = log_uniform(rng, 1.2, 20.0)
    tilted = rng.random() < 0.12
    return Parameters(
        psf_sigma=(axial / aspect, lateral, lateral * float(rng.uniform(0.85, 1.15))),
        psf_tail=float(rng.uniform(0, 0.3)) if rng.random() < 0.3 and axial < radius else 0.0,
        psf_skew=float(rng.uniform(-1, 1)),
        psf_tilt=(float(rng.normal(0, 0.2)), float(rng.normal(0, 0.2))) if tilted else (0.0, 0.0),
        brightness=float(rng.uniform(60, 255)),
        brightness_spread=_brightness_spread(rng),
        snr=snr,
        cnr=snr * float(rng.uniform(0.35, 1.0)),
        photon_noise=float(rng.uniform(0, 1)),
        shading=float(rng.uniform(0, 0.4)) if rng.random() < 0.3 else 0.0,
        depth_loss=float(rng.uniform(0, 0.8)) if rng.random() < 0.3 else 0.0,
        bits=16 if rng.random() < 0.3 else 8,
    )


def nano_colloids(rng: Generator, radius: float, aspect: float) -> Parameters:
    """Draw the imaging conditions of nano-colloids: strong axial blur, uneven brightness, low SNR.

    The range of the axial standard deviation of the PSF includes the 1.2 to 1.4 radii that the autocorrelation of real
    stacks has.

    Parameters
    ----------
    rng
        Source of the random numbers.
    radius
        Of the particles in lateral voxels.
    aspect
        Height of a voxel over its width.
    """
    lateral = radius * float(rng.uniform(0.2, 0.5))
    axial = radius * float(rng.uniform(0.9, 1.9))
    snr = log_uniform(rng, 1.2, 6.0)
    tilted = rng.random() < 0.15
    return Parameters(
        psf_sigma=(axial / aspect, lateral, lateral * float(rng.uniform(0.85, 1.15))),
        psf_tail=float(rng.uniform(0, 0.35)) if rng.random() < 0.4 else 0.0,
        psf_skew=float(rng.uniform(-1, 1)),
        psf_tilt=(float(rng.normal(0, 0.1)), float(rng.normal(0, 0.1))) if tilted else (0.0, 0.0),
        brightness=float(rng.uniform(40, 255)),
        brightness_spread=float(rng.uniform(0.1, 0.7)),
        snr=snr,
        cnr=snr * float(rng.uniform(0.35, 1.0)),
        photon_noise=float(rng.uniform(0, 1)),
        depth_loss=float(rng.uniform(0, 0.6)) if rng.random() < 0.3 else 0.0,
        bits=8,
    )


def _brightness_spread(rng: Generator) -> float:
    """Draw the relative spread of the brightness: small for most samples, above 0.3 for one in seven."""
    return float(rng.choice([0.03, rng.uniform(0.0, 0.3), rng.uniform(0.3, 0.8)], p=[0.45, 0.4, 0.15]))
