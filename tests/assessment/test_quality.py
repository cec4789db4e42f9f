"""Quality of an image, measured on what was found in it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import napari_colloids as nc
from napari_colloids.benchmark.microscope import Scene, make_volume
from napari_colloids.stack import Stack

DIAMETER = 10.0


@pytest.fixture(scope="module")
def volume():
    """Of the second simulator."""
    return make_volume(Scene((40, 72, 76), 5.0, 0.35, psf=(3.0, 1.2), snr=5.0, cnr=3.5), 61)


@pytest.fixture(scope="module")
def found(volume):
    return nc.detect(volume.stack, diameter=DIAMETER, device="cpu")


@pytest.fixture(scope="module")
def quality(volume, found):
    return nc.image_quality(volume.stack, found)


def test_it_is_that_of_the_simulation(volume, quality):
    scene = volume.scene
    assert quality.diameter == pytest.approx(DIAMETER, rel=0.05)
    assert quality.psf_sigma == pytest.approx(
        np.hypot(scene.psf, 0.5), rel=0.2
    )  # the simulator blurs by half a voxel more
    assert (quality.snr, quality.cnr) == pytest.approx((scene.snr, scene.cnr), rel=0.2)
    actual = float((4 / 3 * np.pi * volume.radii**3).sum()) / volume.image.size
    assert quality.volume_fraction.value == pytest.approx(actual, abs=0.04)
    assert quality.volume_fraction.low < actual < quality.volume_fraction.high
    assert not quality.is_shaken


def test_the_middle_is_measured_with_the_particles_that_are_there(volume, found, quality):
    """A wide dark margin, which no one measures, changes nothing."""
    margin = 48
    wide = np.pad(volume.image, ((0, 0), (margin, margin), (margin, margin)), constant_values=volume.image.min())
    moved = found.assign(y=found["y"] + margin, x=found["x"] + margin)
    moved.attrs = found.attrs
    same = nc.image_quality(dataclasses.replace(volume.stack, data=wide), moved)
    assert same.psf_sigma == pytest.approx(quality.psf_sigma, rel=0.15)
    assert same.diameter == pytest.approx(quality.diameter, rel=0.02)
    assert same.volume_fraction.value == pytest.approx(quality.volume_fraction.value, rel=0.15)


def test_the_volume_of_a_series_is_measured_with_its_own_particles(volume, found, quality):
    noise = np.random.default_rng(0).integers(0, 60, volume.image.shape).astype(volume.image.dtype)
    series = Stack(np.stack([noise, volume.image]), axes="tzyx", voxel_size=volume.stack.voxel_size)
    table = found.assign(frame=1)
    table.attrs = found.attrs
    assert nc.image_quality(series, table, frame=1) == quality
    with pytest.raises(nc.ColloidsError, match="0 particles were found in the middle of the image"):
        nc.image_quality(series, table)


def test_what_cannot_be_measured_is_refused(volume, found):
    unknown = found.copy()
    unknown.attrs = {}
    with pytest.raises(nc.ColloidsError, match="does not say how"):
        nc.image_quality(volume.stack, unknown)
    part = nc.detect(volume.stack, diameter=DIAMETER, device="cpu", border=4)
    with pytest.raises(nc.ColloidsError, match="without a region and a border"):
        nc.image_quality(volume.stack, part)
    with pytest.raises(nc.ColloidsError, match="too few"):
        nc.image_quality(volume.stack, found.iloc[:5])


def test_volume_fraction_of_a_mixture_counts_each_size():
    made = make_volume(Scene((48, 64, 64), 4.0 * 1.225, 0.4, psf=(2.0, 1.0), size_ratio=2.5, large_share=0.15), 62)
    diameter = 2 * float(made.radii.mean())
    quality = nc.image_quality(made.stack, nc.detect(made.stack, diameter=diameter, device="cpu"))
    actual = float((4 / 3 * np.pi * made.radii**3).sum()) / made.image.size
    assert quality.volume_fraction.value == pytest.approx(actual, rel=0.15)
    assert quality.diameter == pytest.approx(diameter, rel=0.05)
