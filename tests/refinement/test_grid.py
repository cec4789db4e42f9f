"""The voxel grid: binning, positions, and boxes that are read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_colloids.refinement.grid import Grid


@pytest.mark.parametrize(
    ("diameter", "aspect", "bins", "shape"),
    [
        (9.9, 1.0, (1, 1, 1), (41, 43, 47)),
        (20.0, 1.0, (2, 2, 2), (20, 21, 23)),
        (30.0, 3.0, (1, 3, 3), (41, 14, 15)),
        (30.0, 1.0, (3, 3, 3), (13, 14, 15)),
        (4000.0, 1.0, (41, 43, 43), (1, 1, 1)),
    ],
)
def test_large_particles_are_binned(diameter, aspect, bins, shape):
    grid = Grid.of((41, 43, 47), diameter, aspect)
    assert (grid.bins, grid.shape) == (bins, shape)
    assert grid.averaged == np.prod(bins)
    assert grid.aspect == pytest.approx(aspect * bins[0] / bins[2])


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(*[st.floats(-50, 50)] * 3), min_size=1, max_size=5))
def test_positions_go_to_the_grid_and_back(places):
    grid = Grid((3, 2, 2), (5, 9, 9), 1.5)
    positions = np.array(places)
    np.testing.assert_allclose(grid.to_source(grid.to_grid(positions)), positions, atol=1e-9)


def test_a_voxel_of_the_grid_is_the_mean_of_its_own():
    image = np.random.default_rng(0).normal(size=(9, 8, 8))
    image[4, 2, 5] = np.nan
    grid = Grid((3, 2, 2), (3, 4, 4), 1.5)
    low, high = np.array([1, 0, 1]), np.array([3, 3, 4])
    box = grid.read(image, low, high)
    assert box.shape == (2, 3, 3)
    expected = image[3:9, 0:6, 2:8].reshape(2, 3, 3, 2, 3, 2).mean(axis=(1, 3, 5))
    known = np.isfinite(expected)
    np.testing.assert_array_equal(box.known, known)
    assert (~known).sum() == 1
    np.testing.assert_allclose(box.image[known], expected[known], rtol=1e-5)
    assert np.isfinite(box.image).all()
    # The light of a voxel of the grid lies in the middle of those of the stack.
    z, y, x = np.indices((9, 8, 8))
    for axis, ramp in enumerate((z, y, x)):
        centres = grid.to_source(np.indices((3, 4, 4)).reshape(3, -1).T)[:, axis]
        np.testing.assert_allclose(grid.read(ramp, np.zeros(3, int), np.array([3, 4, 4])).image.ravel(), centres)


def test_saturated_grey_levels_are_found():
    levels = np.random.default_rng(0).normal(100, 80, (20, 20, 20))
    grid = Grid((1, 1, 1), (20, 20, 20), 1.0)
    box = np.zeros(3, int), np.full(3, 20)
    assert grid.limits(levels, *box) == (-np.inf, np.inf)
    assert grid.limits(np.clip(levels, 0, None), *box) == (0.0, np.inf)
    assert grid.limits(np.clip(levels, 0, 255), *box) == (0.0, 255.0)
