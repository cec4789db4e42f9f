"""No particles in noise, and no fewer where there are some."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_colloids.benchmark.microscope import Scene, make_volume
from napari_colloids.benchmark.suites import suite
from napari_colloids.detection import DEFAULT_THRESHOLD, FLOOR, detect, detect_series, false_positives
from napari_colloids.detection.false_positives import DOUBT
from napari_colloids.detection.surrogate import surrogate
from napari_colloids.detection.voxel_height import is_striped
from napari_colloids.scoring import match
from napari_colloids.simulation import simulate

SHAPE = (40, 48, 44)
THRESHOLD = DEFAULT_THRESHOLD["network"]


def gaussian(rng):
    return rng.normal(100, 10, SHAPE)


def photons(rng):
    return rng.poisson(0.5, SHAPE).astype(np.uint8)


def lines(rng):
    return (100 + rng.normal(0, 8, SHAPE[:2])[..., None] + rng.normal(0, 5, SHAPE)).astype(np.uint8)


def clouds(rng):
    smooth = gaussian_filter(rng.normal(size=SHAPE), 6)
    return (1000 + 200 * smooth / smooth.std() + rng.normal(0, 60, SHAPE)).astype(np.uint16)


def blobs(rng):
    return gaussian_filter(rng.normal(size=SHAPE), 1.2).astype(np.float32)


def said(table):
    return [text for text in table.attrs["notices"] if "No clear particles" in text]


@pytest.mark.parametrize(
    ("kind", "diameter", "at_least"),
    [(gaussian, 5, 10), (photons, 5, 10), (lines, 6, 1), (clouds, 10, 1), (blobs, 6, 50)],
)
def test_noise_has_no_clear_particles_but_candidates_are_there_for_who_insists(kind, diameter, at_least):
    image = kind(np.random.default_rng(5))
    found = detect(image, diameter=diameter)
    assert len(found) == 0
    (text,) = said(found)
    insisting = detect(image, diameter=diameter, threshold=DOUBT * THRESHOLD)
    assert len(insisting) >= at_least
    assert f"a threshold of {DOUBT * THRESHOLD:.2g} shows them" in text
    assert insisting["confidence"].max() < THRESHOLD


@pytest.mark.parametrize("seed", [1, 2])
def test_clouds_as_large_as_the_particles_are_smoother_and_more_symmetric_than_those(seed):
    rng = np.random.default_rng(seed)
    smooth = gaussian_filter(rng.normal(size=SHAPE), 5)
    image = (1000 + 200 * smooth / smooth.std() + rng.normal(0, 30, SHAPE)).astype(np.uint16)
    found = detect(image, diameter=16)
    assert len(found) == 0
    assert said(found)


def test_rows_columns_and_slices_of_uneven_offset_are_sharper_than_any_spheres():
    rng, shape = np.random.default_rng(23), (32, 64, 64)
    offset = sum(
        rng.normal(0, rng.uniform(0, 12), [n if k == axis else 1 for k, n in enumerate(shape)]) for axis in range(3)
    )
    offset = offset + rng.normal(0, rng.uniform(0, 8), (*shape[:2], 1))
    image = (100 + offset + rng.normal(0, rng.uniform(1, 12), shape)).clip(0, 255).astype(np.uint8)
    found = detect(image, diameter=16)
    assert len(found) == 0
    assert said(found)


def test_single_bright_voxels_are_no_particles_where_no_one_says_that_they_are():
    """Of which the estimate of the diameter is less than two voxels."""
    rng = np.random.default_rng(1)
    shape = (32, 36, 36)
    image = rng.normal(10, 2, shape)
    image[rng.random(shape) < 0.012] = 255
    found = detect(image.clip(0, 255).astype(np.uint8))
    assert len(found) == 0
    assert said(found)


def test_crowded_noise_is_as_dark_as_bright_whatever_is_found_in_its_surrogate():
    image = gaussian_filter(np.random.default_rng(5).normal(size=(32, 40, 36)), 1.2).astype(np.float32)
    found = detect(image, diameter=6)
    assert len(found) == 0
    assert said(found)


@pytest.mark.parametrize("seed", [2, 3])
def test_thin_blurred_shells_are_kept_though_as_dark_as_bright(seed):
    scene = Scene((48, 64, 64), 6.0, 0.5, psf=(4.2, 1.26), shell=0.75, snr=5.0, cnr=4.0)
    volume = make_volume(scene, seed)
    found = detect(volume.stack, diameter=volume.diameter)
    assert len(found) > 0.5 * len(volume.positions)
    assert not said(found)


def test_spots_as_smooth_as_clouds_are_kept_where_they_are_bright_and_hardly_any_dark():
    """Gaussian spots, as wide as blurred spheres are, so dim and near that none stands out from the noise."""
    rng = np.random.default_rng(4)
    centres = np.stack(np.meshgrid((12, 28), (10, 24, 38), (10, 34), indexing="ij"), -1).reshape(-1, 3)
    centres = centres + rng.uniform(-2, 2, centres.shape)
    grid = np.moveaxis(np.indices(SHAPE), 0, -1)
    light = sum(np.exp(-(((grid - one) / 5.8) ** 2).sum(-1) / 2) for one in centres)
    found = detect((1000 + 200 * light + rng.normal(0, 140, SHAPE)).astype(np.uint16), diameter=14)
    assert len(match(centres, found[["z", "y", "x"]].to_numpy(), 7.0).truth_index) == len(found) == 9
    assert said(found) == []


def test_noise_of_an_unknown_diameter():
    found = detect(np.random.default_rng(0).normal(100, 10, (32, 40, 40)).astype(np.uint8))
    assert len(found) == 0
    assert "diameter uncertain" in said(found)[0]
    # Of neither kind, bright or dark.
    assert not any("yours" in notice for notice in found.attrs["notices"])


def test_the_window_which_asks_for_everything_gets_them_below_the_default():
    image = gaussian(np.random.default_rng(5))
    table = detect(image, diameter=4, threshold=FLOOR)
    assert len(table) > 50
    assert (table["confidence"] < THRESHOLD).all()
    assert said(table)


@pytest.mark.parametrize(("snr", "radius"), [(1.5, 3.0), (3.0, 3.0), (1.5, 5.0)])
def test_ten_dim_particles_in_much_noise_are_all_kept(snr, radius):
    rng = np.random.default_rng(3)
    shape = np.array((48, 72, 72))
    grid = np.stack(np.meshgrid(*(np.arange(8, n - 8, 3 * radius) for n in shape), indexing="ij"), -1).reshape(-1, 3)
    places = rng.permutation(grid)[:10]
    apart = np.min([np.linalg.norm(np.moveaxis(np.indices(shape), 0, -1) - one, axis=-1) for one in places], axis=0)
    light = gaussian_filter((apart < radius).astype(float), (1.5, 1, 1))
    image = (100 + 10 * snr * light + rng.normal(0, 10, shape)).astype(np.uint8)
    found = detect(image, diameter=2 * radius)
    pairs = match(places, found[["z", "y", "x"]].to_numpy(), radius)
    assert len(pairs.truth_index) == 10
    assert len(found) < 30
    assert said(found) == []


def test_spots_on_uneven_light_that_stand_out_without_being_like_particles_are_left_out():
    """The end of a vignette under hardly any noise: its corners are far above the noise, and no spheres."""
    along = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in (64, 64, 48)), indexing="ij"), axis=-1)
    rng = np.random.default_rng([2000031, *b"gradients"])
    way = rng.normal(size=3)
    ramp = along @ (way / np.linalg.norm(way))
    vignette = np.exp(-(along[..., 1] ** 2 + along[..., 2] ** 2) / rng.uniform(0.3, 2))
    light = 40 + 60 * (ramp if rng.random() < 0.5 else vignette)
    image = (light + rng.normal(0, rng.uniform(1, 20), light.shape)).clip(0, 255).astype(np.uint8)
    found = detect(image, diameter=16)
    assert len(found) == 0
    assert "No clear particles" in said(found)[0]


@pytest.mark.parametrize("axis", [0, 1])
def test_what_is_the_same_all_along_an_axis_is_no_particles(axis):
    rng = np.random.default_rng(4)
    smooth = gaussian_filter(rng.normal(size=(48, 64, 64)), 0.7)
    stripes = np.broadcast_to(smooth.mean(axis=axis, keepdims=True), smooth.shape)
    noise = 0.3 * stripes.std() * rng.normal(size=smooth.shape)
    assert is_striped((stripes + noise).astype(np.float32))
    assert not is_striped((smooth + 0.3 * smooth.std() * rng.normal(size=smooth.shape)).astype(np.float32))
    spheres = simulate(shape=(48, 64, 64), volume_fraction=0.4, radius=6, psf_sigma=(6, 1, 1), snr=2, cnr=1, seed=1)
    assert not is_striped(spheres.stack.data.astype(np.float32))


def test_what_does_not_stand_out_is_left_out_where_it_is_the_most():
    """A bead in noise that is searched with a diameter of a few voxels, at which noise is full of small ones."""
    rng = np.random.default_rng(1)
    apart = np.linalg.norm(np.indices((40, 56, 56)) - np.array([20, 20, 28])[:, None, None, None], axis=0)
    bead = 60 * np.exp(-((apart / 2) ** 2))
    image = (100 + bead + rng.normal(0, 10, bead.shape)).astype(np.uint8)
    found = detect(image, diameter=4)
    assert len(match([[20, 20, 28]], found[["z", "y", "x"]].to_numpy(), 2.0).truth_index) == 1
    assert len(found) <= 4
    assert any("do not stand out from the noise" in text for text in found.attrs["notices"])


def test_blurred_dim_dense_particles_pass_though_none_stands_out(monkeypatch):
    dense = simulate(shape=(48, 64, 64), volume_fraction=0.3, radius=4, snr=3, cnr=2, psf_sigma=(5, 1.5, 1.5), seed=3)
    with monkeypatch.context() as patched:
        patched.setattr(false_positives, "_CERTAIN_CONFIDENCE", 0.0)
        untested = detect(dense.stack, diameter=8)
    # Asked in any case: whatever the confidence, nothing is taken off.
    monkeypatch.setattr(false_positives, "_CERTAIN_CONFIDENCE", 1.1)
    tested = detect(dense.stack, diameter=8)
    assert len(tested) > 40
    np.testing.assert_array_equal(tested, untested)


def test_every_volume_of_a_series_is_judged_by_itself():
    dense = simulate(shape=SHAPE, volume_fraction=0.4, radius=4, snr=8, cnr=7, seed=2)
    noise = np.random.default_rng(5).normal(100, 30, SHAPE).clip(0, 255).astype(np.uint8)
    table = detect_series(np.stack([dense.stack.data, noise]), diameter=4.5)
    assert set(table["frame"]) == {0}
    assert said(table)


def test_reference_methods_are_as_they_were():
    image = gaussian(np.random.default_rng(5))
    for method in ("log", "trackpy"):
        found = detect(image, diameter=5, method=method)
        assert len(found) > 20
        assert said(found) == []


def test_tiles_change_nothing():
    image = blobs(np.random.default_rng(5))
    whole = detect(image, diameter=6, threshold=FLOOR)
    np.testing.assert_array_equal(detect(image, diameter=6, threshold=FLOOR, tile=32), whole)


def test_a_surrogate_has_the_same_grey_levels_and_spectrum():
    image = blobs(np.random.default_rng(5))
    other = surrogate(image)
    np.testing.assert_array_equal(np.sort(other, axis=None), np.sort(image, axis=None))
    power, same = (np.abs(np.fft.rfftn(one - one.mean())) ** 2 for one in (image, other))
    low = np.s_[:4, :4, :4]
    assert 0.7 < same[low].sum() / power[low].sum() < 1.4
    assert abs(np.corrcoef(image.ravel(), other.ravel())[0, 1]) < 0.1
    np.testing.assert_array_equal(surrogate(image), other)


@pytest.mark.parametrize(
    ("point", "seed", "given"),
    [(18, 955000036, True), (24, 966000049, False)],
)
def test_what_explains_most_of_the_image_is_kept_however_little_the_network_thinks_of_it(point, seed, given):
    """A dozen large particles as blurred as clouds, of the challenge."""
    volume = make_volume(suite("challenge-train").points[point].scene, seed)
    found = detect(volume.image, diameter=volume.diameter if given else None)
    matched = match(volume.positions, found[["z", "y", "x"]].to_numpy(), volume.diameter / 2)
    assert len(matched.truth_index) >= 0.6 * len(found) > 6


@pytest.mark.parametrize("given", [True, False])
def test_a_few_large_blurred_particles_are_kept(given):
    """As in the challenge: some twenty in a small stack, none of which stands out from the noise."""
    volume = make_volume(
        Scene(shape=(64, 64, 64), radius=10, volume_fraction=0.3, psf=(13.3, 3.8), snr=5.2, cnr=4.5), 731000181
    )
    found = detect(volume.image, diameter=20 if given else None)
    inside = np.all((volume.positions > 0) & (volume.positions < 63), axis=1)
    assert len(match(volume.positions, found[["z", "y", "x"]].to_numpy(), 10.0).truth_index) >= 0.8 * inside.sum() > 8
