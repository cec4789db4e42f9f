"""The second simulator is as exact as the first: what it says is the truth is where the light is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from napari_colloids.benchmark.microscope import TYPICAL_GREY_LEVEL, Scene, make_volume, render
from napari_colloids.benchmark.sted import psf


def half_width(profile: np.ndarray) -> float:
    profile = profile / profile[0]
    first = int(np.argmax(profile < 0.5))
    return first - 1 + (profile[first - 1] - 0.5) / (profile[first - 1] - profile[first])


@pytest.mark.parametrize(("axial", "lateral", "aspect"), [(3.0, 1.3, 1.0), (6.0, 1.5, 1.0), (4.0, 1.5, 3.0)])
def test_the_psf_is_as_wide_as_asked_for(axial, lateral, aspect):
    kernel = psf(axial, lateral, aspect)
    z, y, x = (n // 2 for n in kernel.shape)
    fine_z = 2 * round(aspect) / aspect  # canvas voxels to a lateral voxel of height
    assert half_width(kernel[z:, y, x]) / fine_z == pytest.approx(axial * 2.3548 / 2, rel=0.03)
    assert half_width(kernel[z, y, x:]) / 2 == pytest.approx(lateral * 2.3548 / 2, rel=0.03)
    assert kernel.sum() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(("aspect", "tilt", "shell"), [(1.0, 0.0, 0.0), (1.0, 0.2, 0.0), (2.5, 0.0, 0.5)])
def test_the_centroid_of_a_sphere_is_where_it_was_put(aspect, tilt, shell):
    scene = Scene(shape=(round(48 / aspect), 48, 48), radius=6, psf=(2.5, 1.2), aspect=aspect, tilt=tilt, shell=shell)
    rng = np.random.default_rng(3)
    for _ in range(3):
        centre = np.array(scene.shape) / 2 + rng.uniform(-1, 1, 3)
        kernel = psf(*scene.psf, aspect, tilt)
        image, _inside = render(centre[None], np.array([6.0]), np.ones(1), scene, kernel)
        centroid = [(axis * image).sum() / image.sum() for axis in np.indices(image.shape)]
        np.testing.assert_allclose(centroid, centre, atol=0.03)


@pytest.mark.parametrize(
    "scene",
    [
        Scene(shape=(60, 60, 60), radius=4, volume_fraction=0.5),
        Scene(shape=(60, 60, 60), radius=4, volume_fraction=0.3, polydispersity=0.1),
        Scene(shape=(60, 60, 60), radius=4, volume_fraction=0.4, size_ratio=1.6),
        Scene(shape=(60, 60, 60), radius=3, volume_fraction=0.4, size_ratio=2, large_share=0.2),
        Scene(shape=(20, 60, 60), radius=4, volume_fraction=0.4, aspect=3.0),
    ],
)
def test_density_and_sizes_are_as_asked_for(scene):
    volume = make_volume(scene, seed=2)
    box = np.prod(scene.shape) * scene.aspect
    assert (4 / 3 * np.pi * volume.radii**3).sum() / box == pytest.approx(scene.volume_fraction, rel=0.08)
    if scene.size_ratio > 1:
        small, large = volume.radii.min(), volume.radii.max()
        assert large / small == pytest.approx(scene.size_ratio)
        assert np.mean(volume.radii > scene.radius) == pytest.approx(scene.large_share, abs=0.03)
    elif scene.polydispersity:
        assert volume.radii.std() / volume.radii.mean() == pytest.approx(scene.polydispersity, rel=0.25)
    centres = volume.positions * [scene.aspect, 1, 1]
    apart = np.linalg.norm(centres[:, None] - centres[None], axis=-1) - volume.radii[:, None] - volume.radii[None]
    np.fill_diagonal(apart, 1)
    assert apart.min() > -1e-6


@pytest.mark.parametrize("arrangement", ["random", "strings"])
def test_particles_can_be_drawn_apart(arrangement):
    scene = Scene(shape=(60, 60, 60), radius=4, volume_fraction=0.3, arrangement=arrangement, spacing=1.5)
    volume = make_volume(scene, seed=3)
    nearest, _ = cKDTree(volume.positions).query(volume.positions, k=2)
    assert len(volume.positions) > 10
    assert nearest[:, 1].min() > 1.5 * 2 * 4 - 1e-6
    assert nearest[:, 1].min() < 1.6 * 2 * 4


@pytest.mark.parametrize("photons", [0.0, 1.0])
def test_snr_and_cnr_are_as_asked_for(photons):
    scene = Scene(
        shape=(64, 64, 64), radius=14, volume_fraction=0.15, psf=(0.5, 0.5), snr=5, cnr=3, photon_noise=photons
    )
    volume = make_volume(scene, seed=4)
    distance = np.full(scene.shape, np.inf)
    for position in volume.positions:
        distance = np.minimum(distance, np.linalg.norm(np.indices(scene.shape).T - position, axis=-1).T)
    image = volume.image.astype(float)
    particle = image[distance < 11]
    assert particle.mean() / particle.std() == pytest.approx(5, rel=0.1)
    # Spheres whose centre lies outside are not in the truth: take the darkest of what is far from all.
    far = image[distance > 18]
    background = np.median(far[far < particle.mean() - 2 * particle.std()])
    assert (particle.mean() - background) / particle.std() == pytest.approx(3, rel=0.25)


def test_bleaching_and_reproducibility():
    scene = Scene(shape=(40, 40, 40), radius=4, bleaching=0.8)
    volume, again, other = make_volume(scene, 1), make_volume(scene, 1), make_volume(scene, 2)
    np.testing.assert_array_equal(volume.image, again.image)
    assert not np.array_equal(volume.image, other.image)
    assert volume.image[-8:].mean() < 0.45 * volume.image[:8].mean()


def test_a_volume_that_no_particle_lies_in_shows_background():
    scene = Scene(shape=(16, 16, 16), radius=6, volume_fraction=0.02, psf=(2.0, 1.2), snr=10, cnr=8)
    volume = next(found for found in (make_volume(scene, seed) for seed in range(50)) if not len(found.positions))
    assert np.median(volume.image) == pytest.approx(TYPICAL_GREY_LEVEL * (1 - 8 / 10), abs=2)
