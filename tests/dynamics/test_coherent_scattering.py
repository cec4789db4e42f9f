"""Coherent scattering function, against independent walkers and still particles, whose curves are known."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_colloids import ColloidsError, particle_table
from napari_colloids.dynamics import coherent_scattering

#: Diffusion coefficient in voxels squared a frame, wave number, edge of the window, and errors of a position.
DIFFUSION, Q, EDGE = 0.05, 1.5, 30.0
ERRORS = (0.5, 0.2, 0.2)


def in_window(paths, **columns):
    """Table of what of some paths, shape (frames, particles, 3), lies in the window, without trajectories."""
    inside = [np.all((places > 0) & (places < EDGE), axis=1) for places in paths]
    parts = [
        particle_table(places[rows], frame=frame)
        for frame, (places, rows) in enumerate(zip(paths, inside, strict=True))
    ]
    table = pd.concat(parts, ignore_index=True)
    return table.assign(**{name: np.concatenate(values)[np.concatenate(inside)] for name, values in columns.items()})


def seen(paths, errors=ERRORS, seed=1):
    return paths + np.random.default_rng(seed).normal(0, 1, paths.shape) * errors


def still(count=3000, frames=4, seed=2):
    return np.tile(np.random.default_rng(seed).random((count, 3)) * EDGE, (frames, 1, 1))


@pytest.fixture(scope="module")
def walkers():
    """Independent walkers that come and go through the faces of the window."""
    rng = np.random.default_rng(0)
    return rng.uniform(-3, EDGE + 3, (6000, 3)) + np.cumsum(rng.normal(0, (2 * DIFFUSION) ** 0.5, (8, 6000, 3)), axis=0)


def test_independent_walkers_forget_each_other_by_diffusion(walkers):
    found = coherent_scattering(in_window(walkers), q=Q, errors=(0, 0, 0), frame_interval=0.5)
    assert found.lag.tolist() == [1, 2, 3, 4]
    assert found.lag_s.tolist() == [0.5, 1, 1.5, 2]
    assert found.count.tolist() == [7, 6, 5, 4]
    np.testing.assert_allclose(found.f_coherent, np.exp(-(Q**2) * DIFFUSION * found.lag), atol=0.05)
    assert found.structure_factor == pytest.approx(1, abs=0.1)
    assert found.notices == []
    assert np.all((found.f_coherent_err > 0.002) & (found.f_coherent_err < 0.04))


def test_localisation_errors_are_taken_off(walkers):
    found = coherent_scattering(in_window(seen(walkers)), q=Q, errors=ERRORS)
    np.testing.assert_allclose(found.f_coherent, np.exp(-(Q**2) * DIFFUSION * found.lag), atol=0.06)
    # Mean over all directions of the factor that errors leave.
    cosine = np.linspace(0, 1, 1001)
    damping = np.exp(-(Q**2) * (0.5**2 * cosine**2 + 0.2**2 * (1 - cosine**2))).mean()
    np.testing.assert_allclose(found.f_coherent_raw, damping * found.f_coherent, rtol=0.05)
    assert damping < 0.8


def test_errors_of_each_position_are_those_of_the_table(walkers):
    errors = np.random.default_rng(3).uniform(0.1, 0.5, (*walkers.shape[:2], 1)) * np.ones(3)
    columns = {f"{axis}_err": errors[..., place] for place, axis in enumerate("zyx")}
    found = coherent_scattering(in_window(seen(walkers, errors), **columns), q=Q)
    np.testing.assert_allclose(found.f_coherent, np.exp(-(Q**2) * DIFFUSION * found.lag), atol=0.06)
    assert found.f_coherent_raw[0] < 0.85 * found.f_coherent[0]


def test_what_stands_still_is_remembered_for_ever():
    np.testing.assert_allclose(coherent_scattering(in_window(still()), q=Q).f_coherent, 1, rtol=1e-12)
    noisy = coherent_scattering(in_window(seen(still(frames=12))), q=Q, errors=ERRORS)
    np.testing.assert_allclose(noisy.f_coherent, 1, atol=0.03)
    assert np.all(noisy.f_coherent_raw < 0.85)


def test_structure_factor_of_a_lattice_is_that_without_errors():
    # Particles that lie within half a voxel of the places of a lattice scatter far less than independent ones.
    lattice = np.indices((10, 10, 10)).reshape(3, -1).T * 3.0 + 1.5
    places = lattice + np.random.default_rng(4).uniform(-0.5, 0.5, lattice.shape)
    true = coherent_scattering(in_window(np.stack([places, places])), q=Q, axes="yx")
    found = coherent_scattering(in_window(seen(np.stack([places] * 20))), q=Q, axes="yx", errors=ERRORS)
    assert true.structure_factor < 0.4
    assert found.structure_factor == pytest.approx(true.structure_factor, rel=0.15)
    assert found.structure_factor_raw > 1.15 * found.structure_factor
    np.testing.assert_allclose(found.f_coherent, 1, atol=0.15)
    assert np.all(found.f_coherent_raw < 0.9)


def test_common_motion_is_a_phase_that_only_links_take_off():
    speed = 0.6
    paths = np.random.default_rng(8).uniform(-10, EDGE + 10, (12000, 3)) + np.zeros((6, 1, 1))
    paths[..., 2] += speed * np.arange(6)[:, None]
    particle = np.tile(np.arange(12000), (6, 1))
    table = in_window(paths, particle=particle)
    found = coherent_scattering(table, q=Q, errors=(0, 0, 0))
    np.testing.assert_allclose(found.f_coherent, np.sinc(Q * speed * found.lag / np.pi), atol=0.15)
    alone = coherent_scattering(table, q=Q, errors=(0, 0, 0), subtract_drift=True)
    np.testing.assert_allclose(alone.f_coherent, 1, atol=0.002)
    across = coherent_scattering(table, q=Q, errors=(0, 0, 0), axes="zy")
    # Across the motion there is no phase: what comes in and goes out through the faces is all that is forgotten.
    left = 1 - (np.pi * speed * across.lag / EDGE) ** 2 / 2
    np.testing.assert_allclose(across.f_coherent, left, atol=0.015)
    along = coherent_scattering(table, q=Q, errors=(0, 0, 0), axes="x")
    np.testing.assert_allclose(along.f_coherent, np.cos(Q * speed * along.lag), atol=0.4)
    assert along.waves == 1
    assert np.isnan(along.f_coherent_err).all()


def test_missed_and_false_particles_lower_all_lags_alike():
    rng = np.random.default_rng(6)
    found, recall, false = [], 0.7, 900
    for frame, places in enumerate(still(frames=6)):
        kept = places[rng.random(len(places)) < recall]
        found.append(particle_table(np.concatenate([kept, rng.random((false, 3)) * EDGE]), frame=frame))
    curve = coherent_scattering(pd.concat(found), q=Q, errors=(0, 0, 0))
    true = coherent_scattering(in_window(still()), q=Q, errors=(0, 0, 0)).structure_factor
    expected = recall**2 * true / (recall**2 * (true - 1) + recall + false / 3000)
    np.testing.assert_allclose(curve.f_coherent, expected, atol=0.03)


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1))
def test_order_and_numbers_of_the_particles_do_not_matter(seed):
    rng = np.random.default_rng(seed)
    table = in_window(np.cumsum(rng.normal(0, 0.3, (4, 60, 3)), axis=0) + EDGE / 2)
    shuffled = table.sample(frac=1, random_state=seed % 1000).assign(particle=rng.permutation(len(table)))
    first, second = (coherent_scattering(one, q=1.0) for one in (table, shuffled))
    np.testing.assert_allclose(first.f_coherent, second.f_coherent, rtol=1e-9)
    np.testing.assert_allclose(first.f_coherent_err, second.f_coherent_err, rtol=1e-6, atol=1e-12)


def test_channels_are_correlated_each_with_itself():
    here, there = still(frames=2)[0], still(frames=2, seed=7)[0]
    one, other = (
        pd.concat([particle_table(places, frame=frame, channel=channel) for frame, channel, places in rows])
        for rows in (
            ((0, 0, here), (1, 0, here), (0, 1, there), (1, 1, there)),
            ((0, 0, here), (1, 0, there), (0, 1, there), (1, 1, here)),
        )
    )
    assert coherent_scattering(one, q=Q).f_coherent[0] == pytest.approx(1)
    assert abs(coherent_scattering(other, q=Q).f_coherent[0]) < 0.15


def test_units_gaps_and_wave_numbers_are_understood(walkers):
    table = in_window(walkers[:6])
    table = table[table["frame"] != 2]
    pixels = coherent_scattering(table, q=Q, max_lag=2)
    microns = coherent_scattering(table, q_um=10 * Q, max_lag=2, voxel_size=(0.1, 0.1, 0.1))
    np.testing.assert_allclose(microns.f_coherent, pixels.f_coherent, rtol=1e-9)
    assert (microns.unit, microns.q, microns.lowest) == ("um", 15, pytest.approx(10 * pixels.lowest))
    assert pixels.count.tolist() == [3, 2]  # 0-1, 3-4, 4-5; 1-3, 3-5
    by_diameter = coherent_scattering(table, diameter=2 * np.pi / Q, max_lag=2)
    np.testing.assert_allclose(by_diameter.f_coherent, pixels.f_coherent, rtol=1e-9)
    assert "nothing is corrected" in pixels.notices[0]


def test_a_window_of_less_than_two_waves_is_told(walkers):
    assert any("blurred by the window" in text for text in coherent_scattering(in_window(walkers), q=0.3).notices)


def test_errors_that_explain_all_of_the_intensity_are_told():
    lattice = np.indices((10, 10, 10)).reshape(3, -1).T * 3.0
    found = coherent_scattering(in_window(np.stack([lattice + 1.5] * 3)), q=Q, errors=(1, 1, 1), axes="yx")
    assert np.isnan(found.f_coherent).all()
    assert any("left out" in text for text in found.notices)


def test_it_is_drawn_described_and_written(walkers):
    found = coherent_scattering(in_window(walkers), q=Q, frame_interval=2.0)
    table = found.to_frame()
    assert list(table) == ["lag", "lag_s", "f_coherent", "f_coherent_raw", "f_coherent_err", "count"]
    np.testing.assert_array_equal(table["f_coherent"], found.f_coherent)
    drawn = found.plot()
    np.testing.assert_allclose(drawn.get_lines()[0].get_ydata(), found.f_coherent)
    assert drawn.get_xlabel() == "lag (s)"
    assert f"S = {found.structure_factor:.3g}" in repr(found)
    assert found.tau is None
    fast = coherent_scattering(in_window(walkers), q=4.0, errors=(0, 0, 0))
    assert fast.tau == pytest.approx(1 / (16 * DIFFUSION), rel=0.1)
    single = coherent_scattering(in_window(walkers[:1]), q=Q)
    assert repr(single) == "CoherentScattering(no lags)"
    single.plot()


def test_what_makes_no_sense_is_refused(walkers):
    table = in_window(walkers[:2, :50])
    for call, words in (
        (lambda: coherent_scattering(table.drop(columns="frame"), q=1.0), "'frame'"),
        (lambda: coherent_scattering(table[:0], q=1.0), "have a frame"),
        (lambda: coherent_scattering(table, q=-1.0), "q must lie between"),
        (lambda: coherent_scattering(table, q=1.0, q_um=1.0), "not both"),
        (lambda: coherent_scattering(table, q_um=1.0), "voxel size"),
        (lambda: coherent_scattering(table, q=1.0, axes="t"), "axes"),
        (lambda: coherent_scattering(table, q=1.0, subtract_drift=True), "linked"),
    ):
        with pytest.raises(ColloidsError, match=words):
            call()
