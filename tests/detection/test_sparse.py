"""Particles that are few and far between, of an unknown diameter."""

from __future__ import annotations

import numpy as np
import pytest

from napari_colloids.detection import Options, Part, detect, iter_detect
from napari_colloids.detection.plan import iter_plan
from napari_colloids.progress import result_of
from napari_colloids.scoring import match
from napari_colloids.simulation import simulate
from napari_colloids.stack import as_stack

SHAPE = (48, 64, 64)


def balls(centres, radius, rng, proportions=(1.0, 1.0, 1.0)):
    """Spheres with sharp contours in few photons, as trackpy.artificial draws them."""
    grid = np.moveaxis(np.indices(SHAPE), 0, -1)
    inside = np.any([np.linalg.norm((grid - one) * proportions, axis=-1) < radius for one in centres], axis=0)
    return (140 * inside + rng.poisson(10, SHAPE)).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("centres", "radius", "voxel_size"),
    [
        ([[20, 18, 40], [30, 48, 14]], 4.4, None),
        ([[24, 30, 34]], 6.6, None),
        ([[14, 18, 40], [34, 48, 14], [20, 44, 50]], 5.0, (2.0, 1.0, 1.0)),
    ],
)
def test_the_diameter_of_a_few_is_that_of_these_and_not_of_the_noise(centres, radius, voxel_size):
    image = balls(centres, radius, np.random.default_rng(1), voxel_size or (1.0, 1.0, 1.0))
    found = detect(image, voxel_size=voxel_size)
    assert found.attrs["diameter"] == pytest.approx(2 * radius, rel=0.15)
    assert not found.attrs["diameter_certain"]
    assert len(match(centres, found[["z", "y", "x"]].to_numpy(), radius).truth_index) == len(found) == len(centres)


def test_a_doubtful_candidate_among_few_that_stand_out_is_left_out_and_that_is_said():
    rng = np.random.default_rng(11)
    centres = [[12, 14, 14], [12, 48, 46], [36, 16, 48], [36, 46, 16]]
    image = balls(centres, 3.1, rng)
    insisting = detect(image, diameter=6.2, threshold=0.3)
    assert len(insisting) > 4
    found = detect(image, diameter=6.2)
    assert len(match(centres, found[["z", "y", "x"]].to_numpy(), 3.1).truth_index) == len(found) == 4


def test_crowded_particles_are_not_taken_for_few():
    dense = simulate(shape=(32, 48, 48), volume_fraction=0.3, radius=4, snr=3, cnr=2, seed=3)
    plan = result_of(iter_plan(as_stack(dense.stack.data), Part(), Options()))
    assert plan.diameter == pytest.approx(8, rel=0.2)


def test_the_checks_of_a_given_diameter_have_steps():
    dense = simulate(shape=(32, 48, 48), volume_fraction=0.3, radius=4, seed=3)
    steps = iter_detect(dense.stack, Options(diameter=8))
    assert next(steps).message == "checking the stack"
    steps.close()
