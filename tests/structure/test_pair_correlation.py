"""g(r): an ideal gas, a crystal, other units, and the search range it suggests."""

import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_colloids import ColloidsError
from napari_colloids.particles import particle_table, positions_of
from napari_colloids.simulation import simulate
from napari_colloids.simulation.arrangement import arrange
from napari_colloids.structure import first_minimum, neighbour_distance, pair_correlation, suggest_search_range


def gas(count, shape, seed=0, **columns):
    places = np.random.default_rng(seed).random((count, 3)) * shape - 0.5
    return particle_table(places, **columns)


def fcc(lattice, cells):
    """Face-centred cubic crystal of `cells` cells each way, and the box it fills."""
    corners = np.stack(np.meshgrid(*[np.arange(cells)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    basis = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    return lattice * (corners + basis).reshape(-1, 3), (lattice * cells,) * 3


@settings(max_examples=10, deadline=None)
@given(st.tuples(*[st.integers(30, 90)] * 3), st.integers(0, 1000))
def test_an_ideal_gas_has_no_order_whatever_the_box(shape, seed):
    frames = [gas(800, shape, seed + frame, frame=frame) for frame in range(6)]
    result = pair_correlation(pd.concat(frames), shape=shape, cutoff=25, bins=10)
    assert result.unit == "px"
    np.testing.assert_allclose(result.g[2:], 1, atol=0.1)


def test_few_particles_in_many_frames_fill_the_box_together():
    frames = [gas(5, (60, 60, 60), seed, frame=seed) for seed in range(300)]
    result = pair_correlation(pd.concat(frames), cutoff=40, bins=5)
    np.testing.assert_allclose(result.g[1:], 1, atol=0.2)


def test_equal_to_trackpy_and_to_a_box_that_is_guessed():
    from trackpy.static import pair_correlation_3d

    shape = (30, 60, 60)
    table = simulate(shape=shape, radius=4, volume_fraction=0.4, seed=2).particles
    corner = table + 0.5
    _, theirs = pair_correlation_3d(corner, cutoff=20, dr=0.5, boundary=(0.0, 60.0, 0.0, 60.0, 0.0, 30.0))
    ours = pair_correlation(table, shape=shape, cutoff=20, bins=40)
    np.testing.assert_allclose(ours.g, theirs[:40], atol=0.15)
    guessed = pair_correlation(table, cutoff=20, bins=40)
    np.testing.assert_allclose(guessed.g, ours.g, rtol=0.05)


@pytest.mark.parametrize("block", [1, 40, 299])
def test_pairs_of_many_particles_are_counted_block_by_block(monkeypatch, block):
    positions = np.random.default_rng(1).uniform(0, [20, 60, 30], (300, 3))
    whole = pair_correlation(particle_table(positions), shape=(20, 60, 30))
    monkeypatch.setattr(sys.modules[pair_correlation.__module__], "_BLOCK", block)
    np.testing.assert_allclose(pair_correlation(particle_table(positions), shape=(20, 60, 30)).g, whole.g, atol=1e-12)


def test_a_crystal_has_twelve_neighbours_in_its_first_shell():
    places, box = fcc(10.0, 8)
    result = pair_correlation(particle_table(places), shape=box, cutoff=12, bins=120)
    step = result.r[1] - result.r[0]
    shell = (result.r > 6.5) & (result.r < 7.6)
    neighbours = 4 / 1000 * np.sum(4 * np.pi * result.r**2 * result.g * step, where=shell)
    assert neighbours == pytest.approx(12, rel=0.05)
    assert not result.g[(result.r > 7.6) & (result.r < 9.5)].any()
    assert 7.6 < first_minimum(result.r, result.g) < 9.5


def test_flat_voxels_and_micrometres():
    places, box = fcc(10.0, 6)
    flat = np.array([2.5, 1.0, 1.0])
    table = particle_table(places / flat)
    plain = pair_correlation(particle_table(places), shape=box, cutoff=12)
    squeezed = pair_correlation(table, shape=box / flat, voxel_size=0.1 * flat, cutoff=1.2)
    assert squeezed.unit == "um"
    np.testing.assert_allclose(squeezed.r, plain.r / 10)
    np.testing.assert_allclose(squeezed.g, plain.g, atol=0.02)
    implied = pair_correlation(particle_table(places / flat, voxel_size=0.1 * flat), shape=box / flat, cutoff=1.2)
    np.testing.assert_allclose(implied.g, squeezed.g, atol=0.02)


def test_distances_end_at_four_diameters_or_the_shortest_edge():
    table = gas(500, (30, 90, 90))
    assert pair_correlation(table, shape=(30, 90, 90), diameter=5).r[-1] == pytest.approx(20, abs=0.2)
    assert pair_correlation(table, shape=(30, 90, 90), diameter=15).r[-1] < 30


@pytest.mark.parametrize("fraction", [0.3, 0.45, 0.55])
def test_first_minimum_of_a_fluid(fraction):
    table = simulate(shape=(64, 96, 96), radius=5, volume_fraction=fraction, seed=1).particles
    result = pair_correlation(table, shape=(64, 96, 96))
    # Hard spheres, from the Percus-Yevick equation: 1.7 diameters at 0.3, falling to 1.4 at 0.55.
    assert first_minimum(result.r, result.g) == pytest.approx(10 * np.interp(fraction, [0.3, 0.55], [1.7, 1.4]), abs=1)


def test_a_gas_has_no_first_minimum():
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


def test_suggestion_for_a_gas_is_half_the_distance_of_nearest_neighbours():
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
def test_neighbours_that_touch_are_hardly_more_than_a_diameter_apart(fraction, most):
    fluid = arrange("random", (100.0, 100.0, 100.0), fraction, 5.0, 0.0, np.random.default_rng(1))
    assert 1 < neighbour_distance(particle_table(fluid.positions)) / 10 < most
    crystal, _ = fcc(10 * 2**0.5, 6)
    assert neighbour_distance(particle_table(crystal)) == pytest.approx(10, rel=0.01)


def test_the_middle_of_many_particles_says_how_far_neighbours_are():
    crystal, _ = fcc(14.0, 20)
    noise = np.random.default_rng(0).normal(0, 0.3, crystal.shape)
    assert neighbour_distance(particle_table(crystal + noise)) == pytest.approx(14 / 2**0.5, rel=0.08)


def test_uncertain_centres_of_many_particles_say_how_far_neighbours_are():
    positions = positions_of(simulate(shape=(64, 80, 80), radius=2.5, volume_fraction=0.3, seed=0).particles)
    rng = np.random.default_rng(0)
    uncertain = positions + rng.normal(0, 1, positions.shape) * (1.0, 0.5, 0.5)  # 0.2 diameters along z
    found = uncertain[rng.random(len(uncertain)) < 0.8]
    assert neighbour_distance(particle_table(found)) == pytest.approx(5 * 1.15, rel=0.1)


def test_a_gas_and_a_few_particles_do_not_say_how_far_neighbours_are():
    assert np.isnan(neighbour_distance(gas(2000, (60, 90, 90))))
    assert np.isnan(neighbour_distance(particle_table(fcc(10.0, 2)[0])))
    assert np.isnan(neighbour_distance(particle_table([])))


def test_what_has_no_pairs_is_refused():
    for table in (
        particle_table([]),
        particle_table([[1, 2, 3]]),
        particle_table([[1, 2, 3], [4, 5, 6]], frame=[0, 1]),
    ):
        with pytest.raises(ColloidsError, match="two particles"):
            pair_correlation(table)
        with pytest.raises(ColloidsError, match="two particles"):
            suggest_search_range(table)
    flat = gas(400, (0, 90, 90)).assign(z=1.0)
    with pytest.raises(ColloidsError, match="one plane"):
        pair_correlation(flat)
    assert np.isnan(neighbour_distance(flat))
    assert 0.5 < suggest_search_range(flat) < 5, "half the distance of neighbours is known all the same"
    with pytest.raises(ColloidsError, match="cutoff"):
        pair_correlation(gas(10, (9, 9, 9)), cutoff=0)
