"""Rendering of spheres in a box, and the normal equations of their fit against a dense reference."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_colloids.refinement.equations import Jacobian
from napari_colloids.refinement.polynomials import N_TERMS, LegendreBasis
from napari_colloids.refinement.profile import DERIVATIVE_REACH, Profile
from napari_colloids.refinement.spheres import Spheres, draw
from napari_colloids.refinement.templates import N_PARAMETERS

PROFILE = Profile((3.5, 4.5), (1.6, 1.0))
SHAPE = (26, 28, 30)
LOW = np.array([3, -2, 5])
#: Two that touch, two of their own, and one centred outside the box.
PLACES = np.array([[8, 9, 8.3], [8.2, 9.1, 16.5], [17.4, 14, 12], [20, 21, 24], [-1, 14, 14]])


def some_spheres(places=PLACES, seed=0):
    rng = np.random.default_rng(seed)
    count = len(places)
    return Spheres(LOW + places, rng.uniform(3.6, 4.4, count), rng.uniform(50, 100, count))


def assembled(spheres, seed=1, profile=PROFILE, shape=SHAPE):
    """Return equations with random weights, residual and shared columns."""
    rng = np.random.default_rng(seed)
    weight, background_weight = (0.1 * rng.uniform(0.5, 1.5, (2, *shape))).astype(np.float32)
    residual = rng.normal(size=shape).astype(np.float32)
    columns = list(rng.normal(size=(2, *shape)).astype(np.float32))
    basis = LegendreBasis.over(LOW, shape)
    return Jacobian.at(spheres, profile, basis, weight, background_weight, columns).normal_equations(residual)


@pytest.fixture(scope="session")
def images_of(templates_in):
    """Draw template and derivatives of one sphere in a box, for brightness 1."""

    def drawn(spheres, number, low, shape, profile=PROFILE, reach=4.0):
        place = spheres.positions[number] - low
        return templates_in(profile, place, spheres.radii[number], shape, reach=reach)

    return drawn


@pytest.fixture(scope="session")
def assembled_in_full(images_of):
    """Set up the same equations from the derivatives of all voxels: matrix and right-hand side."""
    return partial(_assembled_in_full, images_of)


def _assembled_in_full(images_of, spheres, seed=1, profile=PROFILE, reach=DERIVATIVE_REACH):
    rng = np.random.default_rng(seed)
    weight, background_weight = 0.1 * rng.uniform(0.5, 1.5, (2, *SHAPE))
    residual, columns = rng.normal(size=SHAPE), rng.normal(size=(2, *SHAPE))
    rows = []
    for number, brightness in enumerate(spheres.brightness):
        value, *slopes = images_of(spheres, number, LOW, SHAPE, profile, reach)
        rows += [value * weight, *(slope * weight * brightness for slope in slopes)]
    rows += [*(LegendreBasis.over(LOW, SHAPE).images() * background_weight), *columns]
    jacobian = np.array([row.ravel() for row in rows], float)
    return jacobian @ jacobian.T, jacobian @ residual.ravel()


def in_full(equations):
    spheres = equations.matrix().toarray()
    mixed = equations.cross.reshape(len(spheres), -1)
    matrix = np.block([[spheres, mixed], [mixed.T, equations.shared]])
    return matrix, np.append(equations.rhs, equations.shared_rhs)


def with_priors(equations):
    count, shared = len(equations.blocks), len(equations.shared)
    rng = np.random.default_rng(2)
    return equations.with_priors(
        rng.uniform(0.01, 0.1, (count, N_PARAMETERS)),
        rng.normal(size=(count, N_PARAMETERS)),
        np.full(shared, 0.01),
        np.ones(shared),
    )


@settings(max_examples=10, deadline=None)
@given(
    places=st.lists(st.tuples(*[st.floats(-6, 30)] * 3), min_size=1, max_size=5),
    corner=st.tuples(*[st.integers(-9, 9)] * 3),
)
def test_an_image_is_the_sum_of_the_templates_cut_off_at_the_box(images_of, places, corner):
    spheres = some_spheres(np.array(places))
    low, shape = np.array(corner), (12, 25, 18)
    expected = sum(
        brightness * images_of(spheres, number, low, shape)[0] for number, brightness in enumerate(spheres.brightness)
    )
    # Beyond its window, where it is cut off, a template is as faint as this.
    np.testing.assert_allclose(draw(spheres, PROFILE, low, shape), expected, atol=0.003 * spheres.brightness.sum())


def test_a_box_shows_its_part_of_the_drawing():
    spheres = some_spheres()
    whole = draw(spheres, PROFILE, LOW, SHAPE)
    part = draw(spheres, PROFILE, LOW + np.array([5, 0, 9]), (10, 28, 7))
    np.testing.assert_allclose(part, whole[5:15, :, 9:16], atol=1e-3)
    assert draw(spheres, PROFILE, LOW + 200, SHAPE).max() == 0
    assert whole.max() > 50


def test_nothing_is_drawn_of_no_spheres():
    none = Spheres(np.empty((0, 3)), np.empty(0), np.empty(0))
    assert draw(none, PROFILE, LOW, SHAPE).max() == 0


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("what", ["place", "radius"])
def test_spheres_that_are_nowhere_are_not_drawn(what, odd):
    spheres = some_spheres()
    lost = Spheres(spheres.positions.copy(), spheres.radii.copy(), spheres.brightness)
    if what == "place":
        lost.positions[1, 2] = odd
    else:
        lost.radii[1] = -abs(odd) if odd == 1e300 else odd
    rest = spheres[np.arange(len(spheres)) != 1]
    np.testing.assert_allclose(draw(lost, PROFILE, LOW, SHAPE), draw(rest, PROFILE, LOW, SHAPE), atol=1e-4)


def test_spheres_of_very_different_size_are_all_drawn(images_of):
    profile = Profile((3.0, 9.0), (1.6, 1.0))
    places = np.array([[12, 8, 8], [13, 20, 20], [12, 20, 4]], float)
    spheres = Spheres(LOW + places, np.array([3.0, 9.0, 5.0]), np.array([90.0, 50.0, 70.0]))
    expected = sum(b * images_of(spheres, k, LOW, SHAPE, profile)[0] for k, b in enumerate(spheres.brightness))
    np.testing.assert_allclose(draw(spheres, profile, LOW, SHAPE), expected, atol=0.6)


def test_the_equations_are_those_of_all_derivatives(assembled_in_full):
    equations = assembled(some_spheres())
    matrix, right = assembled_in_full(some_spheres())
    found, found_right = in_full(equations)
    unit = 1 / np.sqrt(np.diag(matrix))
    np.testing.assert_allclose(found * unit[:, None] * unit, matrix * unit[:, None] * unit, atol=5e-4)
    np.testing.assert_allclose(found_right * unit, right * unit, atol=0.01)
    assert len(equations.shared) == N_TERMS + 2


def test_what_lies_beyond_the_derivatives_says_little(assembled_in_full):
    found, _ = in_full(assembled(some_spheres()))
    matrix, _ = assembled_in_full(some_spheres(), reach=4.0)
    assert (np.diag(found) / np.diag(matrix)).min() > 0.99
    assert np.linalg.slogdet(found)[1] > np.linalg.slogdet(matrix)[1] - 0.01 * len(matrix)


def test_equations_of_tall_voxels(assembled_in_full):
    profile = Profile((3.5, 4.5), (1.6, 1.0), 0.5, 2.0)
    places = np.array([[6, 9, 8.3], [6.2, 9.1, 16.5], [10.2, 10, 9], [20, 21, 24]])
    found, _ = in_full(assembled(some_spheres(places), profile=profile))
    matrix, _ = assembled_in_full(some_spheres(places), profile=profile)
    unit = 1 / np.sqrt(np.diag(matrix))
    np.testing.assert_allclose(found * unit[:, None] * unit, matrix * unit[:, None] * unit, atol=5e-4)


def test_only_spheres_whose_templates_meet_are_coupled(assembled_in_full):
    coupled = {tuple(pair) for pair in assembled(some_spheres()).pairs.tolist()}
    matrix, _ = assembled_in_full(some_spheres(), reach=4.0)
    assert (0, 1) in coupled
    assert (0, 3) not in coupled
    assert all(i < j for i, j in coupled)
    for i in range(len(PLACES)):
        for j in range(i + 1, len(PLACES)):
            block = matrix[N_PARAMETERS * i : N_PARAMETERS * (i + 1), N_PARAMETERS * j : N_PARAMETERS * (j + 1)]
            if (i, j) not in coupled:
                assert np.abs(block).max() < 1e-3 * np.diag(matrix).min()


def test_priors_are_added():
    equations = assembled(some_spheres())
    before, right = in_full(equations)
    rng = np.random.default_rng(3)
    precision, gradient = rng.uniform(size=(2, len(PLACES), N_PARAMETERS))
    shared_precision, shared_gradient = rng.uniform(size=(2, N_TERMS + 2))
    after, right_after = in_full(equations.with_priors(precision, gradient, shared_precision, shared_gradient))
    np.testing.assert_allclose(after - before, np.diag(np.append(precision, shared_precision)), atol=1e-9)
    np.testing.assert_allclose(right_after - right, np.append(gradient, shared_gradient), atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_the_solution_is_that_of_the_full_equations(seed):
    equations = with_priors(assembled(some_spheres(seed=seed), seed=seed))
    matrix, right = in_full(equations)
    expected = np.linalg.solve(matrix, right)
    error = np.append(*equations.solve()) - expected
    assert error @ matrix @ error < 1e-6 * (expected @ matrix @ expected)


def test_the_solution_without_shared_numbers():
    equations = with_priors(assembled(some_spheres()))
    nothing = np.zeros((len(PLACES), N_PARAMETERS, 0))
    alone = type(equations)(
        *(equations.blocks, equations.pairs, equations.couplings, equations.rhs),
        *(nothing, np.zeros((0, 0)), np.zeros(0)),
    )
    changes, shared = alone.solve()
    expected = np.linalg.solve(alone.matrix().toarray(), alone.rhs.ravel())
    np.testing.assert_allclose(changes.ravel(), expected, atol=1e-3 * np.abs(expected).max())
    assert shared.shape == (0,)


def covariances_in_full(equations):
    inverse = np.linalg.inv(equations.matrix().toarray())
    count = len(equations.blocks)
    blocks = inverse.reshape(count, N_PARAMETERS, count, N_PARAMETERS)
    return blocks[np.arange(count), :, np.arange(count)]


def test_covariances_are_those_of_the_inverse():
    equations = with_priors(assembled(some_spheres()))
    covariances, expected = equations.covariances(), covariances_in_full(equations)
    unit = 1 / np.sqrt(np.einsum("nii->ni", expected))
    np.testing.assert_allclose(
        covariances * unit[:, :, None] * unit[:, None, :], expected * unit[:, :, None] * unit[:, None, :], atol=1e-3
    )


def test_covariances_in_a_crystal_of_touching_spheres():
    """There, each sphere is coupled to more than those that are free when its error is taken."""
    cubes = np.stack(np.meshgrid(*[np.arange(3)] * 3, indexing="ij"), -1).reshape(-1, 3)
    lattice = np.concatenate([cubes + shift for shift in ([0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0])])
    equations = assembled(some_spheres(2 + lattice * 8 * np.sqrt(2)), shape=(36, 36, 36))
    equations = with_priors(equations)
    neighbours = np.bincount(equations.pairs.ravel())
    assert neighbours.max() > 20
    found = np.sqrt(np.einsum("nii->ni", equations.covariances()))
    expected = np.sqrt(np.einsum("nii->ni", covariances_in_full(equations)))
    np.testing.assert_allclose(found, expected, rtol=0.1)
    alone = np.sqrt(np.einsum("nii->ni", np.linalg.inv(equations.blocks)))
    # The neighbours do matter.
    assert (expected / alone).max() > 1.1
