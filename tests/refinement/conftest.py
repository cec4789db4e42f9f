"""Simulated stacks, and detections of a network's exactness, that the tests of the refinement share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.spatial import cKDTree

from napari_colloids.particles import positions_of
from napari_colloids.refinement import refine
from napari_colloids.refinement.spheres import Spheres, templates_of
from napari_colloids.simulation import Simulation, simulate

if TYPE_CHECKING:
    import pandas as pd

#: Standard deviations of the first guesses: of the centres in voxels, and of the radius, relative.
GUESSED = (0.2, 0.03)


@dataclass(frozen=True, eq=False)
class Scene:
    """A simulated stack, its particles as a network would find them, and what came of these."""

    simulation: Simulation
    start: pd.DataFrame
    refined: pd.DataFrame
    steps: list[tuple[int, int]]

    def errors(self, table: pd.DataFrame | None = None) -> np.ndarray:
        """Return position less truth, shape ``(N, 3)``, for each true particle; the table is the refined one."""
        table = self.refined if table is None else table
        return positions_of(table)[self.nearest(table)] - positions_of(self.simulation.particles)

    def pulls(self) -> np.ndarray:
        """Return the errors of the refined positions over their standard errors, shape ``(N, 3)``."""
        return self.errors() / self.refined[["z_err", "y_err", "x_err"]].to_numpy()[self.nearest(self.refined)]

    def nearest(self, table: pd.DataFrame) -> np.ndarray:
        """Return the row of the particle nearest to each true one."""
        return cKDTree(positions_of(table)).query(positions_of(self.simulation.particles))[1]

    def gain(self) -> np.ndarray:
        """Return how many times more exact the refinement is, per axis."""
        before, after = (np.sqrt(np.mean(self.errors(t) ** 2, axis=0)) for t in (self.start, self.refined))
        return before / after


def guessed(simulation: Simulation, seed: int = 0) -> pd.DataFrame:
    """Return the truth with errors, as the detections of a network."""
    rng = np.random.default_rng(seed)
    start = simulation.particles[["z", "y", "x", "radius"]].copy()
    start[["z", "y", "x"]] += rng.normal(0, GUESSED[0], (len(start), 3))
    start["radius"] *= rng.normal(1, GUESSED[1], len(start))
    return start


def scene_of(**parameters: Any) -> Scene:
    """Simulate and refine."""
    settings = {"shape": (40, 40, 40), "radius": 5, "psf_sigma": (2.0, 1.2, 1.2), "snr": 6, "cnr": 6, "seed": 2}
    simulation = simulate(**{**settings, **parameters})
    start = guessed(simulation)
    steps: list[tuple[int, int]] = []
    refined = refine(simulation.stack, start, progress=lambda done, total: steps.append((done, total)))
    return Scene(simulation, start, refined, steps)


@pytest.fixture(scope="session")
def make_scene():
    """Simulate with some parameters changed, and refine."""
    return scene_of


@pytest.fixture(scope="session")
def dense() -> Scene:
    """Half full of equal spheres."""
    return scene_of(shape=(42, 42, 42), seed=1)


@pytest.fixture(scope="session")
def dilute() -> Simulation:
    """Spheres with room between them; not refined."""
    return simulate(shape=(40, 40, 40), volume_fraction=0.2, radius=5, psf_sigma=(2.0, 1.2, 1.2), snr=6, cnr=6, seed=3)


@pytest.fixture(scope="session")
def guess():
    """Turn the truth of a simulation into detections."""
    return guessed


@pytest.fixture(scope="session")
def templates_in():
    """Draw one sphere in a box: its template and derivatives, shape ``(5, Z, Y, X)``."""

    def drawn(profile, place, radius, shape, *, low=(0, 0, 0), reach=4.0):
        sphere = Spheres(np.array([place], float), np.array([radius]), np.ones(1))
        templates = templates_of(sphere, profile, np.array(low), shape, reach, derivatives=True)
        images = np.zeros((templates.n_images, *shape), np.float32)
        (first,), (last,) = templates.start, templates.stop
        places = [(z, y) for z in range(first[0], last[0]) for y in range(first[1], last[1])]
        values = templates.values.reshape(templates.n_images, -1)
        for (z, y), begin, end, at in zip(places, templates.begin, templates.end, templates.row_offset, strict=True):
            images[:, z, y, begin:end] = values[:, at : at + end - begin]
        return images

    return drawn
