"""Spots below the resolution: centres are refined, and nobody claims to know their radius."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from napari_colloids.particles import ERRORS, POSITION, positions_of
from napari_colloids.refinement import refine


def spots(seed, widths, count=16, shape=(32, 44, 44)):
    """Return an image of Gaussian spots with shot noise, and their centres."""
    rng = np.random.default_rng(seed)
    places = np.empty((0, 3))
    while len(places) < count:
        place = rng.uniform(5, np.array(shape) - 6)
        if (np.linalg.norm(places - place, axis=1) > 10).all():
            places = np.vstack([places, place])
    away = (np.indices(shape)[None] - places[:, :, None, None, None]) / np.reshape(widths, (1, 3, 1, 1, 1))
    light = 20 + 150 * np.exp(-(away**2).sum(axis=1) / 2).sum(axis=0)
    return np.clip(rng.poisson(light), 0, 255).astype(np.uint8), places


@pytest.mark.parametrize(("widths", "diameter"), [((2.5, 1.5, 1.5), 7), ((1.6, 1.2, 1.2), 6)])
def test_centres_of_spots_are_refined_and_radii_are_not_known(widths, diameter):
    image, places = spots(3, widths)
    start = pd.DataFrame(places + np.random.default_rng(4).normal(0, 0.2, places.shape), columns=POSITION)
    refined = refine(image, start, diameter=diameter).iloc[: len(places)]
    assert (refined["refined"] == 1).all()
    errors = positions_of(refined) - places
    assert np.sqrt(np.mean(errors**2)) < 0.05
    assert np.mean(np.abs(errors) < 2 * refined[ERRORS[:3]].to_numpy()) > 0.85
    assert refined["radius_err"].isna().all()
    (notice,) = refined.attrs["notices"]
    assert "points to this microscope" in notice


def test_spheres_with_a_wrong_diameter_are_no_points(dilute, guess):
    start = guess(dilute).assign(radius=5 * 1.6)
    refined = refine(dilute.stack, start)
    assert not refined["refined"].any()
    assert "check the diameter" in refined.attrs["notices"][0]
