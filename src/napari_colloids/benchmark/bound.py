"""The joint Cramer-Rao bound: how exactly the particles of a simulated stack can be known at all, neighbours included.

Bierbaum, Leahy, Alemi, Cohen, Sethna, Phys. Rev. X 7, 041007 (2017), for blurred spheres in a confocal stack. Here the
information is that in the mean grey level of each voxel, optics and background known, and the brightness, centre and
radius of every particle unknown, of those outside whose light reaches in, too. What the spread of the grey levels says
beside their mean is left out: a few percent of the bound.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor
from scipy.linalg.lapack import dpotri

from napari_colloids.particles import positions_of
from napari_colloids.refinement.equations import assemble
from napari_colloids.refinement.optics import Detector
from napari_colloids.refinement.pictures import NUMBERS
from napari_colloids.refinement.profile import REACH, Profile
from napari_colloids.refinement.slow import Slow
from napari_colloids.refinement.spheres import Spheres, draw
from napari_colloids.simulation.exposure import background_level
from napari_colloids.simulation.scene import Simulation, image_arrangement, packed_box, seeded

if TYPE_CHECKING:
    from napari_colloids.simulation.parameters import Parameters

Array = NDArray[np.float64]

#: What is known of a particle that is hardly seen, so that the information can be inverted: its place and radius to
#: this part of the radius, its brightness to this part of itself. To those that are seen it adds next to nothing.
_VAGUE = 1.0
#: What a radius is known to, in lateral voxels, where all are known to be equal.
_SURE = 1e-5
#: Variance of a position within a voxel, and of a grey level by its rounding.
_VOXEL = 1 / 12


@dataclass(frozen=True, eq=False)
class Bound:
    """Least standard errors of the particles of a table.

    Attributes
    ----------
    equal
        Shape ``(N, 3)``: of z, y, x in voxels, where the radius is known.
    free
        Shape ``(N, 4)``: of z, y, x and the radius (lateral voxels), where the radius has to be found out, too.
    """

    equal: Array
    free: Array


def with_neighbours(parameters: Parameters) -> tuple[Simulation, NDArray[np.bool_]]:
    """Simulate a stack, with all particles listed whose light reaches in, and which of them are centred in it.

    The stack is the one that `simulate` makes of these parameters.
    """
    parameters, rng = seeded(parameters)
    arrangement = packed_box(parameters, rng)
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
    """Return the bound for all particles that a simulation lists.

    Parameters
    ----------
    simulation
        With the particles around the stack listed (`with_neighbours`). Its optics are a Gaussian PSF, round across,
        in an even light: no halo, tilt, shading or bleaching.
    """
    parameters = simulation.parameters
    spheres, background = _in_grey_levels(simulation)
    profile = _profile(parameters, spheres)
    low, shape = np.zeros(3, int), parameters.shape
    light = np.float32(background) + draw(spheres, profile, low, shape)
    seen = detector_of(parameters).see(light)
    weight = (seen.slope / seen.deviation).astype(np.float32)
    nothing = np.zeros(shape, np.float32)
    slow = Slow.over(low, shape)
    information = assemble(spheres, profile, slow, nothing, weight, weight, []).matrix().toarray()
    vague = np.empty((len(spheres), NUMBERS))
    vague[:, 0] = 1 / (_VAGUE * spheres.brightness) ** 2
    vague[:, 1:] = 1 / (_VAGUE * spheres.radii[:, None]) ** 2
    information[np.diag_indices_from(information)] += vague.ravel()
    free = _deviations(information)
    radii = np.arange(4, len(information), NUMBERS)
    information[radii, radii] += 1 / _SURE**2
    return Bound(_deviations(information)[:, :3], free)


def detector_of(parameters: Parameters) -> Detector:
    """Return the noise of a simulation, in its grey levels."""
    white = parameters.brightness * (257 if parameters.bits == 16 else 1)
    noise = 1 / parameters.snr**2
    return Detector(
        gain=white * parameters.photon_noise * noise,
        floor=float(np.sqrt((1 - parameters.photon_noise) * noise * white**2 + _VOXEL)),
        limits=(0.0, float(2**parameters.bits - 1)),
    )


def _in_grey_levels(simulation: Simulation) -> tuple[Spheres, float]:
    """Return the particles and the background as the detector sees them."""
    parameters = simulation.parameters
    table = simulation.particles
    spheres = Spheres(positions_of(table), table["radius"].to_numpy(dtype=float), simulation.brightness)
    # The middle of a typical particle has the wanted level.
    picture = draw(spheres, _profile(parameters, spheres), np.zeros(3, int), parameters.shape)
    last = np.array(parameters.shape) - 1
    inside = np.all((spheres.positions >= -0.5) & (spheres.positions < last + 0.5), axis=1)
    middles = np.clip(np.rint(spheres.positions[inside]).astype(int), 0, last)
    typical = float(np.median(picture[tuple(middles.T)]))
    white = parameters.brightness * (257 if parameters.bits == 16 else 1)
    low = background_level(parameters.snr, parameters.cnr, parameters.photon_noise)
    brightness = white * (1 - low) / typical * spheres.brightness
    return Spheres(spheres.positions, spheres.radii, brightness), white * low


def _profile(parameters: Parameters, spheres: Spheres) -> Profile:
    axial, lateral, _ = np.sqrt(np.square(parameters.psf_sigma) + _VOXEL)
    aspect = parameters.voxel_aspect
    limits = float(spheres.radii.min()), float(spheres.radii.max())
    return Profile(limits, (float(axial) * aspect, float(lateral)), aspect=aspect)


def _deviations(information: Array) -> Array:
    """Return the standard errors ``(N, 4)`` of z, y, x and radius."""
    unit = 1 / np.sqrt(np.diag(information))
    inverse, _ = dpotri(*cho_factor(information * unit[:, None] * unit))
    variances = np.diag(inverse) * unit**2
    return np.asarray(np.sqrt(variances).reshape(-1, NUMBERS)[:, 1:])
