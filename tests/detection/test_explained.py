"""How much of an image spheres explain."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from napari_colloids.detection.candidates import Candidates
from napari_colloids.detection.explained import explained_fraction
from napari_colloids.simulation.optics import draw_spheres

SHAPE = (36, 40, 44)


def spheres(number=5, seed=0):
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid((9, 26), (10, 29), (10, 32), indexing="ij"), -1).reshape(-1, 3)
    positions = rng.permutation(grid)[:number] + rng.uniform(-2, 2, (number, 3))
    return Candidates(positions, np.full(number, 5.0), np.ones(number))


def image_of(found, sigma=(3.0, 1.2, 1.2)):
    drawn = draw_spheres(SHAPE, found.positions, found.radii, np.ones(len(found)))
    return gaussian_filter(drawn, sigma)


@pytest.mark.parametrize("sigma", [(1.0, 0.6, 0.6), (3.0, 1.2, 1.2), (8.0, 3.0, 3.0)])
def test_spheres_explain_nearly_all_of_their_own_image_however_blurred(sigma):
    assert explained_fraction(image_of(spheres(), sigma), spheres()) > 0.9


@given(
    gain=st.floats(0.01, 1000),
    offset=st.floats(-1000, 1000),
    slopes=st.tuples(*[st.floats(-10, 10)] * 3),
)
def test_gain_and_background_change_nothing(gain, offset, slopes):
    image = image_of(spheres())
    ramp = sum(slope * ticks for slope, ticks in zip(slopes, np.ogrid[:36, :40, :44], strict=True)) / 40
    changed = (gain * (image + offset / 1000 + ramp)).astype(np.float32)
    assert explained_fraction(changed, spheres()) == pytest.approx(explained_fraction(image, spheres()), abs=0.02)


def test_noise_in_the_image_is_not_explained():
    image = image_of(spheres())
    noise = np.random.default_rng(0).normal(0, image.std(), SHAPE).astype(np.float32)
    noisy = explained_fraction(image + noise, spheres())
    assert 0.5 < noisy < explained_fraction(image, spheres()) - 0.05
    assert explained_fraction(noise, spheres()) < 0.01


def test_spheres_that_are_elsewhere_explain_less_and_dark_ones_nothing():
    image = image_of(spheres())
    moved = Candidates(spheres().positions + np.array([0, 5, 5]), spheres().radii, spheres().confidence)
    assert explained_fraction(image, moved) < 0.5 * explained_fraction(image, spheres())
    assert explained_fraction(-image, spheres()) == 0
    assert explained_fraction(image, spheres(3)) < explained_fraction(image, spheres(4))


@pytest.mark.parametrize("shape", [(1, 20, 20), (3, 1, 7), (2, 2, 2)])
def test_nobody_explains_nothing_in_an_image_of_any_shape(shape):
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    assert explained_fraction(image, Candidates.joined([])) == 0
