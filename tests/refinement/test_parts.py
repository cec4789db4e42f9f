"""The parts of the fit: binned voxels, blocks, what changes slowly, and what is found in a residual."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_colloids.refinement.fit import Box, Model, with_lamp
from napari_colloids.refinement.grid import Grid
from napari_colloids.refinement.optics import Detector, Optics
from napari_colloids.refinement.partition import cut_by_count
from napari_colloids.refinement.polynomials import TERMS, Slow
from napari_colloids.refinement.profile import Profile
from napari_colloids.refinement.residual_search import find_missed
from napari_colloids.refinement.spheres import Spheres, draw


@pytest.mark.parametrize(
    ("diameter", "aspect", "bins", "shape"),
    [
        (9.9, 1.0, (1, 1, 1), (41, 43, 47)),
        (20.0, 1.0, (2, 2, 2), (20, 21, 23)),
        (30.0, 3.0, (1, 3, 3), (41, 14, 15)),
        (30.0, 1.0, (3, 3, 3), (13, 14, 15)),
        (4000.0, 1.0, (41, 43, 43), (1, 1, 1)),
    ],
)
def test_large_particles_are_binned(diameter, aspect, bins, shape):
    grid = Grid.of((41, 43, 47), diameter, aspect)
    assert (grid.bins, grid.shape) == (bins, shape)
    assert grid.averaged == np.prod(bins)
    assert grid.aspect == pytest.approx(aspect * bins[0] / bins[2])


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(*[st.floats(-50, 50)] * 3), min_size=1, max_size=5))
def test_positions_go_to_the_grid_and_back(places):
    grid = Grid((3, 2, 2), (5, 9, 9), 1.5)
    positions = np.array(places)
    np.testing.assert_allclose(grid.to_source(grid.to_grid(positions)), positions, atol=1e-9)


def test_a_voxel_of_the_grid_is_the_mean_of_its_own():
    image = np.random.default_rng(0).normal(size=(9, 8, 8))
    image[4, 2, 5] = np.nan
    grid = Grid((3, 2, 2), (3, 4, 4), 1.5)
    low, high = np.array([1, 0, 1]), np.array([3, 3, 4])
    box = grid.read(image, low, high)
    assert box.shape == (2, 3, 3)
    expected = image[3:9, 0:6, 2:8].reshape(2, 3, 3, 2, 3, 2).mean(axis=(1, 3, 5))
    known = np.isfinite(expected)
    np.testing.assert_array_equal(box.known, known)
    assert (~known).sum() == 1
    np.testing.assert_allclose(box.image[known], expected[known], rtol=1e-5)
    assert np.isfinite(box.image).all()
    # The light of a voxel of the grid lies in the middle of those of the stack.
    z, y, x = np.indices((9, 8, 8))
    for axis, ramp in enumerate((z, y, x)):
        centres = grid.to_source(np.indices((3, 4, 4)).reshape(3, -1).T)[:, axis]
        np.testing.assert_allclose(grid.read(ramp, np.zeros(3, int), np.array([3, 4, 4])).image.ravel(), centres)


def test_grey_levels_that_are_cut_off_are_told():
    levels = np.random.default_rng(0).normal(100, 80, (20, 20, 20))
    grid = Grid((1, 1, 1), (20, 20, 20), 1.0)
    box = np.zeros(3, int), np.full(3, 20)
    assert grid.limits(levels, *box) == (-np.inf, np.inf)
    assert grid.limits(np.clip(levels, 0, None), *box) == (0.0, np.inf)
    assert grid.limits(np.clip(levels, 0, 255), *box) == (0.0, 255.0)


@settings(max_examples=30, deadline=None)
@given(count=st.integers(0, 200), most=st.integers(1, 50), seed=st.integers(0, 5))
def test_every_particle_belongs_to_one_block_of_at_most_so_many(count, most, seed):
    rng = np.random.default_rng(seed)
    positions = rng.uniform(0, [30, 10, 100], (count, 3))
    cores = cut_by_count(positions, most, np.ones(3))
    owners = np.array([core.holds(positions) for core in cores])
    assert (owners.sum(axis=0) == 1).all()
    assert owners.sum(axis=1).max() <= most
    # So does every place, also those beyond the particles.
    anywhere = rng.uniform(-200, 200, (100, 3))
    assert (np.array([core.holds(anywhere) for core in cores]).sum(axis=0) == 1).all()
    assert len(cores) <= max(4 * count / most, 1)


def test_blocks_of_particles_in_one_place():
    same = np.zeros((20, 3))
    assert len(cut_by_count(same, 5, np.ones(3))) == 1
    some = np.concatenate([same, [[0.0, 0.0, 1.0]]])
    owners = np.array([core.holds(some) for core in cut_by_count(some, 5, np.ones(3))])
    assert (owners.sum(axis=0) == 1).all()


def test_blocks_are_cut_across_the_longest_side():
    positions = np.random.default_rng(0).uniform(0, [30, 20, 20], (100, 3))
    first, second = cut_by_count(positions, 60, np.ones(3))
    assert first.high[0] == second.low[0] < np.inf
    first, second = cut_by_count(positions, 60, np.array([0.1, 1, 2]))
    assert first.high[2] == second.low[2] < np.inf


def test_slow_terms_are_one_thing_in_all_their_forms():
    rng = np.random.default_rng(0)
    low, shape = np.array([5, -3, 2]), (6, 8, 7)
    slow = Slow.over(low, shape)
    terms = slow.images()
    assert terms.shape == (TERMS, *shape)
    assert (terms[0] == 1).all()
    weights = rng.normal(size=TERMS)
    np.testing.assert_allclose(slow.image(weights), np.tensordot(weights, terms, 1), atol=1e-5)
    np.testing.assert_allclose(slow.image(weights[1:]), np.tensordot(weights[1:], terms[1:], 1), atol=1e-5)
    everywhere = np.indices(shape).reshape(3, -1).T + low
    np.testing.assert_allclose(slow.at(everywhere.astype(float)), terms.reshape(TERMS, -1), atol=1e-5)
    images = rng.normal(size=(3, *shape)).astype(np.float32)
    np.testing.assert_allclose(slow.products(images), np.einsum("nzyx,tzyx->nt", images, terms), atol=1e-4)
    products = np.einsum("zyx,szyx,tzyx->st", images[0], terms, terms)
    np.testing.assert_allclose(slow.products_of_terms(images[0]), products, atol=1e-4)
    assert np.linalg.matrix_rank(terms.reshape(TERMS, -1)) == TERMS


PROFILE = Profile((4.5, 5.5), (2.0, 1.2))
PLACES = np.array([[15.0, 14.0, 16.0], [15.0, 26.0, 16.0], [28.0, 20.0, -2.0]])


def left_over(brightness, places=PLACES):
    """Return the residual that some spheres leave in noise of standard deviation 1, and its weight."""
    spheres = Spheres(places, np.full(len(places), 5.0), np.full(len(places), brightness))
    light = draw(spheres, PROFILE, np.zeros(3, int), (34, 36, 34))
    noise = np.random.default_rng(0).standard_normal(light.shape)
    return (light + noise).astype(np.float32), np.ones_like(light)


def found(residual, weight, known=(), brightness=5.0, beyond=6.0):
    return find_missed(residual, weight, PROFILE, 5.0, brightness, np.array(known, dtype=float).reshape(-1, 3), beyond)


def test_spheres_are_found_in_the_residual_also_just_outside():
    places = found(*left_over(5.0))
    assert len(places) == 3
    for truth in PLACES:
        assert np.linalg.norm(places - truth, axis=1).min() < 1.8


def test_nothing_is_found_in_noise_or_where_nothing_is_known():
    residual, weight = left_over(0.0)
    assert found(residual, weight).shape == (0, 3)
    residual, weight = left_over(5.0)
    weight[:, :20] = 0
    residual[weight == 0] = 0
    near_first = np.linalg.norm(found(residual, weight) - PLACES[0], axis=1)
    assert near_first.min(initial=9) > 3


@pytest.mark.parametrize("brightness", [1.5, 15.0])
def test_what_is_much_fainter_or_brighter_than_a_particle_is_none(brightness):
    places = found(*left_over(brightness, PLACES[:1]))
    assert np.linalg.norm(places - PLACES[0], axis=1).min(initial=9) > 3


def test_new_spheres_keep_their_distance():
    residual, weight = left_over(5.0)
    places = found(residual, weight, known=[PLACES[0] + [0, 0, 3]])
    assert len(places) == 2
    assert np.linalg.norm(places - PLACES[0], axis=1).min() > 8


def lamp_of(spread, slope, count=100):
    """Return the logarithm of the lamp at some particles, as it is and as their brightness tells it."""
    rng = np.random.default_rng(2)
    places = rng.uniform(0, 63, (count, 3))
    lit = slope * (places[:, 0] / 31.5 - 1)
    spheres = Spheres(places, np.full(count, 6.0), np.exp(rng.normal(0, spread, count) + lit))
    nothing = np.zeros((64, 64, 64), np.float32)
    box = Box(nothing, nothing, np.zeros(3, int), 1.0)
    model = Model(spheres, Optics((3.0, 1.3)), Detector(), np.zeros(TERMS), np.zeros(TERMS - 1))
    for _ in range(5):  # it stays where it is
        model = with_lamp(model, box)
    told = model.lamp @ box.slow.at(places)[1:]
    np.testing.assert_allclose(model.spheres.brightness * np.exp(told), spheres.brightness)
    return lit, told


@pytest.mark.parametrize("spread", [0.3, 0.5])
def test_particles_of_unequal_brightness_make_no_lamp(spread):
    assert np.std(lamp_of(spread, 0.0)[1]) < 0.1 * spread


@pytest.mark.parametrize("spread", [0.05, 0.3])
def test_a_lamp_is_told_from_unequal_brightness(spread):
    lit, told = lamp_of(spread, 0.5)
    assert np.std(told - lit) < max(0.15 * np.std(lit), 0.3 * spread)


def test_as_few_particles_as_the_lamp_has_terms_tell_of_none():
    assert not lamp_of(0.3, 0.5, count=TERMS)[1].any()
