"""Refinement of mixtures of large and small particles."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from napari_colloids.particles import positions_of
from napari_colloids.refinement import refine
from napari_colloids.simulation.arrangement import Composition, arrange
from napari_colloids.simulation.parameters import Parameters
from napari_colloids.simulation.scene import image_arrangement


def test_few_large_particles_among_small_ones_are_refined():
    rng = np.random.default_rng(3)
    composition = Composition(0.4, 3.8, size_ratio=2.5, large_fraction=0.15)
    parameters = Parameters(shape=(44, 44, 44), radius=3.8, psf_sigma=(1.6, 0.9, 0.9), snr=8, cnr=8, brightness=100)
    simulation = image_arrangement(arrange("random", (44.0, 44.0, 44.0), composition, rng), parameters, rng)
    truth = simulation.particles
    start = truth.assign(**{axis: truth[axis] + rng.normal(0, 0.3, len(truth)) for axis in "zyx"})
    # Fitted radii have another mean than the median of all, which is that of the small ones.
    refined = refine(simulation.stack, start, diameter=7.6)
    assert refined["refined"].mean() > 0.9
    distance, nearest = cKDTree(positions_of(refined)).query(positions_of(truth))
    assert (distance < 1).mean() > 0.95
    done = refined["refined"].to_numpy()[nearest] == 1  # the others say that they are as they were found
    inner = done & (distance < 1) & np.all((positions_of(truth) > 4) & (positions_of(truth) < 39), axis=1)
    assert np.sqrt((distance[inner] ** 2).mean()) < 0.25
    sizes = refined["radius"].to_numpy()[nearest] - truth["radius"]
    assert abs(sizes[inner & (truth["radius"] > 6)].mean()) < 0.15
