"""Stacks that the tests of detection share."""

from __future__ import annotations

import pytest

from napari_colloids.simulation import Simulation, simulate


@pytest.fixture(scope="session")
def dense() -> Simulation:
    """A dense stack of odd size with clear particles, 12 voxels wide."""
    return simulate(shape=(71, 83, 97), volume_fraction=0.5, radius=6, psf_sigma=(2.4, 1.3, 1.3), snr=8, cnr=7, seed=11)
