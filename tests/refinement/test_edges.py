"""Where the image says little or nothing, and tables with more in them than there is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.spatial import cKDTree

from napari_colloids.particles import ERRORS, POSITION, positions_of
from napari_colloids.refinement import refine
from napari_colloids.refinement.gauss_newton import gauss_newton_step, normal_equations
from napari_colloids.refinement.grid import Box, Grid
from napari_colloids.refinement.model import Model
from napari_colloids.refinement.optics import Detector, Optics
from napari_colloids.refinement.polynomials import N_TERMS
from napari_colloids.refinement.priors import Priors
from napari_colloids.refinement.profile import Profile
from napari_colloids.refinement.residual_search import find_undetected
from napari_colloids.refinement.spheres import Spheres


@pytest.fixture(scope="module")
def slab(dense):
    """A stack of which a part is not known, refined, and the depth of each particle in that part (voxels)."""
    image = dense.simulation.stack.data.astype(np.float32)
    image[:16] = np.nan
    return refine(image, dense.start), 15.5 - positions_of(dense.start)[:, 0]


def test_what_nothing_is_known_of_is_not_refined(slab, dense):
    refined, depth = slab
    ours = refined.iloc[: len(dense.start)]
    # Further in than radius and blur reach.
    hidden = depth > 8
    assert hidden.sum() > 5
    assert (ours["refined"][hidden] == 0).all()
    np.testing.assert_array_equal(positions_of(ours)[hidden], positions_of(dense.start)[hidden])
    assert ours[ERRORS][hidden].isna().all(axis=None)


def test_what_is_known_beside_it_is_refined(slab, dense):
    refined, depth = slab
    ours, seen = refined.iloc[: len(dense.start)], depth < -5
    assert (ours["refined"][seen] == 1).all()
    truth = positions_of(dense.simulation.particles)[seen]
    before, after = (np.std(positions_of(table)[seen] - truth) for table in (dense.start, ours))
    assert after < before / 1.5


def test_what_nothing_is_known_of_says_nothing_about_optics_and_noise(dense):
    image = dense.simulation.stack.data.astype(np.float32) + 100
    whole = refine(image, dense.start).attrs
    _, y, x = np.indices(image.shape)
    image[y + x < 0.6 * image.shape[1]] = np.nan
    part = refine(image, dense.start).attrs
    for fact in ("background", "brightness", "noise_floor", "noise_gain"):
        assert part[fact] == pytest.approx(whole[fact], rel=0.15)
    np.testing.assert_allclose(part["psf_sigma"], whole["psf_sigma"], rtol=0.05)


@pytest.mark.parametrize("guess", [-20, -60, -100])
def test_a_background_below_the_lowest_grey_level_is_found(guess):
    # With noise of 8 grey levels hardly a voxel tells such a guess from any deeper one.
    shape, places = (28, 28, 28), np.array([[8.0, 8, 8], [8, 8, 20], [20, 20, 14]])
    spheres = Spheres(places, np.full(3, 4.0), np.full(3, 100.0))

    def model(background):
        terms = np.append(background, np.zeros(N_TERMS - 1))
        return Model(spheres, Optics((2.0, 1.0)), Detector(0.0, 8.0, (0.0, 255.0)), terms, np.zeros(N_TERMS - 1))

    dark = Box(np.zeros(shape, np.float32), np.ones(shape, np.float32), np.zeros(3, int), 1.0)
    profile = model(0.0).profile(dark.aspect)
    image = model(-3.0).predict(dark, profile).light + np.random.default_rng(0).normal(0, 8, shape)
    box = replace(dark, image=np.clip(image, 0, 255).round().astype(np.float32))
    fit, priors = model(guess), Priors(places, np.full(3, 1.2), spheres.radii, 4.0, 0.05, 0.3)
    for _ in range(15):
        equations = normal_equations(fit, box, profile, fit.predict(box, profile), [], derivatives=False)
        fit, _, _ = gauss_newton_step(fit, priors, equations, box.aspect, brightness_only=True)
    assert fit.background[0] == pytest.approx(-3, abs=1)
    np.testing.assert_allclose(fit.spheres.brightness, 100, atol=5)


def test_the_unit_of_the_grey_levels_does_not_matter(dense):
    image = dense.simulation.stack.data.astype(np.float32)
    plain, large = (refine(image * unit, dense.start) for unit in (1.0, 1e5))
    np.testing.assert_allclose(large.attrs["psf_sigma"], plain.attrs["psf_sigma"], rtol=0.01)
    np.testing.assert_allclose(positions_of(large), positions_of(plain), atol=0.02)


@pytest.mark.parametrize("known", ["nothing", "a corner"])
@pytest.mark.filterwarnings("error")
def test_an_image_of_which_nothing_is_known(dense, known):
    image = np.full(dense.simulation.stack.shape, np.nan, np.float32)
    if known == "a corner":
        image[:2, :2, :2] = 7
    refined = refine(image, dense.start)
    np.testing.assert_array_equal(refined[dense.start.columns], dense.start)
    assert (refined["refined"] == 0).all()
    (notice,) = refined.attrs["notices"]
    assert notice.startswith("Not refined: ")
    if known == "nothing":
        assert "no grey levels" in notice


def test_limits_and_undetected_particles_where_nothing_is_known():
    grid, box = Grid((1, 1, 1), (9, 9, 9), 1.0), (np.zeros(3, int), np.full(3, 9))
    assert grid.limits(np.full((9, 9, 9), np.nan), *box) == (-np.inf, np.inf)
    nothing = np.zeros((20, 20, 20), np.float32)
    profile = Profile((3.5, 4.5), (1.6, 1.0))
    no_spheres = Spheres(np.empty((0, 3)), np.empty(0), np.empty(0))
    assert find_undetected(nothing, nothing, profile, 4.0, 50.0, no_spheres, 8.0).shape == (0, 3)


def test_particles_given_twice_count_once(dense):
    start = dense.start
    again = start.iloc[[3, 8]].copy()
    again["x"] += [0.0, 1.0]
    table = pd.concat([start, again, start.iloc[[3]]], ignore_index=True)
    refined = refine(dense.simulation.stack, table)
    pd.testing.assert_frame_equal(refined, dense.refined)


def test_false_detections_beside_particles_in_a_crowd_do_no_harm(dense):
    beside = dense.start.iloc[::12].copy()
    shifts = np.random.default_rng(3).normal(size=(len(beside), 3))
    beside[list(POSITION)] += 0.6 * beside["radius"].mean() * shifts / np.linalg.norm(shifts, axis=1, keepdims=True)
    refined = refine(dense.simulation.stack, pd.concat([dense.start, beside], ignore_index=True))
    within, without = (np.sqrt(np.mean(dense.errors(t) ** 2, axis=0)) for t in (refined, dense.refined))
    assert (within < 1.2 * without).all()
    assert len(refined) <= len(dense.refined) + 0.1 * len(beside)


def test_of_two_detections_of_one_particle_the_nearer_stays(dilute, guess):
    start = guess(dilute)
    truth = positions_of(dilute.particles)
    inner = np.flatnonzero(((truth > 8) & (truth < 31)).all(axis=1))
    # Towards the largest gap around one of them: what lies there has no particle of its own.
    shifts = 6.0 * np.concatenate([np.eye(3), -np.eye(3)])
    places = truth[inner][:, None] + shifts
    gap = np.sort(cKDTree(truth).query(places.reshape(-1, 3), 2)[0])[:, 1].argmax()
    row, place = inner[gap // 6], places.reshape(-1, 3)[gap]
    table = pd.concat([start, pd.DataFrame([[*place, 5.0]], columns=[*POSITION, "radius"])], ignore_index=True)
    refined = refine(dilute.stack, table)
    assert (refined["refined"] == 1).all()
    assert len(refined) == len(start)
    assert np.linalg.norm(positions_of(refined)[row] - truth[row]) < 0.4


@pytest.mark.parametrize("move", [3.0, 6.0])
def test_a_detection_that_took_the_place_of_another_is_sorted_out(dilute, guess, move):
    """Whatever the network does along a long PSF: every particle is there once, and refined."""
    start = guess(dilute)
    truth = positions_of(dilute.particles)
    inner = np.flatnonzero(((truth > 8) & (truth < 31)).all(axis=1))
    start.loc[inner[::3], "z"] += move
    refined = refine(dilute.stack, start)
    assert (refined["refined"] == 1).all()
    distance, rows = cKDTree(positions_of(refined)).query(truth[inner])
    assert distance.max() < 0.5
    assert len(set(rows)) == len(inner)
    assert len(cKDTree(positions_of(refined)).query_pairs(7.5)) == 0


def test_particles_outside_that_nobody_found_do_not_spoil_those_at_the_faces(make_scene):
    scene = make_scene(shape=(46, 46, 46), psf_sigma=(5.0, 1.2, 1.2), snr=10, cnr=10, volume_fraction=0.5, seed=1)
    truth = positions_of(scene.simulation.particles)
    at_face = np.minimum(truth[:, 0], 45 - truth[:, 0]) < 5
    assert at_face.sum() > 15
    assert (np.sqrt(np.mean(scene.errors()[at_face] ** 2, axis=0)) < [0.6, 0.22, 0.22]).all()
    assert np.mean(np.abs(scene.pulls()) < 2) > 0.78
