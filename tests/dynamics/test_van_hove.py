"""Van Hove function, against the Gaussian of free diffusion."""

import numpy as np
import pytest
from scipy.stats import norm

from napari_colloids import ColloidsError
from napari_colloids.dynamics import van_hove


@pytest.fixture(scope="module")
def isotropic(walks):
    return walks(count=4000, frames=12, steps=(0.3, 0.3, 0.3))


def test_free_diffusion_is_gaussian_at_all_lags(isotropic):
    found = van_hove(isotropic, [1, 4], bins=40)
    assert found.lag.tolist() == [1, 4]
    np.testing.assert_allclose(found.variance, [0.09, 0.36], rtol=0.03)
    width = found.distance[1] - found.distance[0]
    for density, sigma in zip(found.g, (0.3, 0.6), strict=True):
        edges = np.append(found.distance - width / 2, found.distance[-1] + width / 2)
        np.testing.assert_allclose(density * width, np.diff(norm.cdf(edges, scale=sigma)), atol=0.003)
        assert np.sum(density) * width == pytest.approx(1, abs=0.001)


def test_radial_density_is_that_of_space(isotropic):
    found = van_hove(isotropic, 4, radial=True, bins=30)
    near = found.distance < 1.5
    np.testing.assert_allclose(found.g[0, near], found.gaussian()[0, near], rtol=0.1)
    assert found.gaussian()[0, 0] == pytest.approx((2 * np.pi * 0.36) ** -1.5, rel=0.05)
    plane = van_hove(isotropic, 4, radial=True, axes="yx", bins=30)
    step = plane.distance[1] - plane.distance[0]
    assert np.sum(2 * np.pi * plane.distance * plane.g[0]) * step == pytest.approx(1, abs=0.001)


def test_errors_are_told_as_a_part_of_the_variance(walks):
    table = walks(count=2000, frames=6, steps=(0.3, 0.3, 0.3), noise=0.2)
    found = van_hove(table, [1, 2], errors=(0.2, 0.2, 0.2))
    np.testing.assert_allclose(found.error_variance, 0.08)
    np.testing.assert_allclose(found.variance - found.error_variance, [0.09, 0.18], rtol=0.05)
    assert van_hove(table).error_variance is None


def test_what_lies_beyond_the_range_counts_in_the_norm(isotropic):
    found = van_hove(isotropic, 1, bins=20, max_distance=0.3)
    inside = np.sum(found.g) * (found.distance[1] - found.distance[0])
    assert inside == pytest.approx(norm.cdf(1) - norm.cdf(-1), rel=0.02)


def test_units_are_those_of_the_table(walks):
    pixels = van_hove(walks(count=50), 2, bins=11)
    microns = van_hove(walks(count=50, voxel_size=(0.1, 0.1, 0.1)), 2, bins=11, frame_interval=0.5)
    np.testing.assert_allclose(microns.distance, 0.1 * pixels.distance, atol=1e-12)
    np.testing.assert_allclose(microns.g, 10 * pixels.g)
    assert microns.lag_s.tolist() == [1.0]


def test_it_is_drawn_with_its_gaussian(isotropic):
    ax = van_hove(isotropic, [1, 2]).plot()
    assert len(ax.get_lines()) == 4
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x (px)", "G_s (1/px)")
    radial = van_hove(isotropic, 1, radial=True, frame_interval=2.0)
    assert radial.plot(ax).get_ylabel() == "G_s (1/px³)"
    assert "lags 1 frames" in repr(radial)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lags": 0}, "lags must be positive"),
        ({"lags": [1.5]}, "lags must be positive"),
        ({"lags": []}, "lags must be positive"),
        ({"lags": 30}, "tracked over 30 frames"),
        ({"bins": 0}, "bins"),
        ({"max_distance": 0}, "max_distance"),
        ({"radial": "yes"}, "radial"),
        ({"axes": ""}, "axes"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(isotropic, options, words):
    with pytest.raises(ColloidsError, match=words):
        van_hove(isotropic, **options)


def test_particles_at_rest_need_a_range(walks):
    still = walks(count=5, frames=3, steps=(0, 0, 0))
    with pytest.raises(ColloidsError, match="No particle moves"):
        van_hove(still)
    assert van_hove(still, max_distance=1, bins=3).g[0].tolist() == [0, 1.5, 0]
