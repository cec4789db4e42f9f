"""Spheres drawn into what a model leaves: moved without overlaps, and found again as often as the real ones."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from napari_colloids.assessment.injection import iter_injection, moved
from napari_colloids.progress import Progress, result_of
from napari_colloids.refinement.spheres import Spheres
from napari_colloids.simulation.arrangement import Composition, arrange

DIAMETER = 8.0


def test_moved_spheres_do_not_overlap_and_are_elsewhere():
    shape, aspect = (30, 60, 60), 2.0
    scale = [aspect, 1, 1]
    packed = arrange("random", (60.0, 60.0, 60.0), Composition(0.5, 4.0, 0.08), np.random.default_rng(0))
    spheres = Spheres(packed.positions / scale - 0.5, packed.radii, np.ones(len(packed.radii)))
    outside = Spheres(np.array([[-3.0, 10, 10]]), np.array([4.0]), np.ones(1))
    spheres = Spheres(
        *(np.concatenate(pair) for pair in zip(vars(spheres).values(), vars(outside).values(), strict=True))
    )

    def deepest(positions):
        places = positions * scale
        pairs = cKDTree(places).query_pairs(11.0, output_type="ndarray")
        apart = np.linalg.norm(np.diff(places[pairs], axis=1)[:, 0], axis=1)
        return (spheres.radii[pairs].sum(axis=1) - apart).max()

    new = moved(spheres, (1,), shape, aspect, np.random.default_rng(1))
    # Those at opposite faces touch in the periodic packing only.
    assert deepest(new.positions) <= max(deepest(spheres.positions), 0) + 1e-6
    assert (new.radii == spheres.radii).all()
    inside = np.all((new.positions >= -0.5) & (new.positions < np.array(shape) - 0.5), axis=1)
    assert inside[:-1].all()
    assert new.positions[-1] == pytest.approx([-3, 49, 10])  # mirrored, and held
    mirrored = spheres.positions * [1, -1, 1] + [0, 59, 0]
    apart = np.linalg.norm((new.positions - mirrored) * scale, axis=1)[:-1]
    assert np.median(apart) > 0.1 * DIAMETER
    from_old = np.linalg.norm((new.positions - spheres.positions) * scale, axis=1)[:-1]
    assert np.mean(from_old > 0.3 * DIAMETER) > 0.9


@pytest.fixture(scope="module")
def injection(dim):
    return result_of(iter_injection(dim.sample, dim.model, dim.options, DIAMETER))


def test_recall_and_errors_are_near_the_true_ones(dim, injection):
    assert 0.5 < dim.truth.recall < 0.97  # or there would be nothing to recover
    assert injection.recall.value == pytest.approx(dim.truth.recall, abs=0.12)
    assert injection.recall.low < injection.recall.value < injection.recall.high
    for axis in "zyx":
        assert injection.rmse[axis] == pytest.approx(dim.truth.rmse[axis], rel=0.4)
    assert "like those found" in repr(injection)


def test_steps_can_be_cancelled(dim):
    steps = iter_injection(dim.sample, dim.model, dim.options, DIAMETER)
    assert isinstance(next(steps), Progress)
    steps.close()
    with pytest.raises(StopIteration):
        next(steps)
