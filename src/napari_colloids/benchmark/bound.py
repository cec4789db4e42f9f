"""Cramer-Rao bound of the positions and radii of all particles of a simulated stack, neighbours included.

The information is that in the mean grey level of each voxel. Optics and background are known; the brightness, centre
and radius of every particle are unknown, also of those outside whose light reaches in. The information in the variance
of the grey levels is neglected: a few percent of the bound.

References
----------
Bierbaum, Leahy, Alemi, Cohen and Sethna, Phys. Rev. X 7, 041007 (2017): the bound of blurred spheres in confocal
stacks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor
from scipy.linalg.lapack import dpotri

from napari_colloids.particles import positions_of
from napari_colloids.refinement.equations import Jacobian
from napari_colloids.refinement.optics import Detector
from napari_colloids.refinement.polynomials import LegendreBasis
from napari_colloids.refinement.profile import REACH, Profile
from napari_colloids.refinement.spheres import Spheres, draw
from napari_colloids.refinement.templates import N_PARAMETERS
from napari_colloids.simulation.exposure import background_level
from napari_colloids.simulation.scene import Simulation, arrangement_for, image_arrangement, seeded

if TYPE_CHECKING:
    from napari_colloids.simulation.parameters import Parameters

Array = NDArray[np.float64]

#: Prior standard deviation of position and radius over the radius, and of the brightness over itself. It lets the
#: information of particles that are hardly visible be inverted, and adds next to nothing to that of the others.
_PRIOR_RELATIVE_SIGMA = 1.0
#: Prior standard deviation of a known radius, in lateral voxels.
_KNOWN_RADIUS_SIGMA_VOXELS = 1e-5
#: Variance of the uniform distribution of unit width: of a position in a voxel, and of the rounding of a grey level.
_UNIFORM_VARIANCE = 1 / 12


@dataclass(frozen=True, eq=False)
class Bound:
    """Smallest standard errors that are possible, for the particles of a table.

    Attributes
    ----------
    radius_known
        Shape ``(N, 3)``: of z, y, x in voxels, where the radius is known.
    radius_free
        Shape ``(N, 4)``: of z, y, x in voxels and the radius in lateral voxels, where the radius is unknown, too.
    """

    radius_known: Array
    radius_free: Array


def with_neighbours(parameters: Parameters) -> tuple[Simulation, NDArray[np.bool_]]:
    """Simulate the stack that `simulate` makes of these parameters, with all particles whose light reaches into it.

    Returns
    -------
    tuple
        The simulation, and a mask of its particles that are centred in the stack.
    """
    parameters, rng = seeded(parameters)
    arrangement = arrangement_for(parameters, rng)
    aspect = np.array([parameters.voxel_aspect, 1.0, 1.0])
    reach = float(arrangement.radii.max(initial=0.0)) / aspect + REACH * np.array(parameters.psf_sigma)
    simulation = image_arrangement(arrangement, parameters, rng, beyond=float((reach * aspect).max()))
    places, shape = positions_of(simulation.particles), np.array(parameters.shape)
    near = np.all((places >= -0.5 - reach) & (places < shape - 0.5 + reach), axis=1)
    simulation = replace(
        simulation,
        particles=simulation.particles[near].reset_index(drop=True),
        brightness=simulation.brightness[near],
    )
    return simulation, np.all((places[near] >= -0.5) & (places[near] < shape - 0.5), axis=1)


def cramer_rao(simulation: Simulation) -> Bound:
    r"""Return the bound for all particles of a simulation.

    Parameters
    ----------
    simulation
        With the particles around the stack (`with_neighbours`). Its PSF is a Gaussian, laterally round, without halo or
        tilt, and the illumination is even: no shading or bleaching.

    Notes
    -----
    With the mean :math:`\mu_v` and the standard deviation :math:`\sigma_v` of the grey level of voxel :math:`v`, the
    Fisher information of the parameters :math:`\theta` of all particles and their smallest standard errors are

    .. math::

        I_{jk} = \sum_v \frac{1}{\sigma_v^2} \frac{\partial \mu_v}{\partial \theta_j}
        \frac{\partial \mu_v}{\partial \theta_k}, \qquad
        \sigma_{\theta_j} \ge \sqrt{(I^{-1})_{jj}}.
    """
    parameters = simulation.parameters
    spheres, background = _in_grey_levels(simulation)
    profile = _profile(parameters, spheres)
    low, shape = np.zeros(3, int), parameters.shape
    light = np.float32(background) + draw(spheres, profile, low, shape)
    seen = detector_of(parameters).response(light)
    weight = (seen.slope / seen.deviation).astype(np.float32)
    nothing = np.zeros(shape, np.float32)
    basis = LegendreBasis.over(low, shape)
    jacobian = Jacobian.at(spheres, profile, basis, weight, weight, [])
    information = jacobian.normal_equations(nothing).matrix().toarray()
    prior = np.empty((len(spheres), N_PARAMETERS))
    prior[:, 0] = 1 / (_PRIOR_RELATIVE_SIGMA * spheres.brightness) ** 2
    prior[:, 1:] = 1 / (_PRIOR_RELATIVE_SIGMA * spheres.radii[:, None]) ** 2
    information[np.diag_indices_from(information)] += prior.ravel()
    radius_free = _standard_errors(information)
    radii = np.arange(4, len(information), N_PARAMETERS)
    information[radii, radii] += 1 / _KNOWN_RADIUS_SIGMA_VOXELS**2
    return Bound(_standard_errors(information)[:, :3], radius_free)


def single_sphere_bound(psf_sigma: float, cnr: float, radius: float) -> float:
    r"""Return the Cramer-Rao bound of the lateral position of a single sphere in white noise, in voxels.

    Parameters
    ----------
    psf_sigma
        Lateral standard deviation of the PSF in voxels.
    cnr
        Contrast to noise ratio.
    radius
        In voxels.

    Notes
    -----
    .. math::

        \sigma_x \ge \sqrt{\frac{3}{2 \sqrt{\pi}}} \, \frac{\sqrt{\sigma_\mathrm{PSF}}}{\mathrm{CNR} \, R}
        \approx 0.92 \, \frac{\sqrt{\sigma_\mathrm{PSF}}}{\mathrm{CNR} \, R},

    the information in a blurred edge on the surface of a sphere of radius :math:`R`.
    """
    return 0.92 * psf_sigma**0.5 / (cnr * radius)


def detector_of(parameters: Parameters) -> Detector:
    """Return the noise of a simulation, in its grey levels."""
    white = parameters.brightness * (257 if parameters.bits == 16 else 1)
    noise = 1 / parameters.snr**2
    return Detector(
        gain=white * parameters.photon_noise * noise,
        floor=float(np.sqrt((1 - parameters.photon_noise) * noise * white**2 + _UNIFORM_VARIANCE)),
        limits=(0.0, float(2**parameters.bits - 1)),
    )


def _in_grey_levels(simulation: Simulation) -> tuple[Spheres, float]:
    """Return the particles and the background in grey levels of the detector."""
    parameters = simulation.parameters
    table = simulation.particles
    spheres = Spheres(positions_of(table), table["radius"].to_numpy(dtype=float), simulation.brightness)
    # The centre of a typical particle has the wanted level.
    image = draw(spheres, _profile(parameters, spheres), np.zeros(3, int), parameters.shape)
    last = np.array(parameters.shape) - 1
    inside = np.all((spheres.positions >= -0.5) & (spheres.positions < last + 0.5), axis=1)
    centres = np.clip(np.rint(spheres.positions[inside]).astype(int), 0, last)
    typical = float(np.median(image[tuple(centres.T)]))
    white = parameters.brightness * (257 if parameters.bits == 16 else 1)
    low = background_level(parameters.snr, parameters.cnr, parameters.photon_noise)
    brightness = white * (1 - low) / typical * spheres.brightness
    return Spheres(spheres.positions, spheres.radii, brightness), white * low


def _profile(parameters: Parameters, spheres: Spheres) -> Profile:
    axial, lateral, _ = np.sqrt(np.square(parameters.psf_sigma) + _UNIFORM_VARIANCE)
    aspect = parameters.voxel_aspect
    limits = float(spheres.radii.min()), float(spheres.radii.max())
    return Profile(limits, (float(axial) * aspect, float(lateral)), aspect=aspect)


def _standard_errors(information: Array) -> Array:
    """Return the standard errors ``(N, 4)`` of z, y, x and radius."""
    unit = 1 / np.sqrt(np.diag(information))
    inverse, _ = dpotri(*cho_factor(information * unit[:, None] * unit))
    variances = np.diag(inverse) * unit**2
    return np.asarray(np.sqrt(variances).reshape(-1, N_PARAMETERS)[:, 1:])
