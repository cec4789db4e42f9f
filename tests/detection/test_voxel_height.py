"""The height of a voxel is checked against the particles found."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_colloids.detection import Options, Part, detect, iter_detect_series
from napari_colloids.detection.voxel_height import elongation
from napari_colloids.errors import ColloidsError
from napari_colloids.simulation import simulate
from napari_colloids.stack import Stack


def imaged(aspect, seed=41, **changes):
    """Return the grey levels of a stack with voxels higher than wide, which are 0.1 micrometres wide."""
    scene = {"volume_fraction": 0.35, "radius": 5, "psf_sigma": (2.0 / aspect, 1.2, 1.2), "snr": 6, "cnr": 6} | changes
    shape = (round(48 / aspect), 56, 56)
    return np.asarray(simulate(shape=shape, voxel_aspect=aspect, voxel_size=0.1, seed=seed, **scene).stack.data)


def doubts(stack, **options):
    return [notice for notice in detect(stack, **options).attrs["notices"] if "as they are wide" in notice]


@pytest.mark.parametrize(("aspect", "diameter"), [(1.0, None), (2.0, 10), (3.0, 10)])
def test_a_right_height_is_not_doubted(aspect, diameter):
    assert doubts(Stack(imaged(aspect), voxel_size=(0.1 * aspect, 0.1, 0.1)), diameter=diameter) == []


@pytest.mark.parametrize(
    "scene",
    [
        {"psf_sigma": (7.5, 1.5, 1.5)},
        {"volume_fraction": 0.55, "arrangement": "crystal"},
        {"volume_fraction": 0.15, "arrangement": "strings"},
        {"volume_fraction": 0.03},
        {"shell": 0.6},
        {"psf_sigma": (0.8, 0.8, 0.8)},
    ],
)
def test_blur_arrangement_and_shape_are_no_reason_to_doubt_it(scene):
    image = imaged(1.0, **scene)
    assert doubts(image, diameter=10) == []
    assert doubts(image.max() - image, diameter=10, dark=True) == []


def test_a_few_dim_particles_are_no_reason_to_doubt_it():
    """At another height nearly as many are found by chance."""
    for seed in (102, 103, 104):
        scene = {"radius": 4, "psf_sigma": (0.5, 1.6, 1.6), "snr": 2.5, "cnr": 2.5, "volume_fraction": 0.03}
        shape = (13, 40, 40)
        image = simulate(shape=shape, voxel_aspect=3.0, voxel_size=0.1, seed=seed, **scene).stack
        assert doubts(image, diameter=8) == [], seed


@pytest.mark.parametrize(("aspect", "assumed", "times"), [(2.0, 1.0, 5.0), (1.5, 0.6, 4.0)])
def test_particles_that_come_out_too_high_speak_against_it(aspect, assumed, times):
    image = imaged(aspect)[:14]
    size = (assumed, 0.1, 0.1)
    (guessed,) = doubts(Stack(image, voxel_size=size, assumed="z"), diameter=10)
    (given,) = doubts(Stack(image, voxel_size=size), diameter=10)
    assert f"the assumed z step of {assumed:g} µm" in guessed
    assert f"the z step of {assumed:g} µm" in given
    found, step = (float(number) for number in re.findall(r"([\d.]+) (?:times|µm would)", given))
    assert found == pytest.approx(times, rel=0.45)
    assert step == pytest.approx(0.1 * aspect, rel=0.45)


@pytest.mark.parametrize(("aspect", "diameter"), [(2.0, 10), (3.0, None), (4.0, 10)])
def test_particles_that_come_out_flat_say_that_voxels_are_not_cubic(aspect, diameter):
    (notice,) = doubts(imaged(aspect), diameter=diameter)
    assert "whose size is unknown" in notice
    (times,) = re.findall(r"voxels about ([\d.]+) times", notice)
    assert float(times) == pytest.approx(aspect, rel=0.4)


@pytest.mark.parametrize(("aspect", "radius", "blur"), [(2.0, 6, 1.0), (3.0, 6, 1.5), (2.0, 8, 1.0)])
def test_blur_as_wide_as_the_particles_does_not_hide_it(aspect, radius, blur):
    """They look less flat: as high as others in a short PSF look."""
    shape = (round(10 * radius / aspect), 12 * radius, 12 * radius)
    psf = (blur * radius / aspect, 0.22 * radius, 0.22 * radius)
    scene = {"volume_fraction": 0.5, "radius": radius, "psf_sigma": psf, "snr": 6, "cnr": 6}
    simulated = simulate(shape=shape, voxel_aspect=aspect, voxel_size=0.1, seed=0, **scene)
    assert doubts(simulated.stack, diameter=2 * radius) == []
    (notice,) = doubts(np.asarray(simulated.stack.data), diameter=2 * radius)
    assert "only" in notice


def test_a_height_at_which_no_particle_could_be_searched_is_refused_with_a_better_one():
    stack = Stack(imaged(2.0), voxel_size=(1.5, 0.1, 0.1), assumed="z")
    with pytest.raises(ColloidsError, match=r"z assumed.* A z step of about 0\.[12]\d* µm would make them round"):
        detect(stack)


def test_every_volume_of_a_series_says_it():
    image = imaged(3.0)
    tables = {}
    steps = iter_detect_series(
        Stack(np.stack([image, image]), "tzyx"), Options(diameter=10), [Part(0, 0), Part(1, 0)], tables.__setitem__
    )
    for _ in steps:
        pass
    first, second = (table.attrs for table in tables.values())
    assert first["height_factor"] == second["height_factor"] > 1.5
    assert first["notices"] == second["notices"]


@pytest.mark.parametrize(("high", "wide"), [(3.0, 3.0), (5.0, 2.5), (2.0, 3.5)])
def test_elongation_is_that_of_a_random_field_whatever_its_noise(high, wide):
    rng = np.random.default_rng(7)
    field = gaussian_filter(rng.normal(size=(96, 96, 96)), (high, wide, wide)).astype(np.float32)
    noisy = field / field.std() + rng.normal(size=field.shape).astype(np.float32)
    assert elongation(noisy) == pytest.approx(high / wide, rel=0.3)


def test_noise_and_thin_images_have_no_elongation():
    rng = np.random.default_rng(8)
    assert elongation(np.zeros((8, 8, 8), np.float32)) == np.inf
    field = gaussian_filter(rng.normal(size=(6, 64, 64)), (4, 3, 3)).astype(np.float32)
    assert elongation(field) == np.inf
