"""The diameter from the image alone."""

from __future__ import annotations

import re

import numpy as np
import pytest

from napari_colloids.benchmark.microscope import Scene, make_volume
from napari_colloids.detection import Region, detect
from napari_colloids.detection.measurement import forget
from napari_colloids.detection.trial import Trials
from napari_colloids.particles import particle_table
from napari_colloids.scoring import score
from napari_colloids.simulation import simulate


@pytest.mark.parametrize("radius", [3.5, 6.0, 11.0])
def test_dense_stacks_of_any_magnification(radius):
    edge = int(13 * radius)
    blur = (0.5 * radius, 0.22 * radius, 0.22 * radius)
    simulation = simulate(shape=(edge, edge, edge), radius=radius, psf_sigma=blur, snr=5, cnr=5, seed=21)
    found = detect(simulation.stack)
    assert found.attrs["diameter_estimated"]
    assert found.attrs["diameter_certain"]
    assert found.attrs["diameter"] == pytest.approx(2 * radius, rel=0.2)
    assert score(simulation.particles, found, diameter=2 * radius, shape=simulation.stack.shape).f1 > 0.98


def test_tall_voxels():
    simulation = simulate(
        shape=(36, 84, 84), radius=6, voxel_aspect=2.5, voxel_size=0.1, psf_sigma=(1.2, 1.3, 1.3), snr=6, cnr=6, seed=22
    )
    found = detect(simulation.stack)
    assert found.attrs["diameter"] == pytest.approx(12, rel=0.2)


def test_haze_is_no_particle_as_large_as_the_stack():
    simulation = simulate(shape=(64, 80, 80), radius=5, psf_sigma=(3.5, 1.2, 1.2), snr=6, cnr=6, seed=24)
    z, y, x = (np.arange(n) - n / 2 for n in simulation.stack.shape)
    haze = 100 * np.exp(-(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2) / (2 * 20**2))
    found = detect(simulation.stack.data + haze)
    assert found.attrs["diameter"] == pytest.approx(10, rel=0.1)
    assert found.attrs["diameter_certain"]


def test_the_small_particles_of_a_mixture_count():
    scene = Scene(shape=(80, 80, 80), size_ratio=2.8, radius=7.0)
    volume = make_volume(scene, 25)
    found = detect(volume.image)
    large, small = volume.radii.max(), volume.radii.min()
    assert 2 * small < found.attrs["diameter"] < 2 * large
    truth = particle_table(volume.positions)
    assert score(truth, found, diameter=2 * small, shape=scene.shape).recall > 0.85


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_the_estimate_of_a_mixture_finds_both_sizes_however_few_are_large(share):
    radius = 4 * (1 + 2 * share)
    scene = Scene(shape=(72, 80, 80), size_ratio=3.0, large_share=share, radius=radius, psf=(2.0, 1.0))
    volume = make_volume(scene, 31)
    found = detect(volume.image)
    scored = score(particle_table(volume.positions), found, diameter=8, shape=scene.shape)
    assert scored.recall > 0.97
    assert scored.precision > 0.95


def test_large_particles_do_not_swallow_the_small_ones_around_them():
    scene = Scene(shape=(72, 80, 80), size_ratio=2.5, large_share=0.15, radius=4.9, psf=(2.0, 1.0))
    volume = make_volume(scene, 32)
    found = detect(volume.image, diameter=8)  # that of the small ones
    assert score(particle_table(volume.positions), found, diameter=8, shape=scene.shape).recall > 0.97
    assert found["radius"].max() < 1.2 * volume.radii.max()


def test_an_image_is_measured_once_and_a_changed_one_again(monkeypatch):
    class MeasuredError(Exception):
        """The rest of a measurement is left out."""

    def tried(*_given, **_settings):
        raise MeasuredError

    image = simulate(shape=(32, 48, 48), radius=5, psf_sigma=(2, 1.2, 1.2), snr=5, cnr=5, seed=27).stack.data.copy()
    first = detect(image)
    monkeypatch.setattr(Trials, "at", tried)
    again = detect(image, threshold=0.9)
    assert again.attrs["diameter"] == first.attrs["diameter"]
    with pytest.raises(MeasuredError):
        detect(image, voxel_size=(0.2, 0.1, 0.1))
    image[5, 6, 7] += 1
    with pytest.raises(MeasuredError):
        detect(image)


def test_the_quick_search_leads_where_the_thorough_one_does(monkeypatch):
    """Without the point reflection scales are only left out."""
    stack = make_volume(Scene(shape=(40, 64, 64), size_ratio=1.5, radius=5.0), 33).image
    found = detect(stack)
    thorough = Trials.at
    monkeypatch.setattr(
        Trials, "at", lambda self, diameter, edge=64, *, symmetrised=True: thorough(self, diameter, edge)
    )
    forget()
    assert detect(stack).attrs["diameter"] == found.attrs["diameter"]


@pytest.fixture(scope="module")
def twelve():
    """A stack of particles 12 voxels wide."""
    return simulate(shape=(48, 72, 72), radius=6, psf_sigma=(3, 1.3, 1.3), snr=5, cnr=5, seed=26).stack


@pytest.mark.parametrize("diameter", [6.0, 7.2, 17.0, 19.2])
def test_a_diameter_that_does_not_fit_is_doubted(twelve, diameter):
    (notice,) = detect(twelve, diameter=diameter).attrs["notices"]
    given, found = re.findall(r"([\d.]+) px", notice)
    assert float(given) == diameter
    assert float(found) == pytest.approx(12, rel=0.15)


def test_where_nothing_is_found_it_is_said_what_may_help(twelve):
    found = detect(twelve, diameter=30)
    assert len(found) == 0
    (notice,) = found.attrs["notices"]
    assert "leave the diameter out" in notice


@pytest.mark.parametrize(
    "cut",
    [
        {"threshold": 1.0},
        {"border": 23.0},
        {"region": Region(outlines=[np.array([[0, 0], [0, 4], [4, 4.0]])])},
    ],
)
def test_what_is_not_wanted_says_nothing_against_the_diameter(twelve, cut):
    found = detect(twelve, diameter=12, **cut)
    assert len(found) < 3
    assert found.attrs["notices"] == []


@pytest.mark.parametrize("diameter", [None, 10.0, 12.0, 14.0])
def test_a_diameter_that_fits_is_not_doubted(twelve, diameter):
    assert detect(twelve, diameter=diameter).attrs["notices"] == []


def test_noise_has_no_diameter_and_the_user_is_asked():
    found = detect(np.random.default_rng(0).normal(100, 10, (48, 48, 48)))
    assert not found.attrs["diameter_certain"]
    assert any("give the diameter" in notice for notice in found.attrs["notices"])


def test_where_the_diameter_is_not_sure_the_distance_of_neighbours_helps():
    blur = (6.5, 1.65, 1.65)
    simulation = simulate(
        shape=(60, 60, 60),
        radius=5,
        volume_fraction=0.5,
        psf_sigma=blur,
        brightness_spread=0.4,
        snr=2.5,
        cnr=2.5,
        seed=5,
    )
    found = detect(simulation.stack)
    assert not found.attrs["diameter_certain"]
    (apart,) = re.findall(r"neighbours are mostly ([\d.]+) px apart", found.attrs["notices"][0])
    assert float(apart) == pytest.approx(10, rel=0.25)


def test_progress_goes_on_through_estimate_and_tiles():
    simulation = simulate(shape=(40, 40, 40), radius=5, seed=23)
    steps = []
    detect(simulation.stack, progress=lambda done, total: steps.append((done, total)))
    assert len(steps) > 5
    assert all(0 <= done <= total for done, total in steps)
