"""Illumination, and brightness that only happens to vary with position."""

from __future__ import annotations

import numpy as np
import pytest

from napari_colloids.refinement.grid import Box
from napari_colloids.refinement.illumination import with_fitted_illumination
from napari_colloids.refinement.model import Model
from napari_colloids.refinement.optics import Detector, Optics
from napari_colloids.refinement.polynomials import N_TERMS
from napari_colloids.refinement.spheres import Spheres


def illumination_of(spread, slope, count=100):
    """Return the logarithm of the illumination at some particles: the true and the fitted one."""
    rng = np.random.default_rng(2)
    places = rng.uniform(0, 63, (count, 3))
    true = slope * (places[:, 0] / 31.5 - 1)
    spheres = Spheres(places, np.full(count, 6.0), np.exp(rng.normal(0, spread, count) + true))
    nothing = np.zeros((64, 64, 64), np.float32)
    box = Box(nothing, nothing, np.zeros(3, int), 1.0)
    model = Model(spheres, Optics((3.0, 1.3)), Detector(), np.zeros(N_TERMS), np.zeros(N_TERMS - 1))
    for _ in range(5):  # it stays where it is
        model = with_fitted_illumination(model, box)
    fitted = model.illumination @ box.basis.at(places)[1:]
    np.testing.assert_allclose(model.spheres.brightness * np.exp(fitted), spheres.brightness)
    return true, fitted


@pytest.mark.parametrize("spread", [0.3, 0.5])
def test_particles_of_unequal_brightness_make_no_illumination(spread):
    assert np.std(illumination_of(spread, 0.0)[1]) < 0.1 * spread


@pytest.mark.parametrize("spread", [0.05, 0.3])
def test_an_illumination_is_told_apart_from_unequal_brightness(spread):
    true, fitted = illumination_of(spread, 0.5)
    assert np.std(fitted - true) < max(0.15 * np.std(true), 0.3 * spread)


def test_as_few_particles_as_there_are_terms_give_none():
    assert not illumination_of(0.3, 0.5, count=N_TERMS)[1].any()
