"""Pair correlation function: of an ideal gas, of a crystal, in other units, with anisotropic voxels."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_colloids import ColloidsError
from napari_colloids.particles import particle_table
from napari_colloids.simulation import simulate
from napari_colloids.structure import first_minimum, pair_correlation
from napari_colloids.structure.pair_counts import count_pairs


@settings(max_examples=10, deadline=None)
@given(shape=st.tuples(*[st.integers(30, 90)] * 3), seed=st.integers(0, 1000))
def test_an_ideal_gas_has_no_order_whatever_the_box(gas, shape, seed):
    frames = [gas(800, shape, seed + frame, frame=frame) for frame in range(6)]
    result = pair_correlation(pd.concat(frames), shape=shape, cutoff=25, bins=10)
    assert result.unit == "px"
    np.testing.assert_allclose(result.g[2:], 1, atol=0.1)


def test_few_particles_in_many_frames_fill_the_box_together(gas):
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


@settings(max_examples=30, deadline=None)
@given(
    count=st.integers(2, 60),
    cutoff=st.floats(0.5, 40),
    edges=st.tuples(*[st.floats(1, 100)] * 3),
    directions=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_pairs_in_cells_are_all_pairs(count, cutoff, edges, directions, seed):
    rng = np.random.default_rng(seed)
    positions, kinds = rng.uniform(0, edges, (count, 3)), rng.integers(0, 2, count)
    parts = np.array([[0, 1], [1, 2]])
    counted = count_pairs(positions, np.array(edges), cutoff, 7, kinds=kinds, parts=parts, directions=directions)
    expected = np.zeros((3 * directions, 7))
    for i in range(count):
        for j in range(i):
            apart = np.abs(positions[i] - positions[j])
            distance = np.linalg.norm(apart)
            if distance <= cutoff:
                part = parts[kinds[i], kinds[j]] * directions + min(
                    int(directions * apart[0] / distance), directions - 1
                )
                expected[part, int(7 * distance / cutoff)] += 1 / np.prod(np.array(edges) - apart)
    np.testing.assert_allclose(counted.sums, expected, rtol=1e-9)


def test_a_crystal_has_twelve_neighbours_in_its_first_shell(fcc):
    places, box = fcc(10.0, 8)
    result = pair_correlation(particle_table(places), shape=box, cutoff=12, bins=120)
    step = result.r[1] - result.r[0]
    shell = (result.r > 6.5) & (result.r < 7.6)
    neighbours = 4 / 1000 * np.sum(4 * np.pi * result.r**2 * result.g * step, where=shell)
    assert neighbours == pytest.approx(12, rel=0.05)
    assert not result.g[(result.r > 7.6) & (result.r < 9.5)].any()
    assert 7.6 < first_minimum(result.r, result.g) < 9.5


def test_anisotropic_voxels_and_micrometres(fcc):
    places, box = fcc(10.0, 6)
    voxel = np.array([2.5, 1.0, 1.0])
    table = particle_table(places / voxel)
    plain = pair_correlation(particle_table(places), shape=box, cutoff=12)
    anisotropic = pair_correlation(table, shape=box / voxel, voxel_size=0.1 * voxel, cutoff=1.2)
    assert anisotropic.unit == "um"
    np.testing.assert_allclose(anisotropic.r, plain.r / 10)
    np.testing.assert_allclose(anisotropic.g, plain.g, atol=0.02)
    implied = pair_correlation(particle_table(places / voxel, voxel_size=0.1 * voxel), shape=box / voxel, cutoff=1.2)
    np.testing.assert_allclose(implied.g, anisotropic.g, atol=0.02)


def test_distances_end_at_four_diameters_or_the_shortest_edge(gas):
    table = gas(500, (30, 90, 90))
    assert pair_correlation(table, shape=(30, 90, 90), diameter=5).r[-1] == pytest.approx(20, abs=0.2)
    assert pair_correlation(table, shape=(30, 90, 90), diameter=15).r[-1] < 30


def test_without_two_particles_in_a_frame_there_are_no_pairs(gas):
    for table in (
        particle_table([]),
        particle_table([[1, 2, 3]]),
        particle_table([[1, 2, 3], [4, 5, 6]], frame=[0, 1]),
    ):
        with pytest.raises(ColloidsError, match="two particles"):
            pair_correlation(table)
    with pytest.raises(ColloidsError, match="one plane"):
        pair_correlation(gas(400, (0, 90, 90)).assign(z=1.0))
    with pytest.raises(ColloidsError, match="cutoff"):
        pair_correlation(gas(10, (9, 9, 9)), cutoff=0)


def test_an_array_of_positions_is_as_good_as_a_table(gas):
    table = gas(300, (30, 40, 50))
    array = pair_correlation(table[["z", "y", "x"]].to_numpy(), shape=(30, 40, 50))
    np.testing.assert_array_equal(array.g, pair_correlation(table, shape=(30, 40, 50)).g)


@pytest.mark.parametrize(
    ("particles", "message"), [("found.csv", "not str"), ([[1, 2]], r"\(N, 3\)"), ({"z": [1]}, "not dict")]
)
def test_what_is_no_particles_is_refused(particles, message):
    with pytest.raises(ColloidsError, match=message):
        pair_correlation(particles)


def test_repr_and_plot_have_the_unit_and_the_peak(fcc):
    crystal, box = fcc(10.0, 5)
    result = pair_correlation(particle_table(crystal, voxel_size=(0.1, 0.1, 0.1)), shape=box, cutoff=1.2, bins=24)
    peak = result.r[np.argmax(result.g)]
    assert (
        repr(result)
        == f"PairCorrelation(24 distances up to 1.175 µm, highest g = {result.g.max():.3g} at r = {peak:.4g} µm)"
    )
    ax = result.plot()
    (curve,) = (line for line in ax.get_lines() if line.get_label() == "g(r)")
    np.testing.assert_array_equal(curve.get_xydata(), np.column_stack([result.r, result.g]))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("r (µm)", "g(r)")
    assert result.plot(ax) is ax
