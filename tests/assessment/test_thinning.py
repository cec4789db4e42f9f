"""Two halves of the light: of independent noise, with a bound of the recall, and an error of noise alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_colloids.assessment import Thinning, chapman
from napari_colloids.assessment.thinning import iter_thinning, thinned
from napari_colloids.progress import result_of

DIAMETER = 8.0


def test_halves_are_independent_and_their_mean_is_the_image():
    rng = np.random.default_rng(0)
    light = np.tile(np.linspace(20, 200, 40, dtype=np.float32), (40, 40, 1))
    gain, floor = 4.0, 6.0
    noise = np.sqrt(floor**2 + gain * light)
    image = (rng.poisson(light / gain) * gain + rng.normal(0, floor, light.shape)).astype(np.float32)
    one, other = thinned(image, noise, rng)
    assert np.allclose((one + other) / 2, image, atol=1e-3)
    first, second = (one - light) / noise, (other - light) / noise
    for part in (np.s_[..., :10], np.s_[..., 30:]):  # in the dark as in the light
        assert np.corrcoef(first[part].ravel(), second[part].ravel())[0, 1] == pytest.approx(0, abs=0.03)
    assert first.var() == pytest.approx(2, rel=0.04)


def test_halves_of_a_digitised_sample_are_independent(dim):
    model, rng = dim.model, np.random.default_rng(0)
    noise = model.noise(model.light)
    one, other = ((half - model.light) / noise for half in thinned(model.uncut(rng), noise, rng))
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] == pytest.approx(0, abs=0.05)


@pytest.fixture(scope="module")
def thinning(dim):
    return result_of(iter_thinning(dim.sample, dim.model, dim.likely, dim.options, DIAMETER))


def test_recall_is_at_most_the_bound(dim, thinning):
    assert 0.5 < dim.truth.recall < 0.97  # or there would be nothing to be bounded
    assert dim.truth.recall < thinning.recall_bound.high <= 1
    assert thinning.recall_bound.low <= thinning.recall_bound.value <= thinning.recall_bound.high
    there = dim.truth.true_positives + dim.truth.false_negatives
    assert thinning.halves.number.low < there
    assert "at most" in repr(thinning)


def test_noise_alone_makes_no_larger_error_than_there_is(dim, thinning):
    for axis in "zyx":
        assert 0.3 < thinning.rmse[axis] / dim.truth.rmse[axis] < 1.25


def test_where_half_of_the_light_shows_nothing_there_is_no_bound(dim):
    noisy = replace(dim.model.model, detector=replace(dim.model.model.detector, floor=400.0))
    model = replace(dim.model, model=noisy)
    assert "nothing is found" in result_of(iter_thinning(dim.sample, model, dim.likely, dim.options, DIAMETER))
    few = dim.likely.iloc[:5]
    assert "too few particles" in result_of(iter_thinning(dim.sample, dim.model, few, dim.options, DIAMETER))


def test_bound_is_the_share_of_the_particles_that_are_there_at_least():
    thinning = Thinning(90, chapman(80, 80, 64), dict.fromkeys("zyx", 0.2))
    assert thinning.recall_bound.value == pytest.approx(0.9, abs=0.01)
    assert replace(thinning, found=200).recall_bound.high == 1
