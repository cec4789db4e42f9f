"""`refine` as a user calls it: more exact positions, correct standard errors, and nothing made worse."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import uniform_filter1d
from scipy.spatial import cKDTree
from threadpoolctl import threadpool_info, threadpool_limits

from napari_colloids import ColloidsError
from napari_colloids.particles import ERRORS, POSITION, positions_of
from napari_colloids.progress import result_of
from napari_colloids.refinement import Residual, iter_refine, refine
from napari_colloids.simulation import simulate
from napari_colloids.stack import Stack

#: The module, which the function of the same name hides in its package.
MODULE = sys.modules["napari_colloids.refinement.refine"]


def standard_errors(table):
    return table[ERRORS].to_numpy()


def test_positions_are_more_exact(dense):
    assert (dense.gain() > 1.5).all()
    assert np.abs(dense.errors().mean(axis=0)).max() < 0.03
    assert np.abs(dense.errors()).max() < 0.6


def test_radii_are_more_exact(dense):
    assert dense.refined["radius"].mean() == pytest.approx(5, rel=0.01)
    spread = (dense.refined["radius"] - 5).std() / (dense.start["radius"] - 5).std()
    assert spread < 0.5


def test_standard_errors_cover_the_true_errors(dense):
    pull, stated = dense.pulls(), standard_errors(dense.refined)
    assert 0.55 < np.mean(np.abs(pull) < 1) < 0.8
    # Of so small a stack many particles lie at its faces, where those outside disturb them.
    assert np.mean(np.abs(pull) < 2) > 0.82
    # Along the long axis of the PSF less is known.
    assert (np.median(stated[:, 0]) > 1.1 * np.median(stated[:, 1:3], axis=0)).all()
    off = np.abs(dense.refined["radius"] - 5)
    assert np.mean(off < 3 * stated[:, 3]) > 0.9


def test_the_table_says_what_was_done(dense):
    assert list(dense.refined.columns) == [*POSITION, "radius", *ERRORS, "refined", "misfit"]
    assert (dense.refined["refined"] == 1).all()
    assert np.isfinite(dense.refined.to_numpy()).all()
    # In the order of the detections; what else is there, of which none was undetected, lies just at a face.
    ours, others = np.split(positions_of(dense.refined), [len(dense.start)])
    assert np.linalg.norm(ours - positions_of(dense.start), axis=1).max() < 1.5
    assert (np.abs(others - 20.5).max(axis=1, initial=21) > 20).all()
    assert dense.refined.attrs["notices"] == []


def test_progress_is_reported(dense):
    total = dense.steps[-1][1]
    assert dense.steps[-1] == (total, total)
    assert [done for done, _ in dense.steps] == sorted(done for done, _ in dense.steps)


def test_blas_keeps_to_one_thread_until_the_fit_ends(dense):
    seen = set()

    def look(done, total):
        seen.update(library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas")
        if done:
            raise KeyboardInterrupt

    with threadpool_limits(2, user_api="blas"):
        with pytest.raises(KeyboardInterrupt):
            refine(dense.simulation.stack, dense.start, progress=look)
        assert seen == {1}
        assert {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"} == {2}


def test_blocks_cost_no_exactness(dense, monkeypatch):
    monkeypatch.setattr(MODULE, "_PARTICLES_PER_BLOCK_RANGE", (25, 25))
    steps = []
    blocks = refine(dense.simulation.stack, dense.start, progress=lambda *step: steps.append(step))
    assert steps[-1][1] > 4
    count = len(dense.start)
    assert len(blocks) >= count
    assert len(cKDTree(positions_of(blocks)).query_pairs(5.0)) == 0  # nobody is in two blocks
    change = (positions_of(blocks) - positions_of(dense.refined)[: len(blocks)])[:count]
    assert np.sqrt(np.mean((change / standard_errors(dense.refined)[:count, :3]) ** 2)) < 0.7
    exact, whole = (np.sqrt(np.mean(dense.errors(table) ** 2)) for table in (blocks, dense.refined))
    assert exact < 1.1 * whole
    np.testing.assert_allclose(standard_errors(blocks)[:count], standard_errors(dense.refined)[:count], rtol=0.25)


def test_y_and_x_are_treated_alike(dense):
    start = dense.start.rename(columns={"y": "x", "x": "y"})
    turned = refine(dense.simulation.stack.data.transpose(0, 2, 1), start)
    expected = dense.refined.rename(columns={"y": "x", "x": "y", "y_err": "x_err", "x_err": "y_err"})
    turned, expected = (table.iloc[: len(start)] for table in (turned, expected))
    np.testing.assert_allclose(positions_of(turned), positions_of(expected), atol=0.01)
    np.testing.assert_allclose(standard_errors(turned), standard_errors(expected), rtol=0.05)
    tilt = dense.refined.attrs["psf_tilt"]
    assert turned.attrs["psf_tilt"] == pytest.approx(tilt[::-1], abs=0.005)


def test_radii_of_a_polydisperse_sample(make_scene):
    scene = make_scene(polydispersity=0.1, snr=8, cnr=7)
    assert scene.refined.attrs["polydispersity"] == pytest.approx(0.1, abs=0.04)
    truth, found = scene.simulation.particles["radius"].to_numpy(), scene.refined["radius"].to_numpy()
    assert np.corrcoef(truth, found[: len(truth)])[0, 1] > 0.95
    before = np.std(scene.start["radius"].to_numpy() - truth)
    assert np.std(found[: len(truth)] - truth) < 0.6 * before
    assert (scene.gain() > 1.5).all()


def test_tall_voxels(make_scene):
    scene = make_scene(
        shape=(24, 44, 44), radius=6, voxel_aspect=2.0, voxel_size=0.1, psf_sigma=(1.2, 1.2, 1.2), snr=8, cnr=7
    )
    assert (scene.gain() > 1.5).all()
    assert 0.5 < np.mean(np.abs(scene.pulls()) < 1) < 0.85
    assert scene.refined.attrs["psf_sigma"] == pytest.approx([2.4, 1.2], rel=0.08)
    np.testing.assert_allclose(scene.refined["z_um"], scene.refined["z"] * 0.2)
    np.testing.assert_allclose(scene.refined["radius_um"], scene.refined["radius"] * 0.1)


def test_large_particles_are_binned_and_given_in_voxels_of_the_stack(make_scene):
    scene = make_scene(shape=(60, 61, 62), radius=11, psf_sigma=(4.0, 2.4, 2.4), snr=4, cnr=4)
    assert (scene.gain() > 1.5).all()
    assert np.abs(scene.errors().mean(axis=0)).max() < 0.1
    assert scene.refined["radius"].mean() == pytest.approx(11, rel=0.02)
    assert scene.refined.attrs["psf_sigma"] == pytest.approx([4, 2.4], rel=0.08)
    assert 0.5 < np.sqrt(np.mean(scene.pulls() ** 2)) < 2


@pytest.mark.parametrize(
    ("radius", "optics"),
    [
        (12, {"psf_sigma": (3, 1.3, 1.3), "snr": 5, "cnr": 5}),
        # Sharper than the bins that would be fine enough for particles of this size.
        (16, {"psf_sigma": (2, 1.2, 1.2), "snr": 10, "cnr": 10, "bits": 16}),
    ],
)
def test_large_particles_before_a_dark_background(make_scene, radius, optics):
    edge = round(6.3 * radius)
    scene = make_scene(shape=(edge, edge, edge), radius=radius, volume_fraction=0.35, **optics)
    levels = 257 if "bits" in optics else 1
    facts = scene.refined.attrs
    assert 15 * levels < facts["background"] < 30 * levels
    assert facts["psf_sigma"] == pytest.approx([*optics["psf_sigma"][:2]], rel=0.08)
    assert scene.refined["radius"].mean() == pytest.approx(radius, rel=0.005)
    assert (scene.gain() > 1.5).all()
    assert 0.5 < np.sqrt(np.mean(scene.pulls() ** 2)) < 2


@pytest.mark.parametrize("levels", [{"bits": 16}, {"snr": 4, "cnr": 4, "brightness": 235}])
def test_sixteen_bits_and_grey_levels_that_are_cut_off(make_scene, levels):
    scene = make_scene(shape=(36, 36, 36), **levels)
    if "bits" not in levels:
        for end in (0, 255):
            assert np.mean(scene.simulation.stack.data == end) > 0.01
    assert (scene.gain() > 1.3).all()
    assert 0.5 < np.mean(np.abs(scene.pulls()) < 1) < 0.85


@pytest.fixture(scope="module")
def disturbed(dilute, guess):
    """A table in which one particle is missing, one is far off and one is in the void, refined; and who they are."""
    truth = positions_of(dilute.particles)
    inner = np.flatnonzero(((truth > 6) & (truth < 33)).all(axis=1))
    missed, astray = inner[0], inner[-1]
    grid = np.stack(np.meshgrid(*[np.arange(7, 33)] * 3, indexing="ij"), -1).reshape(-1, 3)
    void = grid[cKDTree(truth).query(grid)[0].argmax()]
    start = guess(dilute)
    start.loc[astray, "z"] += 4
    wrong = pd.DataFrame({"z": [void[0]], "y": [void[1]], "x": [void[2]], "radius": [5.0]})
    table = pd.concat([start.drop(index=missed), wrong], ignore_index=True)
    return table, refine(dilute.stack, table), truth[missed], start.loc[astray, POSITION].to_numpy(float), void


def test_an_undetected_particle_is_found_in_the_residual(disturbed):
    _, refined, missed, _, _ = disturbed
    assert np.linalg.norm(positions_of(refined)[-1] - missed) < 0.4
    assert refined["refined"].iloc[-1] == 1
    assert refined["radius"].iloc[-1] == pytest.approx(5, rel=0.05)


def test_a_detection_in_the_void_is_dropped(disturbed):
    table, refined, _, _, void = disturbed
    assert np.linalg.norm(positions_of(refined) - void, axis=1).min() > 5
    assert len(refined) == len(table)  # one found, one dropped


def test_a_detection_far_off_goes_where_its_particle_is(disturbed, dilute):
    table, refined, _, astray, _ = disturbed
    row = np.flatnonzero((positions_of(table) == astray).all(axis=1))[0]
    assert (refined["refined"] == 1).all()
    truth = positions_of(dilute.particles)
    assert np.linalg.norm(positions_of(refined)[row] - astray + [4, 0, 0]) < 1
    assert np.linalg.norm(truth - positions_of(refined)[row], axis=1).min() < 0.4


def test_light_that_no_sphere_explains_adds_and_drops_nothing():
    parameters = {"shape": (52, 52, 52), "radius": 5, "volume_fraction": 0.15, "psf_sigma": (1.5, 1.1, 1.1)}
    simulation = simulate(**parameters, snr=40, cnr=40, seed=3)
    light = simulation.stack.data.astype(float)
    light -= np.percentile(light, 2)
    # Streaks along z, longer than any PSF that the model knows.
    light = 0.4 * light + 0.6 * uniform_filter1d(light, 21, axis=0)
    streaked = light + np.random.default_rng(0).normal(0, 0.02 * light.max(), light.shape)
    start = simulation.particles[["z", "y", "x", "radius"]]
    refined = refine(streaked, start)
    assert refined["refined"].any()
    added = cKDTree(positions_of(start)).query(positions_of(refined))[0] > 4
    assert added.sum() <= 1  # a dozen, were the residual taken for particles
    assert len(refined) - added.sum() == len(start)


def test_detections_just_outside_help_those_inside(guess):
    simulation = simulate(
        shape=(38, 38, 38), volume_fraction=0.45, radius=5, psf_sigma=(2.0, 1.2, 1.2), snr=6, cnr=6, seed=4
    )
    cut = slice(4, 34)
    image, start = simulation.stack.data[cut, cut, cut], guess(simulation)
    start[POSITION] -= 4
    truth = positions_of(simulation.particles) - 4
    found = refine(image, start)
    # Also those outside are still there, in their order.
    assert np.linalg.norm(positions_of(found)[: len(start)] - truth, axis=1).max() < 1.5
    inside = ((truth > -0.5) & (truth < 29.5)).all(axis=1)
    assert 5 < inside.sum() < len(start) - 5
    before, after = (np.std((positions_of(table)[: len(start)] - truth)[inside]) for table in (start, found))
    assert after < before / 1.5


def test_voxels_that_are_not_known(dense):
    image = dense.simulation.stack.data.astype(np.float32)
    image[np.random.default_rng(0).uniform(size=image.shape) < 0.1] = np.nan
    image[20:23, 20:23, 20:23] = np.nan
    holes = refine(image, dense.start)
    assert len(holes) >= len(dense.start)
    assert np.isfinite(positions_of(holes)).all()
    before, after = (np.sqrt(np.mean(dense.errors(table) ** 2, axis=0)) for table in (dense.start, holes))
    assert (before / after > 1.4).all()


@pytest.mark.parametrize("count", [0, 1, 4])
def test_too_few_particles_stay_as_they_are(dense, count):
    few = dense.start.iloc[:count]
    refined = refine(dense.simulation.stack, few)
    np.testing.assert_array_equal(refined[few.columns], few)
    assert list(refined.columns) == list(dense.refined.columns)
    assert (refined["refined"] == 0).all()
    assert refined[ERRORS].isna().all(axis=None)
    assert len(refined.attrs["notices"]) == 1
    assert "5 particles" in refined.attrs["notices"][0]


@pytest.mark.parametrize(
    "image",
    [np.zeros((40, 40, 40)), np.random.default_rng(0).normal(100, 10, (40, 40, 40))],
    ids=["black", "noise"],
)
def test_an_image_without_particles_leaves_them_as_they_are(image, dilute, guess):
    start = guess(dilute)
    refined = refine(image, start)
    np.testing.assert_array_equal(refined[start.columns], start)
    assert (refined["refined"] == 0).all()
    (notice,) = refined.attrs["notices"]
    assert notice.startswith("Not refined: ")


def test_the_size_can_be_given_instead_of_radii(dense):
    bare = dense.start[POSITION].iloc[::-1]
    count = len(bare)
    refined = refine(dense.simulation.stack, bare, diameter=10).iloc[:count]
    # Whatever the order of the detections.
    np.testing.assert_allclose(positions_of(refined)[::-1], positions_of(dense.refined)[:count], atol=0.5)
    with pytest.raises(ColloidsError, match="radius"):
        refine(dense.simulation.stack, bare)


@pytest.mark.parametrize(
    ("stack", "table"),
    [
        (np.zeros((9, 9)), pd.DataFrame({"z": [1.0], "y": [1.0], "x": [1.0], "radius": [2.0]})),
        (np.zeros((9, 9, 9)), pd.DataFrame({"y": [1.0], "x": [1.0], "radius": [2.0]})),
        (np.zeros((9, 9, 9)), pd.DataFrame({"z": [np.inf], "y": [1.0], "x": [1.0], "radius": [2.0]})),
    ],
)
def test_what_cannot_be_used_is_one_clear_error(stack, table):
    with pytest.raises(ColloidsError):
        refine(stack, table)


def test_a_table_of_one_frame_is_fitted_to_that_frame(dense):
    image = np.asarray(dense.simulation.stack.data)
    series = Stack(np.stack([image[::-1], image]), "tzyx")
    refined = refine(series, dense.start.assign(frame=1))
    pd.testing.assert_frame_equal(refined.drop(columns="frame"), dense.refined)
    assert (refined["frame"] == 1).all()
    with pytest.raises(ColloidsError, match="do not say which"):
        refine(series, dense.start)
    for column in ("frame", "channel"):
        with pytest.raises(ColloidsError, match=f"several {column}s"):
            refine(series, dense.start.assign(**{column: np.arange(len(dense.start)) % 2}))


def test_closing_the_generator_cancels(dense):
    stack = dense.simulation.stack
    steps = iter_refine(stack.data, positions_of(dense.start), dense.start["radius"].to_numpy(), 10.0)
    first = next(steps)
    assert first.done == 0
    steps.close()
    with pytest.raises(StopIteration):
        next(steps)


def test_only_what_is_needed_is_read(dense):
    """Stacks in files are read part by part."""
    boxes = []

    class Watched:
        shape, dtype, ndim = dense.simulation.stack.data.shape, dense.simulation.stack.data.dtype, 3

        def __getitem__(self, box):
            boxes.append(box)
            return dense.simulation.stack.data[box]

    corner = dense.start[(positions_of(dense.start) < 20).all(axis=1)]
    refine(Stack(Watched()), corner)
    assert max(part.stop for box in boxes for part in box) < 42


@pytest.mark.parametrize("level", [0.0, 7.0])
def test_a_constant_image_leaves_all_as_it_is(level):
    particles = pd.DataFrame(np.random.default_rng(0).uniform(5, 35, (12, 3)), columns=POSITION).assign(radius=5.0)
    table = refine(np.full((40, 40, 40), level), particles)
    assert (table["refined"] == 0).all()
    np.testing.assert_array_equal(positions_of(table), positions_of(particles))
    assert len(table.attrs["notices"]) == 1


@pytest.mark.parametrize("diameter", [0.0, -3.0, float("nan")])
def test_impossible_sizes(diameter):
    particles = pd.DataFrame(np.full((6, 3), 10.0), columns=POSITION)
    with pytest.raises(ColloidsError, match=r"sizes must be positive|diameter must be finite"):
        refine(np.zeros((20, 20, 20)), particles, diameter=diameter)


def test_positions_in_an_array_and_the_voxel_size_of_an_array(dense):
    image = np.asarray(dense.simulation.stack.data)
    table = refine(image, dense.start[POSITION].to_numpy(), diameter=10, voxel_size=(0.1, 0.1, 0.1))
    np.testing.assert_allclose(table["z_um"], 0.1 * table["z"])
    expected = refine(image, dense.start[POSITION], diameter=10)
    pd.testing.assert_frame_equal(table[expected.columns], expected)
    with pytest.raises(ColloidsError, match="as long along y as along x"):
        refine(image, dense.start, voxel_size=(0.1, 0.1, 0.2))


def test_results_print_in_a_few_lines(dense):
    image, start = dense.simulation.stack.data, dense.start
    found = result_of(iter_refine(image, positions_of(start), start["radius"].to_numpy(), 10.0))
    axial, lateral = found.facts["psf_sigma"]
    count = len(found.radii)
    assert repr(found) == (
        f"Refinement({count} particles, {count} refined, psf_sigma=({axial:.3g}, {lateral:.3g}) lateral voxels)"
    )
    none = result_of(iter_refine(image, positions_of(start)[:2], np.full(2, 5.0), 10.0))
    assert repr(none).splitlines() == ["Refinement(2 particles, 0 refined)", *none.notices]
    residual = Residual(np.array([[[1.0, -1.0]]], np.float32), (1, 2, 2))
    assert repr(residual) == "Residual(shape=(1, 1, 2), bins=(1, 2, 2), standard deviation 1 grey levels)"
