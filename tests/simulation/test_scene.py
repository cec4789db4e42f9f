"""Simulated stacks: exact truth, and the noise, light and density that were asked for."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from napari_colloids import ColloidsError
from napari_colloids.particles import positions_of
from napari_colloids.simulation import PRESETS, Parameters, simulate
from napari_colloids.simulation.arrangement import Arrangement, Composition, arrange
from napari_colloids.simulation.exposure import background_level
from napari_colloids.simulation.optics import TRUNCATE, blur
from napari_colloids.simulation.scene import image_arrangement, iter_simulate

#: No noise to speak of, no background.
CLEAR = Parameters(shape=(40, 40, 40), snr=1000, cnr=1000, photon_noise=0.0, bits=16, brightness=150)


def one_sphere(centre_um: tuple[float, float, float], parameters: Parameters) -> np.ndarray:
    """Image a single sphere; the position is in lateral voxel widths from the corner of the box."""
    arrangement = Arrangement(np.array([centre_um]), np.array([parameters.radius]), (40.0, 40.0, 40.0), periodic=False)
    simulation = image_arrangement(arrangement, parameters, np.random.default_rng(0))
    return simulation


@settings(max_examples=20, deadline=None)
@given(
    centre=st.tuples(*[st.floats(18, 22)] * 3),
    radius=st.floats(2.5, 6),
    aspect=st.floats(0.8, 2.0),
    shell=st.sampled_from([0.0, 0.5]),
    tilt=st.sampled_from([(0.0, 0.0), (0.2, -0.1)]),
)
def test_truth_is_the_centroid_of_the_light(centre, radius, aspect, shell, tilt):
    parameters = Parameters(
        shape=(int(40 / aspect), 40, 40),
        radius=radius,
        voxel_aspect=aspect,
        shell=shell,
        psf_sigma=(1.5, 1.0, 1.2),
        psf_tilt=tilt,
        snr=1000,
        cnr=1000,
        photon_noise=0.0,
        bits=16,
        brightness=150,
    )
    simulation = one_sphere(centre, parameters)
    light = simulation.stack.data.astype(float)
    light[light < 300] = 0  # the noise that is left
    grid = np.indices(light.shape)
    centroid = [(axis * light).sum() / light.sum() for axis in grid]
    np.testing.assert_allclose(positions_of(simulation.particles)[0], centroid, atol=0.03)
    np.testing.assert_allclose(positions_of(simulation.particles)[0], np.divide(centre, [aspect, 1, 1]) - 0.5)


@pytest.mark.parametrize(("snr", "cnr", "photons"), [(5, 3, 0.0), (4, 2, 0.5), (8, 3, 1.0)])
def test_noise_is_what_was_asked_for(snr, cnr, photons):
    parameters = Parameters(
        shape=(48, 48, 48), radius=10, snr=snr, cnr=cnr, photon_noise=photons, brightness=120, bits=16
    )
    corners = np.array([[12.0, 12, 12], [12, 36, 36], [36, 12, 36], [36, 36, 12]])
    spheres = Arrangement(corners, np.full(4, 10.0), (48.0,) * 3, periodic=False)
    sharp = Parameters(**{**parameters.__dict__, "psf_sigma": (0.0, 0.0, 0.0)})
    simulation = image_arrangement(spheres, sharp, np.random.default_rng(1))
    image = simulation.stack.data.astype(float)
    distance = np.min(
        [np.linalg.norm(np.indices(image.shape).T - p[::-1], axis=-1).T for p in positions_of(simulation.particles)],
        axis=0,
    )
    particle, solvent = image[distance < 8.5], image[distance > 11.5]
    assert particle.mean() / particle.std() == pytest.approx(snr, rel=0.05)
    contrast = (particle.mean() - solvent.mean()) / np.sqrt((particle.var() + solvent.var()) / 2)
    assert contrast == pytest.approx(cnr, rel=0.05)
    assert particle.mean() == pytest.approx(120 * 257, rel=0.02)


@given(st.floats(0.5, 50), st.floats(0.01, 1), st.floats(0, 1))
def test_background_solves_the_definition_of_cnr(snr, part, photons):
    cnr = snr * part
    u = background_level(snr, cnr, photons)
    assert 0 <= u <= 1
    if u > 0:
        variance = (1 + (1 - photons) + photons * u) / 2 / snr**2
        assert (1 - u) / np.sqrt(variance) == pytest.approx(cnr, rel=1e-6)


@pytest.mark.parametrize("photon_noise", [1e-18, 1e-320])
def test_hardly_any_photon_noise_is_as_none(photon_noise):
    """More photons than can be drawn one by one, as where a fit finds none of their noise."""
    made = [simulate(shape=(24, 24, 24), snr=5, photon_noise=share, seed=1) for share in (photon_noise, 0.0)]
    image, other = (np.asarray(one.stack.data).astype(float) for one in made)
    assert image.std() == pytest.approx(other.std(), rel=0.02)
    assert image.mean() == pytest.approx(other.mean(), rel=0.02)


@pytest.mark.parametrize("fraction", [0.05, 0.3, 0.58])
def test_volume_fraction_polydispersity_and_no_overlap(fraction):
    simulation = simulate(shape=(70, 70, 70), volume_fraction=fraction, radius=4, polydispersity=0.08, seed=3)
    radii = simulation.particles["radius"].to_numpy()
    inside = (4 / 3 * np.pi * radii**3).sum() / 70**3
    assert inside == pytest.approx(fraction, rel=0.1)
    assert radii.mean() == pytest.approx(4, rel=0.05)
    if len(radii) > 100:
        assert radii.std() / radii.mean() == pytest.approx(0.08, rel=0.25)
    centres = positions_of(simulation.particles)
    apart = np.linalg.norm(centres[:, None] - centres[None], axis=-1) - radii[:, None] - radii[None]
    np.fill_diagonal(apart, 1)
    assert apart.min() > -1e-6


@pytest.mark.parametrize("kind", ["crystal", "gel", "strings"])
def test_other_arrangements_do_not_overlap(kind):
    fraction = 0.6 if kind == "crystal" else 0.12
    simulation = simulate(shape=(50, 50, 50), arrangement=kind, volume_fraction=fraction, radius=4, seed=2)
    centres = positions_of(simulation.particles)
    assert len(centres) > 20
    distance = np.linalg.norm(centres[:, None] - centres[None], axis=-1)
    np.fill_diagonal(distance, np.inf)
    assert distance.min() > 2 * 4 * 0.999
    if kind != "crystal":  # they stick
        assert np.median(distance.min(axis=1)) < 8.1


def test_actual_volume_fraction_and_polydispersity_are_reported():
    asked = {"shape": (50, 50, 50), "radius": 4, "polydispersity": 0.1, "seed": 2}
    fluid, crystal, gel = (
        simulate(**asked, arrangement=kind, volume_fraction=phi)
        for kind, phi in (("random", 0.4), ("crystal", 0.6), ("gel", 0.5))
    )
    assert fluid.volume_fraction == pytest.approx(0.4, rel=0.05)
    assert fluid.polydispersity == pytest.approx(0.1, rel=0.15)
    assert crystal.volume_fraction == pytest.approx(0.6, rel=0.05)
    assert crystal.polydispersity < 0.03
    assert 0.3 < gel.volume_fraction < 0.37
    radii = gel.particles["radius"].to_numpy()
    assert 4 / 3 * np.pi * np.sum(radii**3) / 50**3 == pytest.approx(gel.volume_fraction, rel=0.15)
    nothing = simulate(**asked, volume_fraction=0.0)
    assert (nothing.volume_fraction, nothing.polydispersity) == (0, 0)


def test_anisotropic_voxels_need_a_size():
    with pytest.raises(ColloidsError, match="needs a voxel_size"):
        simulate(shape=(16, 16, 16), radius=3, voxel_aspect=3.0)
    made = simulate(shape=(16, 16, 16), radius=3, voxel_aspect=3.0, voxel_size=0.1, seed=1)
    assert made.stack.voxel_size == pytest.approx((0.3, 0.1, 0.1))


def test_a_crystal_goes_on_as_far_beyond_the_stack_as_its_light_reaches():
    smeared = {"psf_sigma": (14, 1, 1), "snr": 50, "cnr": 50, "bits": 16, "seed": 2}
    crystal = simulate(shape=(64, 40, 40), arrangement="crystal", volume_fraction=0.55, radius=4, **smeared)
    slices = crystal.stack.data.mean(axis=(1, 2))
    np.testing.assert_allclose(slices[[0, -1]], slices[32], rtol=0.01)


def test_a_binary_mixture_has_two_sizes_of_equal_number_without_overlap():
    simulation = simulate(
        shape=(60, 60, 60), volume_fraction=0.5, radius=4, size_ratio=1.6, polydispersity=0.02, seed=1
    )
    radii = simulation.particles["radius"].to_numpy()
    small, large = radii[radii < 4], radii[radii > 4]
    assert len(small) == pytest.approx(len(large), rel=0.15)
    assert large.mean() / small.mean() == pytest.approx(1.6, rel=0.01)
    assert (4 / 3 * np.pi * radii**3).sum() / 60**3 == pytest.approx(0.5, rel=0.1)
    centres = positions_of(simulation.particles)
    apart = np.linalg.norm(centres[:, None] - centres[None], axis=-1) - radii[:, None] - radii[None]
    np.fill_diagonal(apart, 1)
    assert apart.min() > -1e-6


def test_a_mixture_may_have_few_large_particles():
    composition = Composition(0.4, 3.0, size_ratio=2.0, large_fraction=0.2)
    mixture = arrange("random", (60.0,) * 3, composition, np.random.default_rng(1))
    assert np.mean(mixture.radii > 3) == pytest.approx(0.2, abs=0.01)
    assert mixture.radii.max() / mixture.radii.min() == pytest.approx(2.0)
    assert mixture.radii.mean() == pytest.approx(3.0, rel=0.01)
    assert (4 / 3 * np.pi * mixture.radii**3).sum() / 60**3 == pytest.approx(0.4, rel=0.02)


def test_brightness_varies_between_particles_as_asked_for():
    corners = np.stack(np.meshgrid(*[np.arange(4, 80, 8.0)] * 3), -1).reshape(-1, 3)
    spheres = Arrangement(corners, np.full(len(corners), 3.0), (80.0,) * 3, periodic=False)
    sharp = Parameters(
        **{**CLEAR.__dict__, "shape": (80, 80, 80), "psf_sigma": (0.0,) * 3, "brightness": 20, "brightness_spread": 0.6}
    )
    simulation = image_arrangement(spheres, sharp, np.random.default_rng(1))
    levels = simulation.stack.data[tuple(np.rint(positions_of(simulation.particles)).astype(int).T)].astype(float)
    assert levels.min() > 0
    assert levels.std() / levels.mean() == pytest.approx(0.6, rel=0.1)
    assert np.corrcoef(levels, simulation.brightness)[0, 1] > 0.99


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_a_blur_is_that_of_a_gaussian_and_nothing_comes_from_beyond_the_faces(seed):
    rng = np.random.default_rng(seed)
    image = rng.random(tuple(rng.integers(1, 20, 3)), dtype=np.float32)
    sigma = tuple(rng.uniform(0.2, 4, 3) * (rng.random(3) < 0.8))
    expected = gaussian_filter(image.astype(float), sigma, mode="constant", truncate=TRUNCATE)
    np.testing.assert_allclose(blur(image, sigma), expected, atol=1e-5)


@pytest.mark.parametrize("tilt", [(0.0, 0.0), (0.2, 0.0)])
def test_a_skewed_blur_leans_to_one_side_along_z_only(tilt):
    parameters = Parameters(**{**CLEAR.__dict__, "psf_tail": 0.5, "psf_skew": 1.0, "psf_tilt": tilt})
    light = one_sphere((20.5, 20.5, 20.5), parameters).stack.data.astype(float)
    light[light < 300] = 0
    z, _y, x = ((axis * light).sum() / light.sum() for axis in np.indices(light.shape))
    # Half of the light is shifted by one axial standard deviation, 3 voxels.
    assert z == pytest.approx(20 + 0.5 * 3.0, abs=0.3)
    assert x == pytest.approx(20, abs=0.05)


def test_particles_beyond_the_edge_are_drawn_but_not_listed():
    outside = one_sphere((20, 20, -2.0), CLEAR)
    assert len(outside.particles) == 0
    assert outside.stack.data[20, 20, 0] > 10_000


def test_core_shell_particles_are_dark_inside():
    ring = one_sphere((20.5, 20.5, 20.5), Parameters(**{**CLEAR.__dict__, "shell": 0.6, "psf_sigma": (0.5,) * 3}))
    assert ring.stack.data[20, 20, 20] < 0.3 * ring.stack.data[20, 20, 25]


def test_light_is_lost_with_depth():
    simulation = simulate(shape=(60, 40, 40), depth_loss=0.8, snr=20, cnr=20, seed=1)
    by_depth = simulation.stack.data.mean(axis=(1, 2))
    assert by_depth[-10:].mean() == pytest.approx(0.25 * by_depth[:10].mean(), rel=0.25)


def test_the_same_seed_gives_the_same_stack_and_another_does_not():
    first, second, third = (simulate(shape=(30, 30, 30), seed=s) for s in (7, 7, 8))
    np.testing.assert_array_equal(first.stack.data, second.stack.data)
    assert first.particles.equals(second.particles)
    assert not np.array_equal(first.stack.data, third.stack.data)
    drawn = simulate(shape=(30, 30, 30))
    np.testing.assert_array_equal(drawn.stack.data, simulate(drawn.parameters).stack.data)


def test_labels_number_the_particles():
    simulation = simulate(shape=(40, 40, 40), radius=5, voxel_aspect=1.5, voxel_size=0.1, seed=4)
    labels = simulation.labels()
    for number, (z, y, x) in enumerate(np.rint(positions_of(simulation.particles)).astype(int), start=1):
        assert labels[np.clip(z, 0, 39), np.clip(y, 0, 39), np.clip(x, 0, 39)] == number


def test_bits_and_voxel_size():
    simulation = simulate(shape=(20, 20, 20), bits=16, voxel_size=0.1, voxel_aspect=2.0, seed=1)
    assert simulation.stack.data.dtype == np.uint16
    assert simulation.stack.voxel_size == (0.2, 0.1, 0.1)
    np.testing.assert_allclose(simulation.particles["z_um"], simulation.particles["z"] * 0.2)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_show_particles(name):
    simulation = simulate(PRESETS[name])
    assert len(simulation.particles) > 5
    assert simulation.stack.data.std() > 5


@pytest.mark.parametrize(
    "changes",
    [
        {"volume_fraction": 0.7},
        {"volume_fraction": -0.1},
        {"radius": 0},
        {"shape": (0, 10, 10)},
        {"shape": (10, 10)},
        {"snr": 0},
        {"psf_sigma": (1, -1, 1)},
        {"size_ratio": 0.5},
        {"bits": 12},
        {"arrangement": "liquid crystal"},
        {"colour": "red"},
        {"seed": -1},
        {"psf_tilt": (float("nan"), 0)},
        {"psf_tilt": (0, 1000)},
        {"arrangement": "crystal", "volume_fraction": 0},
        {"radius": "6"},
        {"radius": None},
        {"shape": 64},
        {"shape": "big"},
        {"psf_sigma": 2.0},
        {"seed": "a"},
    ],
)
def test_nonsense_is_refused(changes):
    with pytest.raises(ColloidsError):
        simulate(**changes)


def test_plot_draws_the_cross_sections_of_the_particles():
    simulation = simulate(shape=(24, 32, 32), radius=5, volume_fraction=0.3, voxel_aspect=1.5, voxel_size=0.1, seed=4)
    ax = simulation.plot(z=10)
    (circles,) = ax.collections
    particles = simulation.particles
    distance = 1.5 * (particles["z"] - 10)
    cut = distance.abs() < particles["radius"]
    assert 0 < cut.sum() < len(particles)
    np.testing.assert_allclose(circles.get_offsets(), particles.loc[cut, ["x", "y"]])
    np.testing.assert_allclose((circles.get_widths() / 2) ** 2 + distance[cut] ** 2, particles.loc[cut, "radius"] ** 2)
    np.testing.assert_array_equal(ax.get_images()[0].get_array(), simulation.stack.data[10])
    assert simulation.plot(ax) is ax


def test_a_repr_is_short():
    simulation = simulate(shape=(16, 16, 16), radius=3, seed=1)
    assert repr(simulation).startswith(f"Simulation({len(simulation.particles)} particles, volume fraction 0.")
    assert len(repr(simulation)) < 250


def test_in_steps_it_is_the_same_under_another_name():
    parameters = Parameters(shape=(16, 20, 20), radius=3, seed=1)
    steps = iter_simulate(parameters, "mine")
    assert [(step.done, step.total) for step in itertools.islice(steps, 3)] == [(0, 3), (1, 3), (2, 3)]
    with pytest.raises(StopIteration) as end:
        next(steps)
    at_once = simulate(parameters)
    np.testing.assert_array_equal(end.value.value.stack.data, at_once.stack.data)
    assert (end.value.value.stack.name, at_once.stack.name) == ("mine", "simulated")
