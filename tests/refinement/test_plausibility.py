"""Optics that no microscope has are declined, with the reason and what to do; possible ones are not."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from napari_colloids import ColloidsError
from napari_colloids.particles import ERRORS, positions_of
from napari_colloids.progress import result_of
from napari_colloids.refinement import iter_refine, iter_residual, refine
from napari_colloids.refinement.global_parameters import GlobalParameters
from napari_colloids.refinement.grid import Grid
from napari_colloids.refinement.optics import Detector, Optics
from napari_colloids.refinement.plausibility import Seen, blur_factor, blur_notices, problem_of, range_of
from napari_colloids.simulation import simulate

POSSIBLE = GlobalParameters(Optics((2.5, 1.1)), Detector(1.0, 8.0, (0.0, 255.0)), 20.0, 150.0, 0.1, 5.0, 0.05, 180.0)
IMAGE = Seen(0.0, 255.0, 60.0, 180.0, 5.0)


def test_possible_optics_have_no_problem():
    assert problem_of(POSSIBLE, IMAGE, 5.0) == ""


@pytest.mark.parametrize(
    ("changes", "seen", "words"),
    [
        ({"background": -120.0}, IMAGE, "background comes out at -120.* larger offset"),
        ({"background": -2411.0, "brightness": 3152.0}, IMAGE, "-2411.* or spheres on a smooth background"),
        ({}, IMAGE._replace(light=480.0), "highest grey level is 255.* less light or gain"),
        (
            {"detector": Detector(9.8e6, 1536.0)},
            IMAGE,
            "fit, 1.54e\\+03 grey levels.* whole contrast.* diameter is wrong, or spheres",
        ),
        ({"radius": 3.5}, IMAGE, "does not agree with the diameter.* 0.70 times"),
        ({"optics": Optics((12.0, 1.1))}, IMAGE, "too blurred along z"),
        ({"brightness_spread": 0.9}, IMAGE, "too unequally bright"),
        ({"optics": Optics((2.1, 0.6), 0.35), "brightness_spread": 0.48}, IMAGE, "no lens has the PSF"),
        ({"background": float("nan")}, IMAGE, "no finite end"),
    ],
)
def test_impossible_optics_are_declined_with_what_to_do(changes, seen, words):
    assert re.search(words, problem_of(replace(POSSIBLE, **changes), seen, 5.0))


@pytest.mark.parametrize(
    "changes",
    [
        # Noise that is cut off at black, a halo beside equal particles, a sharp core without one.
        {"background": -15.0},
        {"optics": Optics((1.6, 0.6), 0.35), "brightness_spread": 0.1},
        {"optics": Optics((0.3, 0.3)), "brightness_spread": 0.5},
    ],
)
def test_what_is_only_unusual_is_not_declined(changes):
    assert problem_of(replace(POSSIBLE, **changes), IMAGE, 5.0) == ""


def test_the_range_is_that_of_the_data_type_or_of_the_image():
    levels, free = np.array([3.0, 90.0], np.float32), (-np.inf, np.inf)
    assert range_of(np.dtype(np.uint8), levels, free) == (0, 255)
    assert range_of(np.dtype(np.uint16), levels, (100.0, np.inf)) == (100, 65535)
    assert range_of(np.dtype(np.float32), levels, free) == (3, 90)


def test_errors_grow_with_the_blur_along_z_and_from_a_quarter_on_it_is_told():
    blurred = {radii: replace(POSSIBLE, optics=Optics((radii * 5.0, 1.1))) for radii in (0.5, 1.0, 1.1, 1.5, 2.0)}
    factors = [blur_factor(one) for one in blurred.values()]
    assert factors[:2] == [1, 1]
    assert factors == sorted(factors)
    assert 1.5 < blur_factor(blurred[1.5]) < blur_factor(blurred[2.0]) < 4
    # A halo is blur, too.
    assert blur_factor(replace(POSSIBLE, optics=Optics((4.5, 1.1), 0.3))) > 1.3
    assert [bool(blur_notices(one)) for one in blurred.values()] == [False, False, False, True, True]
    (notice,) = blur_notices(blurred[1.5])
    assert "blurred along z by 1.5 radii" in notice
    assert f"{blur_factor(blurred[1.5]):.1f} times as large" in notice


def test_errors_along_z_hold_where_particles_look_longer_than_they_are_wide(guess):
    """Of noise alone they would be less than half as large, and 31 % of the true ones beyond two of them."""
    simulation = simulate(
        shape=(40, 30, 30), radius=4, volume_fraction=0.35, psf_sigma=(6.4, 1.0, 1.0), snr=10, cnr=10, seed=1
    )
    refined = refine(simulation.stack, guess(simulation))
    assert any("blurred along z by 1." in notice for notice in refined.attrs["notices"])
    refined = refined[refined["refined"] == 1]
    truth = positions_of(simulation.particles)
    away, row = cKDTree(truth).query(positions_of(refined))
    near = away < 4
    errors = np.abs(positions_of(refined) - truth[row])[near, 0]
    assert near.mean() > 0.9
    assert np.mean(errors < 2 * refined["z_err"].to_numpy()[near]) > 0.9


@pytest.mark.parametrize("bins", [(1, 1, 1), (1, 2, 2), (2, 2, 2)])
def test_optics_that_were_told_are_read_again(bins):
    grid = Grid(bins, (20, 20, 20), 1.5)
    common = replace(POSSIBLE, optics=Optics((2.5, 1.1), 0.1, (0.3, -0.2, 0.0, 0.0), 0.4), detector=Detector(1.0, 8.0))
    told = common.in_stack_voxels(grid).facts()
    again = GlobalParameters.from_facts(told, grid, (-np.inf, np.inf), 5.0)
    np.testing.assert_allclose(again.optics.psf_sigma, common.optics.psf_sigma)
    np.testing.assert_allclose(again.optics.psf_covariances[0], 0.3, rtol=0.2)
    assert again.facts() | {"psf_sigma": 0, "psf_tilt": 0} == common.facts() | {"psf_sigma": 0, "psf_tilt": 0}


@pytest.fixture(scope="module")
def blurred():
    """Little light and much blur along z."""
    return simulate(shape=(32, 32, 32), radius=4, volume_fraction=0.3, psf_sigma=(4.5, 1.5, 1.5), snr=2, cnr=2, seed=3)


class TestTheResidualAgrees:
    """What `refine` accepts, `iter_residual` shows; what it declines, that refuses with the same words."""

    def test_of_refined_particles(self, dense):
        refined, start = dense.refined, dense.start
        steps = iter_residual(
            dense.simulation.stack.data,
            positions_of(refined),
            refined["radius"].to_numpy(),
            # A diameter that those of the fit would not agree with.
            1.4 * 2 * start["radius"].median(),
            measured=refined.attrs,
        )
        residual = result_of(steps, None)
        # The noise in the light is 33 grey levels, the contrast of the image 53.
        assert residual.image[6:-6, 6:-6, 6:-6].std() < 1.1 * 33

    def test_of_declined_particles(self, dilute, guess):
        start = guess(dilute)
        radii = start["radius"].to_numpy() / 1.6
        fit = result_of(iter_refine(dilute.stack.data, positions_of(start), radii, 10.0), None)
        assert not fit.refined.any()
        reason = fit.notices[0].removeprefix("Not refined: ").split(".")[0]
        with pytest.raises(ColloidsError, match=reason.split(":")[0]):
            result_of(iter_residual(dilute.stack.data, positions_of(start), radii, 10.0, measured=fit.facts), None)

    def test_of_particles_that_were_declined_with_possible_optics(self, blurred):
        """The errors of such particles are too large: their residual is shown, and says so in the same words."""
        truth = blurred.particles
        stack, places, radii = blurred.stack.data, positions_of(truth), truth["radius"].to_numpy()
        fit = result_of(iter_refine(stack, places, radii, 8.0), None)
        assert not fit.refined.any()
        (notice,) = fit.notices
        assert re.search(r"standard errors of the positions along z, .* are 0\.0\d+ diameters", notice)
        assert fit.facts["psf_sigma"][0] == pytest.approx(4.5, rel=0.15)
        residual = result_of(iter_residual(stack, places, radii, 8.0, measured=fit.facts), None)
        assert residual.notices == [notice]
        assert notice in repr(residual)

    def test_says_nothing_of_refined_particles(self, dense):
        refined = dense.refined
        steps = iter_residual(
            dense.simulation.stack.data,
            positions_of(refined),
            refined["radius"].to_numpy(),
            10.0,
            measured=refined.attrs,
        )
        assert result_of(steps, None).notices == []
        assert "not_refined" not in refined.attrs

    def test_incomplete_measurements_are_one_clear_error(self, dense):
        refined = dense.refined
        with pytest.raises(ColloidsError, match="refine the particles again"):
            result_of(
                iter_residual(
                    dense.simulation.stack.data,
                    positions_of(refined),
                    refined["radius"].to_numpy(),
                    10.0,
                    measured={"psf_sigma": [2.0, 1.2]},
                ),
                None,
            )


def test_standard_errors_grow_with_what_the_residual_has_beyond_noise(dense):
    """Blotches far fainter than the noise of a voxel, but as wide as a particle's rim."""
    image, rng = dense.simulation.stack.data.astype(np.float32), np.random.default_rng(0)
    blotches = rng.normal(0, 1, [n // 3 + 1 for n in image.shape]).repeat(3, 0).repeat(3, 1).repeat(3, 2)
    noise = 200 / 6
    z, y, x = image.shape
    refined = refine(image + 0.5 * noise * blotches[:z, :y, :x], dense.start)
    count = len(dense.start)
    growth = (refined[ERRORS].iloc[:count] / dense.refined[ERRORS].iloc[:count]).median()
    assert (growth > 1.4).all()
    (notice,) = refined.attrs["notices"]
    assert notice.startswith("The fit leaves more than noise: light in patches")
    assert dense.refined.attrs["notices"] == []
