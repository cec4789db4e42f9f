"""Shared by the tests of structure and dynamics."""

import numpy as np
import pytest

from napari_colloids.particles import particle_table


@pytest.fixture(scope="session")
def walks():
    """Return trajectories of free random walks."""
    return random_walks


def random_walks(count=400, frames=40, steps=(0.3, 0.2, 0.1), noise=0.0, seed=0, voxel_size=None):
    """Trajectories of free random walks; `steps` are standard deviations per axis in voxels."""
    rng = np.random.default_rng(seed)
    paths = np.cumsum(rng.normal(0, steps, (frames, count, 3)), axis=0) + 20
    paths += rng.normal(0, noise, paths.shape)
    return particle_table(
        paths.reshape(-1, 3),
        frame=np.repeat(np.arange(frames), count),
        particle=np.tile(np.arange(count), frames),
        voxel_size=voxel_size,
    )


@pytest.fixture(scope="session")
def gas():
    """Return an ideal gas."""
    return random_gas


@pytest.fixture(scope="session")
def fcc():
    """Return a face-centred cubic crystal and its box."""
    return fcc_crystal


def random_gas(count, shape, seed=0, **columns):
    """Independent uniform positions in a box."""
    places = np.random.default_rng(seed).random((count, 3)) * shape - 0.5
    return particle_table(places, **columns)


def fcc_crystal(lattice, cells):
    """Face-centred cubic crystal of `cells` cells each way, and the box it fills."""
    corners = np.stack(np.meshgrid(*[np.arange(cells)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    basis = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    return lattice * (corners + basis).reshape(-1, 3), (lattice * cells,) * 3
