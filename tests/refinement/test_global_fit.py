"""Optics, noise and statistics of the particles, estimated on simulated stacks of known ones."""

from __future__ import annotations

import json

import numpy as np
import pytest


def test_width_of_the_psf_and_size(dense):
    found = dense.refined.attrs
    # The drawing of the simulation adds the width of a voxel to the blur.
    axial, lateral = np.sqrt(np.array([2.0, 1.2]) ** 2 + 1 / 12)
    assert found["psf_sigma"] == pytest.approx([axial, lateral], rel=0.05)
    assert found["polydispersity"] < 0.03
    assert found["brightness_spread"] < 0.08
    assert found["shell"] == 0
    assert np.abs(found["psf_tilt"]).max() < 0.05
    assert found["psf_tail"] < 0.1


def test_what_was_measured_can_be_written_to_a_file(dense):
    assert json.loads(json.dumps(dense.refined.attrs)) == dense.refined.attrs


def test_a_psf_longer_than_the_particles(make_scene):
    """It is not taken for a sharp one with a halo, in which the fit sees spheres that are not there."""
    scene = make_scene(shape=(44, 44, 44), radius=4, psf_sigma=(6, 1.5, 1.5), volume_fraction=0.3, snr=12, cnr=10)
    assert scene.refined.attrs["psf_sigma"] == pytest.approx([6, 1.5], rel=0.08)
    assert scene.refined.attrs["psf_tail"] < 0.25
    assert len(scene.refined) <= len(scene.start) + 2


def test_a_psf_much_longer_than_the_particles_is_not_fitted(make_scene):
    scene = make_scene(shape=(44, 44, 44), radius=4, psf_sigma=(10, 1.5, 1.5), volume_fraction=0.3, snr=12, cnr=10)
    assert (scene.refined["refined"] == 0).all()
    assert "too blurred along z" in scene.refined.attrs["notices"][0]


def noise(snr, photons, brightness=200.0, scale=1.0):
    """Return gain and floor of a simulation."""
    level = brightness * scale
    return photons * level / snr**2, (1 - photons) ** 0.5 * level / snr


@pytest.mark.parametrize(
    ("photons", "levels"),
    [(0.2, {"snr": 8, "cnr": 6}), (0.8, {"snr": 10, "cnr": 7}), (0.5, {"snr": 8, "cnr": 6, "bits": 16})],
)
def test_noise_brightness_and_background(make_scene, photons, levels):
    scene = make_scene(shape=(36, 36, 36), volume_fraction=0.3, photon_noise=photons, **levels)
    scale = 257 if "bits" in levels else 1
    gain, floor = noise(levels["snr"], photons, scale=scale)
    found = scene.refined.attrs
    for level in (0.3, 0.6, 1.0):
        light = level * 200 * scale
        expected = gain * light + floor**2
        assert found["noise_gain"] * light + found["noise_floor"] ** 2 == pytest.approx(expected, rel=0.12)
    larger = "noise_gain" if photons > 0.5 else "noise_floor"
    assert found[larger] == pytest.approx(gain if photons > 0.5 else floor, rel=0.12)
    assert found["background"] + found["brightness"] == pytest.approx(200 * scale, rel=0.1)


def test_a_tilted_psf(make_scene):
    scene = make_scene(psf_tilt=(0.3, -0.15), psf_sigma=(2.5, 1.2, 1.2), snr=10, cnr=8)
    y, x = scene.refined.attrs["psf_tilt"]
    assert y == pytest.approx(0.3, rel=0.3)
    assert x == pytest.approx(-0.15, rel=0.3)
    assert (scene.gain() > 1.5).all()


def test_a_halo(make_scene):
    with_halo, without = (
        make_scene(psf_tail=tail, snr=10, cnr=8, volume_fraction=0.3).refined.attrs["psf_tail"] for tail in (0.3, 0)
    )
    assert with_halo == pytest.approx(0.3, abs=0.12)
    assert without < 0.1


def test_brightness_that_differs(make_scene):
    scene = make_scene(brightness_spread=0.25, snr=8, cnr=6, volume_fraction=0.4)
    assert scene.refined.attrs["brightness_spread"] == pytest.approx(0.25, rel=0.35)
    assert (scene.gain() > 1.3).all()


def test_light_that_is_lost_with_depth(make_scene):
    """It is fitted as illumination, not as faint particles: those in the last slices are 0.4 times as bright."""
    scene = make_scene(depth_loss=0.6, snr=8, cnr=6)
    assert scene.refined.attrs["brightness_spread"] < 0.12
    assert (scene.gain() > 1.3).all()


def test_dark_cells(make_scene):
    scene = make_scene(shell=0.6, snr=8, cnr=7, psf_sigma=(1.5, 1.0, 1.0), volume_fraction=0.4)
    assert scene.refined.attrs["shell"] > 0.4
    assert (scene.gain() > 1.5).all()
