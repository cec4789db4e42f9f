"""The Cramer-Rao bound: against a brute-force one, a closed form, and the noise that a simulation really has."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_colloids.benchmark.bound import Bound, cramer_rao, detector_of, with_neighbours
from napari_colloids.particles import particle_table, positions_of
from napari_colloids.simulation import Parameters, Simulation, simulate
from napari_colloids.simulation.arrangement import Arrangement
from napari_colloids.simulation.exposure import background_level
from napari_colloids.simulation.optics import blur, draw_spheres
from napari_colloids.simulation.scene import image_arrangement

#: Bright and 16 bit: no grey level is cut off, and noise of one strength everywhere.
CLEAN = Parameters(shape=(40, 32, 36), radius=5.0, psf_sigma=(2.5, 1.2, 1.2), snr=20, cnr=15, photon_noise=0, bits=16)
PAIR = np.array([[14.3, 15.6, 17.4], [24.5, 16.2, 18.1]])


def imaged(parameters: Parameters, places: np.ndarray) -> Simulation:
    box = tuple(map(float, parameters.shape))
    spheres = Arrangement(places + 0.5, np.full(len(places), parameters.radius), box, periodic=False)
    return image_arrangement(spheres, parameters, np.random.default_rng(1))


def by_differences(parameters: Parameters, places: np.ndarray) -> Bound:
    """The same from pictures of the simulation, with finite differences and dense matrices."""

    def picture(numbers: np.ndarray) -> np.ndarray:
        light, positions, radii = numbers[:, 0], numbers[:, 1:4], numbers[:, 4]
        reach = 12
        canvas = draw_spheres(tuple(n + 2 * reach for n in parameters.shape), positions + reach, radii, light)
        return blur(canvas, parameters.psf_sigma)[(slice(reach, -reach),) * 3].astype(float)

    numbers = np.column_stack([np.ones(len(places)), places, np.full(len(places), parameters.radius)])
    middle = np.median([picture(numbers)[tuple(np.rint(place).astype(int))] for place in places])
    noise = middle / (1 - background_level(parameters.snr, parameters.cnr, 0)) / parameters.snr
    derivatives = []
    for index in np.ndindex(numbers.shape):
        step = np.zeros_like(numbers)
        step[index] = 0.05
        derivatives.append(((picture(numbers + step) - picture(numbers - step)) / 0.1 / noise).ravel())
    information = np.array(derivatives) @ np.array(derivatives).T

    def deviations(matrix: np.ndarray) -> np.ndarray:
        return np.sqrt(np.diag(np.linalg.inv(matrix)).reshape(len(places), -1))[:, 1:]

    known = np.delete(np.arange(len(information)), np.arange(4, len(information), 5))
    return Bound(deviations(information[np.ix_(known, known)]), deviations(information))


@pytest.mark.parametrize("count", [1, 2])
def test_it_is_what_differences_of_simulated_pictures_say(count):
    bound = cramer_rao(imaged(CLEAN, PAIR[:count]))
    brute = by_differences(CLEAN, PAIR[:count])
    np.testing.assert_allclose(bound.radius_known, brute.radius_known, rtol=0.05)
    np.testing.assert_allclose(bound.radius_free, brute.radius_free, rtol=0.05)


def test_a_large_sphere_follows_the_closed_form():
    """The edge is an error function; over it the squared slope integrates to 1 / (2 sqrt(pi) sigma)."""
    parameters = replace(CLEAN, shape=(48, 48, 48), radius=14.0, psf_sigma=(1.4, 1.4, 1.4))
    bound = cramer_rao(imaged(parameters, np.array([[23.5, 23.5, 23.5]])))
    sigma, noise = np.hypot(1.4, np.sqrt(1 / 12)), 1 / parameters.snr
    contrast = 1 - background_level(parameters.snr, parameters.cnr, 0)
    surface = 4 / 3 * np.pi * parameters.radius**2  # times the mean square of a direction's cosine
    expected = noise / contrast / np.sqrt(surface / (2 * np.sqrt(np.pi) * sigma))
    np.testing.assert_allclose(bound.radius_known[0], expected, rtol=0.02)


def test_neighbours_and_unknown_radii_cost_exactness():
    alone, together = (cramer_rao(imaged(CLEAN, PAIR[:count])) for count in (1, 2))
    assert together.radius_free[0, 0] > 1.1 * alone.radius_free[0, 0]
    assert (together.radius_free[:, :3] >= together.radius_known).all()
    noisy = cramer_rao(imaged(replace(CLEAN, snr=10, cnr=7.5), PAIR))
    np.testing.assert_allclose(noisy.radius_free, 2 * together.radius_free, rtol=0.01)


def test_the_neighbours_are_those_of_the_same_stack_and_each_is_counted_once():
    parameters = Parameters(shape=(24, 28, 32), radius=4.0, psf_sigma=(2.0, 1.0, 1.0), polydispersity=0.05, seed=7)
    simulation, inside = with_neighbours(parameters)
    same = simulate(parameters)
    np.testing.assert_array_equal(simulation.stack.data, same.stack.data)
    np.testing.assert_array_equal(positions_of(simulation.particles)[inside], positions_of(same.particles))
    assert not inside.all()
    assert len(np.unique(positions_of(simulation.particles), axis=0)) == len(inside)
    bound = cramer_rao(simulation)
    assert np.isfinite(bound.radius_free).all()
    assert np.isfinite(bound.radius_known).all()
    alone = replace(
        simulation,
        particles=particle_table(positions_of(same.particles), radius=same.particles["radius"]),
        brightness=same.brightness,
    )
    assert (cramer_rao(alone).radius_known.mean(axis=0) < bound.radius_known[inside].mean(axis=0)).all()


@pytest.mark.parametrize("bits", [8, 16])
def test_the_noise_is_that_of_the_simulation_cut_off_where_grey_levels_end(bits):
    parameters = Parameters(shape=(60, 60, 60), volume_fraction=0.0, snr=2.0, cnr=2.0, bits=bits, seed=3)
    image = simulate(parameters).stack.data.astype(float)
    white = parameters.brightness * (257 if bits == 16 else 1)
    seen = detector_of(parameters).response(np.float32([white * background_level(2.0, 2.0, parameters.photon_noise)]))
    assert (image == 0).mean() > 0.2
    assert image.mean() == pytest.approx(seen.expected[0], rel=0.02)
    assert image.std() == pytest.approx(seen.deviation[0], rel=0.02)
