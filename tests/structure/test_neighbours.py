"""Distances of neighbours from g(r): first minimum, first peak, and the suggested search range."""

import numpy as np
import pytest

from napari_colloids import ColloidsError
from napari_colloids.particles import particle_table, positions_of
from napari_colloids.simulation import simulate
from napari_colloids.simulation.arrangement import Composition, arrange
from napari_colloids.structure import first_minimum, neighbour_distance, pair_correlation, suggest_search_range


@pytest.mark.parametrize("fraction", [0.3, 0.45, 0.55])
def test_first_minimum_of_a_fluid(fraction):
    table = simulate(shape=(64, 96, 96), radius=5, volume_fraction=fraction, seed=1).particles
    result = pair_correlation(table, shape=(64, 96, 96))
    # Hard spheres, from the Percus-Yevick equation: 1.7 diameters at 0.3, falling to 1.4 at 0.55.
    assert first_minimum(result.r, result.g) == pytest.approx(10 * np.interp(fraction, [0.3, 0.55], [1.7, 1.4]), abs=1)


def test_a_gas_has_no_first_minimum(gas):
    result = pair_correlation(gas(3000, (60, 90, 90)), shape=(60, 90, 90))
    assert np.isnan(first_minimum(result.r, result.g))


@pytest.mark.parametrize(
    ("wanted", "low", "high"),
    [
        ({"volume_fraction": 0.3}, 0.55, 0.75),
        ({"volume_fraction": 0.55}, 0.5, 0.62),
        ({"volume_fraction": 0.55, "arrangement": "crystal"}, 0.5, 0.62),
        ({"volume_fraction": 0.15, "arrangement": "gel"}, 0.5, 0.75),
    ],
)
@pytest.mark.parametrize("aspect", [1.0, 2.0])
def test_suggestion_is_half_the_distance_of_neighbours(wanted, low, high, aspect):
    shape = (int(64 / aspect), 80, 80)
    table = simulate(shape=shape, radius=5, seed=4, voxel_aspect=aspect, voxel_size=0.1, **wanted).particles
    suggested = suggest_search_range(table)
    assert low * 10 < suggested < high * 10
    bare = table[["z", "y", "x"]]
    assert suggest_search_range(bare, voxel_size=(0.1 * aspect, 0.1, 0.1)) == pytest.approx(suggested, rel=0.01)


def test_suggestion_for_a_gas_is_half_the_distance_of_nearest_neighbours(gas):
    table = gas(2000, (60, 90, 90))
    spacing = (60 * 90 * 90 / 2000) ** (1 / 3)
    assert suggest_search_range(table) == pytest.approx(0.554 / 2 * spacing, rel=0.1)  # Hertz, Math. Ann. 67 (1909)


@pytest.mark.parametrize("aspect", [1.0, 2.0])
def test_neighbours_in_a_dense_fluid_are_a_diameter_apart_whatever_the_radii_say(aspect):
    shape = (int(90 / aspect), 90, 90)
    table = simulate(shape=shape, radius=5, volume_fraction=0.5, seed=6, voxel_aspect=aspect, voxel_size=0.1).particles
    assert neighbour_distance(table.assign(radius=3.0)) == pytest.approx(10, rel=0.08)
    bare = table[["z", "y", "x"]]
    assert neighbour_distance(bare, voxel_size=(aspect, 1, 1)) == pytest.approx(10, rel=0.08)


@pytest.mark.parametrize(("fraction", "most"), [(0.3, 1.09), (0.45, 1.055), (0.55, 1.035)])
def test_neighbours_that_touch_are_hardly_more_than_a_diameter_apart(fcc, fraction, most):
    fluid = arrange("random", (100.0, 100.0, 100.0), Composition(fraction, 5.0), np.random.default_rng(1))
    assert 1 < neighbour_distance(particle_table(fluid.positions)) / 10 < most
    crystal, _ = fcc(10 * 2**0.5, 6)
    assert neighbour_distance(particle_table(crystal)) == pytest.approx(10, rel=0.01)


def test_the_middle_of_many_particles_says_how_far_neighbours_are(fcc):
    crystal, _ = fcc(14.0, 20)
    noise = np.random.default_rng(0).normal(0, 0.3, crystal.shape)
    assert neighbour_distance(particle_table(crystal + noise)) == pytest.approx(14 / 2**0.5, rel=0.08)


def test_uncertain_centres_of_many_particles_say_how_far_neighbours_are():
    positions = positions_of(simulate(shape=(64, 80, 80), radius=2.5, volume_fraction=0.3, seed=0).particles)
    rng = np.random.default_rng(0)
    uncertain = positions + rng.normal(0, 1, positions.shape) * (1.0, 0.5, 0.5)  # 0.2 diameters along z
    found = uncertain[rng.random(len(uncertain)) < 0.8]
    assert neighbour_distance(particle_table(found)) == pytest.approx(5 * 1.15, rel=0.1)


def test_a_gas_and_a_few_particles_do_not_say_how_far_neighbours_are(gas, fcc):
    assert np.isnan(neighbour_distance(gas(2000, (60, 90, 90))))
    assert np.isnan(neighbour_distance(particle_table(fcc(10.0, 2)[0])))
    assert np.isnan(neighbour_distance(particle_table([])))


def test_particles_in_one_plane_have_half_the_nearest_distance_as_search_range(gas):
    flat = gas(400, (0, 90, 90)).assign(z=1.0)
    assert np.isnan(neighbour_distance(flat))
    assert 0.5 < suggest_search_range(flat) < 5


def test_a_search_range_needs_two_particles_in_a_frame():
    for table in (particle_table([]), particle_table([[1, 2, 3], [4, 5, 6]], frame=[0, 1])):
        with pytest.raises(ColloidsError, match="two particles"):
            suggest_search_range(table)
