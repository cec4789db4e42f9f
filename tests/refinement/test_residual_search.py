"""Undetected particles in a residual."""

from __future__ import annotations

import numpy as np
import pytest

from napari_colloids.refinement.profile import Profile
from napari_colloids.refinement.residual_search import find_undetected
from napari_colloids.refinement.spheres import Spheres, draw

PROFILE = Profile((4.5, 5.5), (2.0, 1.2))
PLACES = np.array([[15.0, 14.0, 16.0], [15.0, 26.0, 16.0], [28.0, 20.0, -2.0]])


def left_over(brightness, places=PLACES):
    """Return the residual that some spheres leave in noise of standard deviation 1, and its weight."""
    spheres = Spheres(places, np.full(len(places), 5.0), np.full(len(places), brightness))
    light = draw(spheres, PROFILE, np.zeros(3, int), (34, 36, 34))
    noise = np.random.default_rng(0).standard_normal(light.shape)
    return (light + noise).astype(np.float32), np.ones_like(light)


def found(residual, weight, known=(), radius=5.0, brightness=5.0, beyond=6.0):
    count = len(known)
    spheres = Spheres(np.reshape(known, (-1, 3)).astype(float), np.full(count, radius), np.full(count, brightness))
    return find_undetected(residual, weight, PROFILE, 5.0, brightness, spheres, beyond)


def test_spheres_are_found_in_the_residual_also_just_outside():
    places = found(*left_over(5.0))
    assert len(places) == 3
    for truth in PLACES:
        assert np.linalg.norm(places - truth, axis=1).min() < 1.8


def test_nothing_is_found_in_noise_or_where_nothing_is_known():
    residual, weight = left_over(0.0)
    assert found(residual, weight).shape == (0, 3)
    residual, weight = left_over(5.0)
    weight[:, :20] = 0
    residual[weight == 0] = 0
    near_first = np.linalg.norm(found(residual, weight) - PLACES[0], axis=1)
    assert near_first.min(initial=9) > 3


@pytest.mark.parametrize("brightness", [1.5, 15.0])
def test_what_is_much_fainter_or_brighter_than_a_particle_is_none(brightness):
    places = found(*left_over(brightness, PLACES[:1]))
    assert np.linalg.norm(places - PLACES[0], axis=1).min(initial=9) > 3


def test_new_spheres_keep_their_distance():
    residual, weight = left_over(5.0)
    places = found(residual, weight, known=[PLACES[0] + [0, 0, 3]])
    assert len(places) == 2
    assert np.linalg.norm(places - PLACES[0], axis=1).min() > 8


def test_new_spheres_keep_out_of_large_ones():
    residual, weight = left_over(5.0)
    beside = PLACES[0] + [0, 0, 12]
    assert len(found(residual, weight, known=[beside])) == 3
    assert len(found(residual, weight, known=[beside], radius=15.0)) == 2
