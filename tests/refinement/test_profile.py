"""The template of one blurred sphere against the simulation, and its derivatives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_colloids.refinement.profile import Profile, blurred_ball
from napari_colloids.simulation.optics import blur, draw_spheres

#: How much finer than the voxels of the template the simulation draws.
FINER = 4
RADII = (3.0, 7.0)
CASES = [
    Profile(RADII, sigma, shell, aspect)
    for sigma, shell, aspect in [
        ((1.0, 1.0), 0.0, 1.0),
        ((2.0, 1.0), 0.0, 1.0),
        ((2.0, 1.0), 0.5, 1.0),
        ((4.0, 1.2), 0.0, 2.0),
        ((1.0, 1.0), 0.0, 2.0),
        ((2.0, 1.0), 0.6, 2.0),
    ]
]
SHELLS = (0.0, 0.0, 0.5, 0.0, 0.0, 0.6)
cases = pytest.mark.parametrize(("profile", "shell"), list(zip(CASES, SHELLS, strict=True)))
offsets = st.tuples(*[st.floats(-0.5, 0.5)] * 3)
radii = st.floats(*RADII)


@pytest.fixture(scope="session")
def templates_of(templates_in):
    """Draw one sphere about the middle of a window: its template and derivatives."""

    def drawn(profile, offset, radius, window, reach=4.0):
        shape = tuple(2 * n + 1 for n in window)
        return templates_in(profile, np.array(window) + offset, radius, shape, reach=reach)

    return drawn


def simulated(profile, shell, offset, radius, window):
    """Draw the sphere on a finer grid, of which every so manyth voxel is the middle of one of the template."""
    step = np.array([FINER * profile.aspect, FINER, FINER]).astype(int)
    sigma = FINER * np.array(profile.sigma)[[0, 1, 1]]
    pad = np.ceil(3.5 * sigma).astype(int)
    middle = step * window + pad
    shape = tuple((2 * middle + 1).tolist())
    fine = draw_spheres(shape, (middle + step * offset)[None], np.array([FINER * radius]), np.ones(1), shell=shell)
    fine = blur(fine, tuple(sigma))
    return fine[tuple(slice(p, n - p, s) for p, n, s in zip(pad, shape, step, strict=True))]


@cases
@settings(max_examples=5, deadline=None)
@given(offset=offsets, radius=radii)
def test_the_template_is_that_of_the_simulation(templates_of, profile, shell, offset, radius):
    window = profile.half_window(radius)
    expected = simulated(profile, shell, offset, radius, window)
    np.testing.assert_allclose(templates_of(profile, offset, radius, window)[0], expected, atol=2e-3)


@cases
@settings(max_examples=20, deadline=None)
@given(offset=offsets, radius=radii)
def test_blur_loses_no_light(templates_of, profile, shell, offset, radius):
    total = float(templates_of(profile, offset, radius, profile.half_window(radius, 4.0))[0].sum()) * profile.aspect
    assert total == pytest.approx(4 / 3 * np.pi * radius**3 * (1 - shell**3), rel=2e-3)


@cases
@settings(max_examples=20, deadline=None)
@given(offset=offsets, radius=radii)
def test_derivatives_are_those_of_the_template(templates_of, profile, shell, offset, radius):
    window = profile.half_window(radius)
    _, *derivatives = templates_of(profile, offset, radius, window)
    step = 0.15
    for number, derivative in enumerate(derivatives):
        change = step * np.eye(4)[number]
        high, low = (
            templates_of(profile, offset + sign * change[:3], radius + sign * change[3], window)[0].astype(float)
            for sign in (1, -1)
        )
        expected = (high - low) / (2 * step)
        assert np.vdot(derivative, expected) == pytest.approx(np.vdot(expected, expected), rel=0.01)
        # The tables are interpolated linearly, which shows most in the middle.
        assert np.linalg.norm(derivative - expected) < 0.04 * np.linalg.norm(expected)


@settings(max_examples=20, deadline=None)
@given(offset=offsets, radius=radii)
def test_the_mirrored_offset_gives_the_mirrored_template(templates_of, offset, radius):
    profile = CASES[1]
    window = profile.half_window(radius)
    mirrored = templates_of(profile, -np.array(offset), radius, window)[0]
    np.testing.assert_allclose(mirrored[::-1, ::-1, ::-1], templates_of(profile, offset, radius, window)[0], atol=1e-6)


@pytest.mark.parametrize("reach", [2.0, 3.0])
def test_a_template_ends_where_the_light_does(templates_of, reach):
    profile = Profile((5.0, 5.0), (2.0, 1.0), 0.0, 2.0)
    z, y, x = profile.half_window(5.0, reach)
    assert (z, y, x) == (np.ceil((5 + 2 * reach) / 2), 5 + reach, 5 + reach)
    whole, cut = (templates_of(profile, np.zeros(3), 5.0, (2 * z, 2 * y, 2 * x), r)[0] for r in (8.0, reach))
    np.testing.assert_array_equal(cut[cut != 0], whole[cut != 0])
    assert whole[cut == 0].max() < {2.0: 0.03, 3.0: 0.002}[reach]
    # An ellipsoid, not the box around it.
    inside = cut[z:-z, y:-y, x:-x]
    assert np.count_nonzero(inside) < 0.6 * inside.size
    assert np.count_nonzero(inside) == np.count_nonzero(cut)


def test_the_closed_form_is_the_integral():
    """A ball and a Gaussian, integrated over shells of the Gaussian by brute force."""
    sigma, radius = 1.3, 4.0
    grid = np.arange(-12, 12, 0.2)
    z, y, x = np.meshgrid(grid, grid, grid, indexing="ij", sparse=True)
    inside = z**2 + y**2 + x**2 < radius**2
    for distance in (0.0, 2.0, 4.0, 6.0):
        gauss = np.exp(-((z - distance) ** 2 + y**2 + x**2) / (2 * sigma**2))
        expected = float(gauss[inside].sum() / gauss.sum())
        assert blurred_ball(np.array(distance), radius, sigma) == pytest.approx(expected, abs=3e-3)


@settings(max_examples=30, deadline=None)
@given(radius=st.floats(1.0, 30.0), sigma=st.floats(0.5, 5.0))
def test_a_blurred_ball_fades_outwards_from_at_most_one(radius, sigma):
    values = blurred_ball(np.linspace(0, radius + 6 * sigma, 200), radius, sigma)
    assert values.max() <= 1 + 1e-9
    assert values.min() >= -1e-9
    assert (np.diff(values) < 1e-9).all()
    assert values[-1] < 1e-6
