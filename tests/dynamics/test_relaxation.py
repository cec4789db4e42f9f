"""Relaxation, against Brownian motion whose curves are known, seen with known errors."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.stats import chi2, norm

from napari_colloids import ColloidsError, mean_squared_displacement, particle_table, relaxation
from napari_colloids.dynamics import relaxation_time
from napari_colloids.dynamics.susceptibility import susceptibility
from napari_colloids.dynamics.time_lags import apart

#: Diffusion coefficient in voxels squared a frame, wave number, and distance of the overlap.
DIFFUSION, Q, DISTANCE = 0.05, 1.5, 0.9
ERRORS = (0.3, 0.1, 0.15)


def tracked(paths, errors=None, **columns):
    """Table of trajectories, shape (frames, particles, 3), with the standard errors of each position."""
    frames, count = paths.shape[:2]
    if errors is not None:
        errors = np.broadcast_to(errors, paths.shape).reshape(-1, 3)
        errors = np.column_stack([errors, np.zeros(len(errors))])
    return particle_table(
        paths.reshape(-1, 3),
        errors=errors,
        frame=np.repeat(np.arange(frames), count),
        particle=np.tile(np.arange(count), frames),
        **columns,
    )


def brownian(count=6000, frames=10, seed=0, steps=(2 * DIFFUSION) ** 0.5):
    """Paths of free diffusion, that start at random places."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 100, (count, 3)) + np.cumsum(rng.normal(0, steps, (frames, count, 3)), axis=0)


def seen(paths, errors, seed=1):
    return paths + np.random.default_rng(seed).normal(0, 1, paths.shape) * errors


def relaxed(table, **options):
    return relaxation(table, **{"q": Q, "diameter": DISTANCE / 0.3, **options})


def assert_brownian(found, axes=3):
    """Hold the corrected curves against free diffusion."""
    spread = 2 * DIFFUSION * found.lag
    expected = chi2.cdf(DISTANCE**2 / spread, axes)
    np.testing.assert_allclose(found.msd, axes * spread, rtol=0.03)
    np.testing.assert_allclose(found.fs, np.exp(-(Q**2) * spread / 2), rtol=0.03)
    np.testing.assert_allclose(found.alpha2, 0, atol=0.03)
    np.testing.assert_allclose(found.overlap, expected, atol=0.015)


@pytest.fixture(scope="module")
def noisy():
    return relaxed(tracked(seen(brownian(), ERRORS), ERRORS), frame_interval=0.5)


def test_corrected_curves_are_those_of_brownian_motion(noisy):
    assert noisy.lag.tolist() == [1, 2, 3, 4]
    assert_brownian(noisy)
    assert noisy.notices == []


def test_curves_as_measured_are_visibly_wrong(noisy):
    spread = 2 * DIFFUSION * noisy.lag
    blur = 2 * np.square(ERRORS)
    np.testing.assert_allclose(noisy.msd_raw, 3 * spread + blur.sum(), rtol=0.03)
    widths = spread[0] + blur
    waves = np.exp(-(Q**2) / 2 * (spread[:, None] + blur)).mean(axis=1)
    np.testing.assert_allclose(noisy.fs_raw, waves, rtol=0.03)
    assert noisy.fs_raw[0] < 0.92 * noisy.fs[0]
    assert noisy.alpha2_raw[0] == pytest.approx(0.2 * (3 + 6 * np.sum(widths**2) / np.sum(widths) ** 2) - 1, abs=0.02)
    assert noisy.alpha2_raw[0] > 0.05
    assert noisy.overlap_raw[0] < noisy.overlap[0] - 0.05


def test_errors_that_differ_from_position_to_position_are_taken_off_exactly():
    paths = brownian()
    errors = np.random.default_rng(2).uniform(0.05, 0.4, (*paths.shape[:2], 1)) * (1.0, 0.5, 0.7)
    found = relaxed(tracked(seen(paths, errors), errors))
    assert_brownian(found)
    assert found.msd_raw[0] > 1.5 * found.msd[0]


def test_errors_given_are_those_of_all_positions():
    table = tracked(seen(brownian(), ERRORS))
    assert_brownian(relaxed(table, errors=ERRORS))
    bare = relaxed(table)
    for name in ("msd", "fs", "overlap", "chi4", "alpha2"):
        np.testing.assert_array_equal(getattr(bare, name), getattr(bare, f"{name}_raw"))
    assert "nothing is corrected" in bare.notices[0]
    wrong = tracked(seen(brownian(), ERRORS), (9, 9, 9))
    assert_brownian(relaxed(wrong, errors=ERRORS))


def test_positions_without_errors_take_those_of_the_others():
    table = tracked(seen(brownian(count=4000), ERRORS), ERRORS)
    table.loc[table.index % 5 == 0, ["z_err", "y_err", "x_err"]] = np.nan
    found = relaxed(table)
    assert_brownian(found)
    assert found.notices[0].startswith("8000 of 40000 positions have no standard errors")


def test_lateral_axes_alone_do_not_see_the_axial_errors():
    table = tracked(seen(brownian(), (3, 0, 0)), (0.0, 0.0, 0.0))
    lateral = relaxed(table, axes="xy")
    assert lateral.axes == "yx"
    assert_brownian(lateral, axes=2)
    assert_brownian(relaxed(table, axes="x"), axes=1)
    assert relaxed(table).msd[0] > 10


def test_two_kinds_of_particles_have_the_non_gaussian_parameter_of_a_mixture():
    steps = np.where(np.arange(6000) % 2, 0.5, 0.1)[:, None]
    found = relaxed(tracked(seen(brownian(steps=steps), ERRORS), ERRORS))
    fast, slow = 0.25, 0.01
    expected = (fast**2 + slow**2) / 2 / ((fast + slow) / 2) ** 2 - 1
    np.testing.assert_allclose(found.alpha2, expected, rtol=0.04)


def test_overlap_of_caged_and_jumping_particles_is_that_without_errors():
    rng = np.random.default_rng(3)
    caged = rng.uniform(0, 100, (5000, 3)) + rng.normal(0, 0.2, (8, 5000, 3))
    caged += np.cumsum(rng.random((8, 5000, 1)) < 0.05, axis=0) * rng.normal(0, 2, (5000, 3))
    errors = (0.4, 0.15, 0.15)
    true, found = relaxed(tracked(caged), diameter=2), relaxed(tracked(seen(caged, errors), errors), diameter=2)
    np.testing.assert_allclose(found.overlap, true.overlap, atol=0.015)
    assert np.all(found.overlap_raw < true.overlap - 0.1)


def test_overlap_in_a_flow_stays_as_measured_and_is_told():
    paths = brownian(count=2000, steps=0.1)
    paths[..., 2] += np.arange(10)[:, None]
    flowing = tracked(seen(paths, 0.1), 0.1)
    found = relaxed(flowing)
    assert any("not corrected" in notice for notice in found.notices)
    np.testing.assert_array_equal(found.overlap, found.overlap_raw)
    still = relaxed(flowing, subtract_drift=True)
    np.testing.assert_allclose(still.msd, 3 * 0.1**2 * still.lag, rtol=0.05)
    assert still.overlap[0] == pytest.approx(1, abs=0.001)


def test_errors_larger_than_all_motion_are_told():
    found = relaxed(tracked(seen(brownian(count=50, steps=0.01), 0.1), 0.5))
    assert np.isnan(found.alpha2).all()
    assert any("explain more than the mean squared" in notice for notice in found.notices)


def test_a_non_gaussian_parameter_that_says_nothing_is_told():
    errors = (0.6, 0.1, 0.1)
    table = tracked(seen(brownian(count=100, steps=0.1), errors), errors)
    found = relaxed(table)
    assert not found.alpha2_err[0] < 0.3
    assert any("alpha_2 is not known within 0.3" in notice for notice in found.notices)
    assert not any("alpha_2" in notice for notice in relaxed(table, axes="yx").notices)


@pytest.mark.parametrize("holes", [0.0, 0.3])
def test_susceptibility_of_independent_walkers_is_binomial(holes):
    paths = brownian(count=60, frames=1000)
    table = tracked(paths)
    table = table[np.random.default_rng(4).random(len(table)) >= holes]
    found = relaxed(table, max_lag=3, max_origins=2000)
    expected = chi2.cdf(DISTANCE**2 / (2 * DIFFUSION * found.lag), 3)
    np.testing.assert_allclose(found.chi4 / (expected * (1 - expected)), 1, atol=4 * (2 / 333) ** 0.5)
    np.testing.assert_allclose(found.survivors, 1 - holes, atol=0.01)


def test_susceptibility_of_particles_that_move_as_one_is_their_number_times_as_large():
    paths = np.repeat(brownian(count=1, frames=2000), 20, axis=1)
    found = relaxed(tracked(paths), max_lag=2, max_origins=3000)
    expected = chi2.cdf(DISTANCE**2 / (2 * DIFFUSION * found.lag), 3)
    np.testing.assert_allclose(found.chi4, 20 * expected * (1 - expected), rtol=0.3)


def test_susceptibility_of_long_lags_is_not_lowered_by_intervals_that_overlap():
    rng, lag, found, plain = np.random.default_rng(6), 14, [], []
    for _ in range(500):
        paths = np.cumsum(rng.normal(0, 1, (30, 20)), axis=0)
        near = np.abs(paths[lag:] - paths[:-lag]) < 1.5
        values = near.mean(axis=1)
        found.append(susceptibility(np.arange(len(near)), lag, np.full(len(near), 20.0), values)[0])
        plain.append(20 * values.var(ddof=1))
    share = norm.cdf(1.5 / lag**0.5) - norm.cdf(-1.5 / lag**0.5)
    assert np.mean(found) == pytest.approx(share * (1 - share), rel=0.08)
    assert np.mean(plain) < 0.85 * share * (1 - share)


def test_intervals_that_touch_do_not_overlap():
    groups = apart(np.array([0, 1, 2, 3, 4, 7]), 2)
    assert [group.tolist() for group in groups] == [[0, 2, 4], [1, 3, 5]]


def test_susceptibility_needs_two_intervals_that_do_not_overlap():
    found = relaxed(tracked(brownian(count=20)), max_lag=9)
    np.testing.assert_array_equal(np.isfinite(found.chi4), found.lag <= 4)


def test_susceptibility_with_errors_is_that_without():
    paths = brownian(count=200, frames=400)
    true = relaxed(tracked(paths), max_lag=3, max_origins=400)
    found = relaxed(tracked(seen(paths, ERRORS), ERRORS), max_lag=3, max_origins=400)
    np.testing.assert_allclose(found.chi4, true.chi4, rtol=0.35)
    assert found.chi4_raw[0] > 2 * true.chi4[0]


def test_relaxation_time_is_where_brownian_motion_falls_to_one_over_e(noisy):
    found = relaxed(tracked(brownian(frames=25)))
    assert found.tau_alpha == pytest.approx(1 / (Q**2 * DIFFUSION), rel=0.03)
    assert found.tau_alpha_s is None
    assert noisy.tau_alpha is None
    lag = np.array([1, 2, 4])
    assert relaxation_time(lag, [0.9, 0.8, 0.7]) is None
    assert relaxation_time(lag, [0.3, 0.2, 0.1]) is None
    assert relaxation_time(lag, [0.9, 1.2 / np.e, 0.8 / np.e]) == pytest.approx(8**0.5)


def test_means_are_those_of_the_existing_mean_squared_displacement(walks):
    tracks = walks(count=30, frames=12)
    holed = tracks[np.random.default_rng(0).random(len(tracks)) > 0.3].sample(frac=1, random_state=0)
    holed = holed[~holed["frame"].isin([4, 5])]
    ours, theirs = relaxed(holed), mean_squared_displacement(holed)
    np.testing.assert_array_equal(ours.lag, theirs["lag"])
    np.testing.assert_allclose(ours.msd_raw, theirs["msd"])
    np.testing.assert_array_equal(ours.count, theirs["count"])


def test_survivors_are_counted_from_the_first_frame_of_each_pair():
    paths = np.zeros((4, 3, 3)) + 10 * np.arange(3)[:, None]
    table = tracked(paths)
    missing = ((table["particle"] == 2) & (table["frame"] > 1)) | ((table["particle"] == 1) & (table["frame"] == 2))
    found = relaxed(table[~missing], max_lag=3)
    # In the frames are 3, 3, 1 and 2 particles, of which 3, 1 and 1 are in the next, and so on.
    np.testing.assert_allclose(found.survivors, [5 / 7, 3 / 6, 2 / 3])
    assert found.count.tolist() == [5, 3, 2]
    np.testing.assert_array_equal(found.overlap, 1)


def test_series_of_every_tenth_frame_has_the_lags_that_occur():
    table = tracked(brownian(count=200, frames=9))
    table["frame"] *= 10
    found = relaxed(table)
    assert found.lag.tolist() == [10, 20, 30, 40]
    np.testing.assert_allclose(found.msd, 6 * DIFFUSION * found.lag / 10, rtol=0.15)


def test_long_series_have_lags_equally_spaced_in_their_logarithm():
    found = relaxed(tracked(brownian(count=3, frames=500)), max_origins=20)
    assert found.lag[0] == 1
    assert found.lag[-1] == 249
    assert len(found.lag) < 30
    assert found.count.max() == 3 * 20


def test_standard_errors_cover_the_truth():
    found = relaxed(tracked(seen(brownian(count=2000, seed=5), ERRORS), ERRORS))
    spread = 2 * DIFFUSION * found.lag
    for name, truth in (("msd", 3 * spread), ("fs", np.exp(-(Q**2) * spread / 2)), ("alpha2", 0 * spread)):
        off = np.abs(getattr(found, name) - truth) / getattr(found, f"{name}_err")
        assert np.all(off < 4), name
        assert np.all(getattr(found, f"{name}_err") < 0.1)
    assert np.isnan(relaxed(tracked(brownian(count=1))).msd_err).all()


@hypothesis_settings(max_examples=5)
@given(seed=st.integers(0, 1000), axes=st.permutations([0, 1, 2]), signs=st.tuples(*[st.sampled_from([-1, 1])] * 3))
def test_rotation_labels_and_order_of_the_rows_change_nothing(seed, axes, signs):
    rng = np.random.default_rng(seed)
    paths, errors = brownian(count=40, frames=7, seed=seed), rng.uniform(0, 0.2, (7, 40, 3))
    table = tracked(paths, errors)
    turned = tracked(paths[..., axes] * signs, errors[..., axes])
    turned["particle"] = rng.permutation(1000)[turned["particle"]]
    here, there = relaxed(table), relaxed(turned.sample(frac=1, random_state=seed))
    for name in ("lag", "msd", "msd_raw", "fs", "fs_raw", "overlap_raw", "chi4_raw", "alpha2", "survivors", "count"):
        np.testing.assert_allclose(getattr(there, name), getattr(here, name), rtol=1e-9, atol=1e-12, err_msg=name)


def test_micrometres_and_voxels_agree():
    paths, size = seen(brownian(count=300), ERRORS), (0.2, 0.2, 0.2)
    pixels = relaxed(tracked(paths, ERRORS))
    microns = relaxed(tracked(paths, ERRORS, voxel_size=size), q=None, q_um=Q / 0.2)
    assert (pixels.unit, microns.unit) == ("px", "um")
    np.testing.assert_allclose(microns.msd, 0.2**2 * pixels.msd)
    for name in ("fs", "overlap", "alpha2", "fs_raw", "chi4"):
        np.testing.assert_allclose(getattr(microns, name), getattr(pixels, name))
    flat = paths * (0.5, 1, 1)
    given_size = relaxed(tracked(flat, np.multiply(ERRORS, (0.5, 1, 1))), voxel_size=(0.4, 0.2, 0.2))
    np.testing.assert_allclose(given_size.fs, pixels.fs)
    assert given_size.q == pytest.approx(microns.q)
    assert given_size.overlap_distance == pytest.approx(0.2 * DISTANCE)


def test_wave_number_comes_from_the_structure_or_the_diameter(fcc, walks):
    crystal, _ = fcc(10 * 2**0.5, 5)
    paths = crystal + np.random.default_rng(0).normal(0, 0.1, (3, len(crystal), 3))
    assert relaxation(tracked(paths)).q == pytest.approx(2 * np.pi / 10, rel=0.02)
    assert relaxation(tracked(paths), diameter=8).q == pytest.approx(2 * np.pi / 8)
    found = relaxation(walks(count=30, frames=5), q=2.0)
    assert found.overlap_distance == pytest.approx(0.3 * np.pi)
    assert any("no distance between neighbours" in notice for notice in found.notices)
    sized = relaxation(walks(count=30, frames=5).assign(radius=2.0))
    assert sized.q == pytest.approx(2 * np.pi / 4)
    with pytest.raises(ColloidsError, match="give q or diameter"):
        relaxation(walks(count=30, frames=5))


def test_relative_to_the_cage_a_flow_is_gone(fcc):
    crystal, _ = fcc(10.0, 6)
    rng = np.random.default_rng(0)
    paths = crystal + np.cumsum(rng.normal(0, 0.1, (6, len(crystal), 3)), axis=0)
    frames = np.arange(6)[:, None]
    paths[..., 2] += 2.0 * frames + 0.002 * frames * crystal[:, 0]
    moving = tracked(seen(paths, 0.1), 0.1)
    found = relaxed(moving, cage_relative=True, cutoff=8.5)
    # The neighbours, twelve but for those at the faces, add their own motion: 1 + <1/n>.
    inside = np.linalg.norm(crystal[:, None] - crystal, axis=2)
    added = 1 + np.mean(1 / np.sum((inside > 0) & (inside < 8.5), axis=1))
    np.testing.assert_allclose(found.msd[:2], 0.03 * added * found.lag[:2], rtol=0.1)
    assert relaxed(moving).msd[0] > 3


def test_result_is_shown_drawn_and_told(noisy):
    assert "F_s from" in repr(noisy)
    assert "\n" not in repr(noisy)
    told = noisy.as_dict()
    np.testing.assert_array_equal(told["lag_s"], 0.5 * noisy.lag)
    assert told["tau_alpha"] is told["tau_alpha_s"] is None
    assert "lag_s" not in relaxed(tracked(brownian(count=10))).as_dict()
    table = noisy.to_frame()
    assert len(table) == len(noisy.lag)
    np.testing.assert_array_equal(table["fs_raw"], noisy.fs_raw)
    ax = noisy.plot()
    assert ax.get_xlabel() == "lag (s)"
    assert noisy.plot(ax) is ax
    single = relaxed(tracked(brownian(count=10, frames=1)))
    assert repr(single) == "Relaxation(no lags)"
    assert single.tau_alpha is None
    assert single.notices[-1].startswith("No particle is in two frames")
    single.plot().figure.draw_without_rendering()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"q": 0.0}, "q must lie between"),
        ({"q": "1"}, "q must be a number"),
        ({"q": 1.0, "q_um": 1.0}, "not both"),
        ({"q": None, "q_um": 1.0}, "voxel size"),
        ({"diameter": -1}, "diameter must lie between"),
        ({"overlap_diameters": 0}, "overlap_diameters"),
        ({"axes": "ab"}, "axes must be letters"),
        ({"axes": "xx"}, "axes must be letters"),
        ({"errors": (1, 2)}, "errors must be 3 numbers"),
        ({"errors": (-1, 0, 0)}, "errors must"),
        ({"max_lag": 0}, "max_lag"),
        ({"max_origins": 0}, "max_origins"),
        ({"frame_interval": 0}, "frame interval"),
        ({"cage_relative": True, "cutoff": 0}, "cutoff"),
        ({"subtract_drift": 1.5}, "subtract_drift"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(options, words):
    table = tracked(brownian(count=10, frames=4))
    with pytest.raises(ColloidsError, match=words) as refused:
        relaxed(table, **options)
    assert "\n" not in str(refused.value)


def test_tables_that_are_not_linked_are_refused():
    table = tracked(brownian(count=10, frames=4))
    with pytest.raises(ColloidsError, match="link the particles"):
        relaxed(table.drop(columns="particle"))
    with pytest.raises(ColloidsError, match="'frame'"):
        relaxed(table.drop(columns="frame"))
    with pytest.raises(ColloidsError, match="twice"):
        relaxed(pd.concat([table, table]))
    with pytest.raises(ColloidsError, match="no particles"):
        relaxed(table[:0])
    with pytest.raises(ColloidsError, match="without a frame or a particle"):
        relaxed(table.assign(particle=table["particle"].where(table.index > 3)))
