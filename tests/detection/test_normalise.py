"""Grey levels by percentiles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_colloids import ColloidsError
from napari_colloids.detection.normalise import GreyLevels


@pytest.fixture
def volume():
    return np.random.default_rng(0).normal(100, 10, (30, 30, 30)).astype(np.float32)


def test_one_hot_voxel_changes_nothing(volume):
    calm = GreyLevels.of(volume).apply(volume)
    volume[3, 3, 3] = 1e9
    hot = GreyLevels.of(volume).apply(volume)
    np.testing.assert_allclose(np.delete(calm.ravel(), 2793), np.delete(hot.ravel(), 2793), atol=0.01)
    assert hot.max() < 25


def test_the_scale_and_offset_of_the_camera_do_not_matter(volume):
    np.testing.assert_allclose(
        GreyLevels.of(volume).apply(volume), GreyLevels.of(volume * 37 + 5).apply(volume * 37 + 5), atol=1e-3
    )


def test_what_is_not_finite_is_ignored(volume):
    clean = GreyLevels.of(volume)
    volume[0, :5] = np.nan
    volume[1, :5] = np.inf
    dirty = GreyLevels.of(volume)
    assert dirty.low == pytest.approx(clean.low, abs=0.5)
    assert dirty.high == pytest.approx(clean.high, abs=0.5)
    assert np.isfinite(dirty.apply(volume)).all()


def test_a_few_particles_in_the_dark_are_seen():
    volume = np.zeros((60, 60, 60), np.uint8)
    volume[20:24, 20:24, 20:24] = 200
    assert GreyLevels.of(volume).apply(volume)[22, 22, 22] == pytest.approx(1)


@given(st.integers(1, 300), st.sampled_from([np.uint8, np.uint16, ">u2"]), st.integers(0, 2**32 - 1))
def test_counted_grey_levels_have_the_percentiles_of_sorted_ones(count, kind, seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, rng.integers(2, 256), (1, 1, count)).astype(kind)
    if np.ptp(values):
        counted, ordered = GreyLevels.of(values), GreyLevels.of(values.astype(float))
        assert (counted.low, counted.high) == pytest.approx((ordered.low, ordered.high), abs=1e-4)


@pytest.mark.parametrize("value", [0, 7, np.nan])
def test_nothing_to_see(value):
    with pytest.raises(ColloidsError):
        GreyLevels.of(np.full((10, 10, 10), value, np.float32))


def test_values_beyond_32_bits_are_told(volume):
    with pytest.raises(ColloidsError, match="too large"):
        GreyLevels.of(volume.astype(np.float64) * 1e300 + 1e300)
