"""A PSF that was measured on a bead."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from napari_colloids import ColloidsError, detect
from napari_colloids.detection import Options
from napari_colloids.refinement import PSF, refine
from napari_colloids.simulation import simulate
from napari_colloids.simulation.optics import blur, draw_spheres
from napari_colloids.stack import Stack


def bead(sigma, shape=(41, 31, 31), place=(20, 15, 15), noise=0.5, dark=10, **parameters):
    """A sphere of half a voxel through a PSF."""
    point = draw_spheres(shape, np.array([place], float), np.array([0.5]), np.ones(1))
    light = blur(point, sigma, **parameters)
    return light / light.max() * 200 + dark + np.random.default_rng(0).normal(0, noise, shape)


@settings(max_examples=8, deadline=None)
@given(
    st.floats(2, 5), st.floats(1, 2), st.sampled_from([0.0, 0.2]), st.tuples(*[st.floats(-0.4, 0.4)] * 3), st.booleans()
)
def test_widths_and_halo_are_found_wherever_the_bead_lies(axial, lateral, tail, off, larger):
    place = np.array([20, 15, 15]) + off
    shape = (61, 51, 45) if larger else (41, 31, 31)
    psf = PSF.measured(bead((axial, lateral, lateral), shape, place, tail=tail))
    # A sphere of half a voxel that lies between voxels is drawn a little wider than a point.
    assert psf.sigma == pytest.approx((axial, lateral), rel=0.06, abs=0.1)
    assert psf.tail == pytest.approx(tail, abs=0.06)
    assert psf.voxel_size is None


def test_a_tilted_and_astigmatic_psf():
    psf = PSF.measured(bead((4, 1.2, 1.4), tilt=(0.3, -0.1)))
    zy, zx, _, astigmatism = psf.covariances
    assert zy / psf.sigma[0] ** 2 == pytest.approx(0.3, rel=0.05)
    assert zx / psf.sigma[0] ** 2 == pytest.approx(-0.1, rel=0.05)
    upright = PSF.measured(bead((4, 1.2, 1.4)))
    assert upright.covariances[3] == pytest.approx((1.2**2 - 1.4**2) / 2, rel=0.05)
    assert astigmatism > upright.covariances[3]  # the tilt along y widens that direction


def test_the_noise_of_the_dark_aastigmatismit_does_not_count():
    place = (20, 20, 20)
    psf = PSF.measured(bead((3, 1.3, 1.3), (41, 41, 41), place, noise=4))
    assert psf.sigma == pytest.approx((3, 1.3), rel=0.06)
    # One that is fainter, elsewhere in the image, is no other than it.
    fainter = np.roll(bead((3, 1.3, 1.3), (41, 41, 41), place), 12, axis=2) * 0.25
    assert PSF.measured(bead((3, 1.3, 1.3), (41, 41, 41), place) + fainter).sigma == pytest.approx(psf.sigma, rel=0.06)


def hot_voxel():
    """Return noise in which one voxel is far too bright."""
    image = np.random.default_rng(0).normal(10, 2, (25, 25, 25))
    image[12, 12, 12] = 200
    return image


def test_its_voxels_may_be_others_than_those_of_the_stack():
    fine = PSF.measured(Stack(bead((4, 2, 2)), voxel_size=(0.1, 0.05, 0.05)))
    psf = fine.in_voxels((0.2, 0.1, 0.1), aspect=2)
    assert psf.sigma == pytest.approx((4, 1), rel=0.03)  # 0.4 and 0.1 um, in lateral voxels of the stack
    alike = PSF.measured(bead((4, 2, 2))).in_voxels(None, aspect=2)
    assert alike.sigma == pytest.approx((8, 2), rel=0.03)
    with pytest.raises(ColloidsError, match="voxel size"):
        fine.in_voxels(None, aspect=1)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((20, 20, 20)),
        np.full((20, 20, 20), np.nan),
        np.zeros((3, 20, 20)),
        np.zeros((20, 20)),
        np.random.default_rng(0).normal(100, 10, (30, 30, 30)),
        hot_voxel(),
        bead((3, 1.2, 1.2)) + 0.8 * np.roll(bead((3, 1.2, 1.2)), 9, axis=2),
        bead((3, 1.2, 1.2)) + np.roll(bead((3, 1.2, 1.2)), 9, axis=2) + np.roll(bead((3, 1.2, 1.2)), 9, axis=1),
    ],
)
def test_what_is_no_bead_is_one_clear_error(image):
    with pytest.raises(ColloidsError, match=r"PSF|3D|axes"):
        PSF.measured(image)


@pytest.fixture(scope="module")
def blurred():
    """Spheres whose blur along z is as long as their radius: size and blur are hard to tell apart."""
    return simulate(shape=(50, 50, 50), radius=5, psf_sigma=(5, 1.3, 1.3), snr=4, cnr=4, voxel_size=0.1, seed=12)


def test_the_fit_keeps_to_it(blurred, guess):
    start = guess(blurred)
    psf = PSF.measured(Stack(bead((5, 1.3, 1.3), (61, 41, 41), (30, 20, 20)), voxel_size=(0.1,) * 3))
    given_psf, free = refine(blurred.stack, start, psf=psf), refine(blurred.stack, start)
    assert given_psf.attrs["psf_sigma"] == pytest.approx(np.sqrt(np.array([25, 1.69]) + 1 / 12), rel=0.04)
    off = [abs(table["radius"].mean() - 5) for table in (given_psf, free)]
    assert off[0] < off[1] + 0.01
    # Of another PSF, the same stack makes spheres of another size.
    wide = PSF.measured(Stack(bead((5, 2, 2), (61, 41, 41), (30, 20, 20)), voxel_size=(0.1,) * 3))
    assert refine(blurred.stack, start, psf=wide)["radius"].mean() < given_psf["radius"].mean() - 0.1


def test_large_particles_are_binned_and_so_is_the_psf(guess):
    large = simulate(shape=(80, 80, 80), radius=12, psf_sigma=(5, 3, 3), volume_fraction=0.3, snr=5, cnr=5, seed=1)
    psf = PSF.measured(bead((5, 3, 3)))
    found = refine(large.stack, guess(large), psf=psf).attrs["psf_sigma"]
    assert found == pytest.approx([5, 3], rel=0.05)


def test_detect_takes_it_and_says_early_what_is_missing(blurred):
    psf = PSF.measured(Stack(bead((5, 1.3, 1.3)), voxel_size=(0.1,) * 3))
    found = detect(blurred.stack, diameter=10, refine=True, psf=psf)
    assert found["refined"].mean() > 0.9
    assert found.attrs["psf_sigma"][0] == pytest.approx(5, rel=0.04)
    steps = []
    with pytest.raises(ColloidsError, match="voxel size"):
        detect(
            np.asarray(blurred.stack.data), diameter=10, refine=True, psf=psf, progress=lambda *step: steps.append(step)
        )
    assert not steps
    with pytest.raises(ColloidsError, match="refinement"):
        Options(psf=psf)


def test_widths_that_are_known_can_be_given(blurred, guess):
    start = guess(blurred)
    in_voxels, in_micrometres = PSF((5, 1.3)), PSF((0.5, 0.13), voxel_size=(1, 1, 1))
    tables = [refine(blurred.stack, start, psf=psf) for psf in (in_voxels, in_micrometres)]
    assert tables[0].attrs["psf_sigma"] == pytest.approx(np.sqrt(np.array([25, 1.69]) + 1 / 12), rel=0.01)
    pd.testing.assert_frame_equal(*tables)


@pytest.mark.parametrize("parameters", [{"sigma": (0, 1)}, {"sigma": (1, np.nan)}, {"sigma": (2, 1), "tail": 1.0}])
def test_impossible_parameters_are_refused(parameters):
    with pytest.raises(ColloidsError, match=r"A PSF needs|sigma must be finite"):
        PSF(**parameters)


def test_the_voxel_size_of_an_array_can_be_given():
    image = bead((4, 2, 2))
    given = PSF.measured(image, voxel_size=(0.1, 0.05, 0.05))
    assert given == PSF.measured(Stack(image, voxel_size=(0.1, 0.05, 0.05)))
    assert given != PSF.measured(image)


def test_the_repr_says_what_matters_in_one_line():
    assert repr(PSF((3.0, 1.25))) == "PSF(sigma=(3, 1.25) voxels)"
    full = PSF((4.0, 1.234), 0.05, (1.6, 0.0, 0.0, 0.1), (0.2, 0.1, 0.1))
    assert repr(full) == "PSF(sigma=(4, 1.23) voxels, tail=0.05, tilt=(0.10, 0.00), voxel_size=(0.2, 0.1, 0.1) µm)"


@pytest.mark.parametrize("tail", [0.0, 0.3])
def test_the_plot_shows_both_profiles(tail):
    axial, lateral = PSF((4, 2), tail, voxel_size=(0.1, 0.05, 0.05)).plot().lines
    for line, sigma in ((axial, 0.4), (lateral, 0.1)):
        distance, intensity = line.get_data()
        assert intensity.max() == intensity[len(distance) // 2] == 1
        near = np.abs(distance) < 0.5 * sigma
        variance = 1 / -np.polynomial.polynomial.polyfit(distance[near], 2 * np.log(intensity[near]), 2)[2]
        assert variance == pytest.approx(sigma**2, rel=0.05 if tail else 0.001)
        at_three_sigma = np.interp(3 * sigma, distance, intensity)
        assert at_three_sigma > 0.012 if tail else at_three_sigma == pytest.approx(np.exp(-4.5), rel=0.02)


def test_the_plot_is_drawn_on_given_axes_in_the_unit_of_the_psf():
    ax = Figure().add_subplot()
    assert PSF((4, 2), voxel_size=(0.1, 0.05, 0.05)).plot(ax) is ax
    assert "µm" in ax.get_xlabel()
    assert "voxels" in PSF((4, 2)).plot().get_xlabel()
