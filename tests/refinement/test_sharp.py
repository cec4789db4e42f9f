"""Images as sharp as the voxels, black between the particles or without noise, not made by the package."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.spatial import cKDTree

from napari_colloids.particles import ERRORS, POSITION, positions_of
from napari_colloids.refinement import refine

SHAPE = (30, 34, 34)
#: Samples along each edge of a voxel.
SAMPLES = 6
BRIGHTNESS = 150.0


def packed(rng, radius=5.0, spread=0.06, gap=0.5):
    """Return centres ``(N, 3)`` and radii ``(N,)`` of spheres that do not overlap, all of them in the stack."""
    places, radii = np.empty((0, 3)), np.empty(0)
    for _ in range(4000):
        size = radius * np.clip(rng.normal(1, spread), 0.8, 1.2)
        place = rng.uniform(size, np.array(SHAPE) - 1 - size)
        if not len(radii) or (np.linalg.norm(places - place, axis=1) > radii + size + gap).all():
            places, radii = np.vstack([places, place]), np.append(radii, size)
    return places, radii


def light_of(places, radii):
    """Return the fraction of each voxel that lies in a sphere."""
    light = np.zeros(SHAPE)
    fine = (np.arange(SAMPLES) + 0.5) / SAMPLES - 0.5
    for place, radius in zip(places, radii, strict=True):
        low = np.floor(place - radius - 1).astype(int)
        low = np.maximum(low, 0)
        high = np.minimum(np.ceil(place + radius + 1).astype(int) + 1, SHAPE)
        squares = [
            ((np.arange(a, b)[:, None] + fine).ravel() - c) ** 2 for a, b, c in zip(low, high, place, strict=True)
        ]
        inside = squares[0][:, None, None] + squares[1][:, None] + squares[2] <= radius**2
        z, y, x = high - low
        voxels = inside.reshape(z, SAMPLES, y, SAMPLES, x, SAMPLES).mean(axis=(1, 3, 5))
        light[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] += voxels
    return light


def exposed(light, kind, rng):
    """Return grey levels: with shot and read noise over a grey background, with shot noise over black, or without."""
    if kind == "grey":
        photons = rng.poisson(light * BRIGHTNESS / 1.6) * 1.6
        return np.clip(np.rint(20 + photons + rng.normal(0, 3, light.shape)), 0, 255).astype(np.uint8)
    if kind == "black":
        return np.clip(np.rint(rng.poisson(light * BRIGHTNESS / 1.6) * 1.6), 0, 255).astype(np.uint8)
    return np.rint({"noise-free": 0, "noise-free on grey": 20}[kind] + BRIGHTNESS * light).astype(np.uint8)


def detected(places, radii, rng):
    """Return the truth with the errors of a network, which takes sharp particles for too small."""
    table = pd.DataFrame(places + rng.normal(0, 0.2, places.shape), columns=POSITION)
    return table.assign(radius=0.97 * radii * rng.normal(1, 0.03, len(radii)))


@pytest.fixture(scope="module")
def spheres():
    rng = np.random.default_rng(5)
    places, radii = packed(rng)
    return places, radii, light_of(places, radii)


@pytest.mark.parametrize("kind", ["grey", "black", "noise-free", "noise-free on grey"])
def test_radii_of_images_as_sharp_as_the_voxels_are_right(spheres, kind):
    places, radii, light = spheres
    rng = np.random.default_rng(6)
    refined = refine(exposed(light, kind, rng), detected(places, radii, rng))
    row = cKDTree(positions_of(refined)).query(places)[1]
    found = refined.iloc[row]
    assert (found["refined"] == 1).all()
    assert refined.attrs["psf_sigma"][1] < 0.45
    errors = np.column_stack([found[[*POSITION]].to_numpy() - places, found["radius"].to_numpy() - radii])
    assert abs(errors[:, 3].mean()) < 0.005 * radii.mean()
    assert np.mean(np.abs(errors) < 2 * found[ERRORS].to_numpy()) > 0.88
    assert np.abs(errors).max() < 0.1


def test_black_is_no_noise_that_was_cut_off(spheres):
    places, radii, light = spheres
    rng = np.random.default_rng(7)
    attrs = refine(exposed(light, "black", rng), detected(places, radii, rng)).attrs
    assert attrs["background"] == pytest.approx(0, abs=1)
    assert attrs["brightness"] == pytest.approx(BRIGHTNESS, rel=0.05)
    assert attrs["noise_gain"] == pytest.approx(1.6, rel=0.25)
