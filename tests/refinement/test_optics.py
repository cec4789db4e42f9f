"""The detector: its response to light, and the estimation of its noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_colloids.refinement.optics import Detector

LIMITS = {"none": (-np.inf, np.inf), "black": (0.0, np.inf), "both": (0.0, 255.0)}
limits = pytest.mark.parametrize("limits", list(LIMITS.values()), ids=list(LIMITS))


def exposed(detector, light, rng):
    """Return grey levels as a microscope writes them, averaged as the detector says."""
    light = np.broadcast_to(light[..., None], (*light.shape, detector.averaged))
    photons = np.maximum(light, 0)
    noisy = detector.gain * rng.poisson(photons / detector.gain) if detector.gain else photons
    grey = noisy + np.minimum(light, 0)
    grey = grey + detector.floor * rng.standard_normal(light.shape)
    return np.clip(grey, *detector.limits).mean(axis=-1).astype(np.float32)


@limits
@pytest.mark.parametrize("averaged", [1, 8])
@pytest.mark.parametrize(("gain", "floor"), [(0.0, 20.0), (1.0, 25.0)])
@pytest.mark.parametrize("level", [-5.0, 12.0, 120.0, 250.0])
def test_mean_and_deviation_are_those_of_exposures(gain, floor, limits, averaged, level):
    detector = Detector(gain, floor, limits, averaged)
    light = np.full(40_000, level, np.float32)
    grey = exposed(detector, light, np.random.default_rng(0))
    seen = detector.response(light[:1])
    assert seen.deviation[0] == pytest.approx(grey.std(), rel=0.03)
    # Few photons are no normal distribution, which the clipped mean shows a little.
    assert seen.expected[0] == pytest.approx(grey.mean(), abs=float(0.02 * grey.std() + 0.01 * gain * floor))


@settings(max_examples=50, deadline=None)
@given(level=st.floats(1, 300), floor=st.floats(2, 50), which=st.sampled_from(sorted(LIMITS)))
def test_the_slope_is_the_change_of_the_mean(level, floor, which):
    detector = Detector(0.0, floor, LIMITS[which])
    step = 0.05 * floor
    low, middle, high = (detector.response(np.array([level + d])) for d in (-step, 0, step))
    change = (high.expected - low.expected) / (2 * step)
    assert middle.slope[0] == pytest.approx(change[0], abs=2e-3)


def test_where_nothing_is_cut_off_limits_change_nothing():
    light = np.linspace(100, 150, 20).astype(np.float32)
    free, cut = Detector(1.0, 5.0).response(light), Detector(1.0, 5.0, (0.0, 255.0)).response(light)
    for one, other in zip(free, cut, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4)


@pytest.mark.parametrize("level", [-1e6, 1e6])
def test_light_far_beyond_the_limits_stays_finite(level):
    seen = Detector(1.0, 5.0, (0.0, 255.0)).response(np.array([level], np.float32))
    assert all(np.isfinite(part).all() for part in seen)
    assert seen.deviation[0] > 0
    assert seen.slope[0] == pytest.approx(0, abs=1e-6)


def scene(rng):
    """Return light as in a dense stack: dark between, bright in the particles, and all in between at the edges."""
    return rng.choice([20.0, 160.0], 60_000) + rng.uniform(0, 40, 60_000) * rng.integers(0, 2, 60_000)


@limits
@pytest.mark.parametrize("averaged", [1, 8])
@pytest.mark.parametrize(("gain", "floor"), [(0.2, 25.0), (3.0, 12.0), (5.0, 2.0)])
def test_the_noise_is_measured(limits, averaged, gain, floor):
    rng = np.random.default_rng(1)
    light = scene(rng).astype(np.float32)
    truth = Detector(gain, floor, limits, averaged)
    image = exposed(truth, light, rng)
    guess = Detector.first_guess(image, limits, averaged)
    found = guess.fitted(image, light)
    assert (found.limits, found.averaged) == (limits, averaged)
    for level in (20.0, 100.0, 180.0):
        variance, expected = (d.gain * level + d.floor**2 for d in (found, truth))
        assert variance == pytest.approx(expected, rel=0.12)
    if gain * 100 > 0.3 * floor**2:
        assert found.gain == pytest.approx(gain, rel=0.15)
    if floor**2 > 0.5 * gain * 100:
        assert found.floor == pytest.approx(floor, rel=0.1)


def test_hot_voxels_are_no_noise():
    rng = np.random.default_rng(2)
    light = scene(rng).astype(np.float32)
    image = exposed(Detector(0.5, 12.0), light, rng)
    clean = Detector.first_guess(image, LIMITS["none"]).fitted(image, light)
    image[rng.choice(len(image), 60, replace=False)] = 60_000
    hot = Detector.first_guess(image, LIMITS["none"]).fitted(image, light)
    assert hot.gain * 100 + hot.floor**2 == pytest.approx(clean.gain * 100 + clean.floor**2, rel=0.2)


def test_an_image_without_noise_leaves_a_detector_that_sees():
    light = scene(np.random.default_rng(3)).astype(np.float32)
    found = Detector.first_guess(light, LIMITS["none"]).fitted(light + np.float32(1e-3), light)
    assert found.floor > 0
    assert np.isfinite(found.response(light).deviation).all()


def test_light_far_beyond_a_limit_is_seen_as_that_limit():
    seen = Detector(0.0, 1.0, (0.0, 255.0)).response(np.array([290.0, 400.0, -60.0]))
    np.testing.assert_allclose(seen.expected, [255, 255, 0], atol=1e-6)
