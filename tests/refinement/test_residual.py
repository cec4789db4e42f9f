"""The residual: noise where all particles are known, light where one is missing."""

from __future__ import annotations

import numpy as np
import pytest

from napari_colloids import ColloidsError
from napari_colloids.particles import positions_of
from napari_colloids.refinement import iter_residual
from napari_colloids.simulation import simulate


def residual_of(stack, table, diameter=10.0):
    steps = iter_residual(stack.data, positions_of(table), table["radius"].to_numpy(), diameter)
    seen = []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as end:
            return end.value, seen


@pytest.fixture(scope="module")
def complete(dilute):
    return residual_of(dilute.stack, dilute.particles)


def expected_noise(simulation):
    """Return the standard deviation of the noise in the light, and in the dark."""
    p = simulation.parameters
    bright = p.brightness / p.snr
    return bright, bright * (1 - p.photon_noise) ** 0.5


def test_only_noise_is_left_where_all_particles_are_known(dilute, complete):
    residual, steps = complete
    assert residual.image.shape == dilute.stack.shape
    assert residual.bins == (1, 1, 1)
    assert steps[-1].done == steps[-1].total
    inside = residual.image[6:-6, 6:-6, 6:-6]
    bright, dark = expected_noise(dilute)
    # In the dark a part of the noise is cut off at 0.
    assert 0.5 * dark < inside.std() < 1.1 * bright
    assert abs(inside.mean()) < 0.05 * bright
    particles = dilute.labels()[6:-6, 6:-6, 6:-6] > 0
    assert inside[particles].std() == pytest.approx(bright, rel=0.2)
    assert abs(inside[particles].mean()) < 0.1 * bright
    # The image itself varies by several times as much.
    assert dilute.stack.data.std() > 1.8 * inside.std()


def test_a_missing_particle_shines_at_its_place(dilute, complete):
    truth = positions_of(dilute.particles)
    missed = np.flatnonzero(((truth > 8) & (truth < 31)).all(axis=1))[0]
    residual, _ = residual_of(dilute.stack, dilute.particles.drop(index=missed))
    z, y, x = np.rint(truth[missed]).astype(int)
    box = tuple(slice(c - 3, c + 4) for c in (z, y, x))
    assert residual.image[box].mean() > 0.4 * 200
    assert abs(complete[0].image[box].mean()) < 0.1 * 200
    # As bright as that is nothing else.
    grid = np.indices(residual.image.shape) - truth[missed][:, None, None, None]
    away = np.linalg.norm(grid, axis=0) > 12
    assert abs(residual.image[away].mean()) < 0.05 * 200


def test_a_particle_that_is_not_there_leaves_no_hole(dilute, complete):
    """Its brightness is fitted, too, to nothing."""
    truth = positions_of(dilute.particles)
    grid = np.stack(np.meshgrid(*[np.arange(7, 33)] * 3, indexing="ij"), -1).reshape(-1, 3)
    void = grid[np.linalg.norm(grid[:, None] - truth, axis=2).min(axis=1).argmax()]
    table = dilute.particles.copy()
    table.loc[len(table)] = [*void, 5.0]
    residual, _ = residual_of(dilute.stack, table)
    box = tuple(slice(c - 2, c + 3) for c in void)
    assert residual.image[box].mean() == pytest.approx(complete[0].image[box].mean(), abs=0.1 * 200)


def test_large_particles_have_a_residual_of_binned_voxels():
    simulation = simulate(
        shape=(60, 61, 62), volume_fraction=0.3, radius=11, psf_sigma=(4.0, 2.4, 2.4), snr=4, cnr=4, seed=2
    )
    residual, _ = residual_of(simulation.stack, simulation.particles, 22.0)
    assert residual.bins == (2, 2, 2)
    assert residual.image.shape == (30, 30, 31)
    bright, _ = expected_noise(simulation)
    assert residual.image[4:-4, 4:-4, 4:-4].std() < 1.5 * bright / 8**0.5


def test_a_residual_needs_particles(dilute):
    with pytest.raises(ColloidsError, match="residual"):
        residual_of(dilute.stack, dilute.particles.iloc[:2])
