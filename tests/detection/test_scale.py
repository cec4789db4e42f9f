"""The canonical scale."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_colloids.detection.inference import prepare
from napari_colloids.detection.normalise import GreyLevels
from napari_colloids.detection.scale import CANONICAL_DIAMETER, STRIDE, Scale

diameters = st.floats(3, 80)
aspects = st.floats(0.5, 5)


@given(diameters, aspects, st.tuples(*[st.floats(-5, 200)] * 3))
def test_positions_survive_the_way_there_and_back(diameter, aspect, position):
    scale = Scale.for_diameter(diameter, (60, 70, 80), (aspect, 1.0, 1.0))
    there = scale.to_canonical(np.array([position]))
    np.testing.assert_allclose(scale.to_source(there), [position], atol=1e-9)


def test_a_particle_is_as_wide_as_the_scale_says_on_every_axis():
    scale = Scale.for_diameter(25, (60, 75, 80), (2.5, 1.0, 1.0))
    ends = scale.to_canonical(np.array([[10.0, 10, 10], [20, 35, 35]]))
    np.testing.assert_allclose(ends[1] - ends[0], CANONICAL_DIAMETER)
    assert scale.lateral_step == pytest.approx(2.5)


@given(diameters, aspects, st.tuples(*[st.integers(1, 200)] * 3))
def test_a_stack_is_a_whole_number_of_cells_from_face_to_face(diameter, aspect, shape):
    scale = Scale.for_diameter(diameter, shape, (aspect, 1.0, 1.0))
    assert all(n >= STRIDE and n % STRIDE == 0 for n in scale.canonical_shape)
    first, last = scale.to_source(np.array([[-0.5] * 3, np.subtract(scale.canonical_shape, 0.5)]))
    np.testing.assert_allclose(first, -0.5)
    np.testing.assert_allclose(last, np.subtract(shape, 0.5))
    # Cells are added or taken away, and the particles get wider or narrower, by no more than it takes.
    wide = np.array(shape) * np.array([aspect, 1, 1]) / diameter * CANONICAL_DIAMETER
    assert all(abs(scale.canonical_shape - wide) <= np.maximum(STRIDE - wide, STRIDE / 2) + 1e-9)


@given(diameters, st.integers(0, 2), st.integers(0, 40), st.integers(1, 60))
def test_rows_do_not_depend_on_where_a_tile_begins(diameter, axis, start, length):
    scale = Scale.for_diameter(diameter, (90, 100, 110), (1.3, 1.0, 1.0))
    n = scale.shape[axis]
    whole = scale.weights(axis, 0, 200, slice(0, n))
    source = scale.source_slices((start,) * 3, (start + length,) * 3)[axis]
    part = scale.weights(axis, start, start + length, source)
    expected = whole[start : start + length]
    np.testing.assert_allclose(part, expected[:, source], atol=1e-6)
    np.testing.assert_allclose(part.sum(axis=1), expected.sum(axis=1), atol=1e-5)


@given(st.floats(0.3, 4), st.floats(25, 35))
def test_resampling_moves_nothing(step, centre):
    scale = Scale((step, step, step), (60, 60, 60))
    grid = np.arange(60)
    profile = np.exp(-0.5 * ((grid - centre) / max(3, 1.5 * step)) ** 2)
    row = scale.weights(0, 0, scale.canonical_shape[0], slice(0, 60)) @ profile
    found = (row * np.arange(len(row))).sum() / row.sum()
    assert scale.to_source(np.array([[found] * 3]))[0, 0] == pytest.approx(centre, abs=0.025 * max(step, 1))


@pytest.mark.parametrize("diameter", [5.0, 12.0, 40.0])
def test_tiles_are_cut_out_of_the_same_canonical_volume(diameter):
    volume = np.random.default_rng(0).integers(0, 255, (40, 50, 60)).astype(np.uint8)
    scale = Scale.for_diameter(diameter, volume.shape, (1.2, 1.0, 1.0))
    levels = GreyLevels.of(volume)
    whole = prepare(volume, (0, 0, 0), scale.canonical_shape, scale, levels)
    low = (3, 0, 5)
    high = tuple(n - 1 for n in scale.canonical_shape)
    part = prepare(volume, low, high, scale, levels)
    np.testing.assert_allclose(part, whole[tuple(slice(a, b) for a, b in zip(low, high, strict=True))], atol=1e-5)
