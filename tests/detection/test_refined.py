"""`detect` with refinement, from the search to the file."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.spatial import cKDTree

from napari_colloids.detection import DEFAULT_THRESHOLD, FLOOR, Region, detect
from napari_colloids.io import read_particles, write_particles
from napari_colloids.particles import COLUMNS, ERRORS, POSITION, positions_of
from napari_colloids.scoring import score
from napari_colloids.simulation import simulate

FACTS = {"psf_sigma", "psf_tail", "psf_tilt", "shell", "polydispersity", "noise_gain", "noise_floor", "brightness"}


@pytest.fixture(scope="module")
def small():
    return simulate(
        shape=(44, 44, 46),
        volume_fraction=0.5,
        radius=5,
        psf_sigma=(2.2, 1.2, 1.2),
        voxel_size=0.1,
        snr=6,
        cnr=6,
        seed=7,
    )


@pytest.fixture(scope="module")
def plain(small):
    return detect(small.stack, diameter=10)


@pytest.fixture(scope="module")
def refined(small):
    steps = []
    table = detect(small.stack, diameter=10, refine=True, progress=lambda done, total: steps.append((done, total)))
    assert steps[-1][0] == steps[-1][1]
    return table


@pytest.fixture(scope="module")
def faint():
    """A stack of which some particles cannot be told for sure."""
    return simulate(
        shape=(40, 44, 46),
        volume_fraction=0.4,
        radius=5,
        psf_sigma=(4, 2, 2),
        snr=2.5,
        cnr=2,
        brightness_spread=0.5,
        seed=7,
    ).stack


@pytest.fixture(scope="module")
def everything(faint):
    """With the detections of low confidence."""
    return detect(faint, diameter=10, refine=True, threshold=FLOOR)


def test_positions_are_more_exact_and_nothing_is_lost(small, plain, refined):
    before, after = (
        score(small.particles, table, diameter=10, shape=small.stack.shape, voxel_size=small.stack.voxel_size)
        for table in (plain, refined)
    )
    assert after.recall >= before.recall
    assert after.precision >= before.precision - 0.01
    for axis in "zyx":
        assert after.rmse[axis] < before.rmse[axis] / 1.5


def test_columns_and_facts(plain, refined):
    assert list(refined.columns) == [name for name in COLUMNS if name in refined]
    assert set(refined.columns) - set(plain.columns) == {*ERRORS, "refined", "misfit"}
    assert set(plain.attrs) | FACTS <= set(refined.attrs)
    assert not FACTS & set(plain.attrs)
    assert refined["refined"].mean() > 0.9
    assert refined["refined"].dtype.kind == "i"
    np.testing.assert_allclose(refined["z_um"], refined["z"] * 0.1)
    assert refined["confidence"].between(DEFAULT_THRESHOLD["network"], 1).all()


def test_rows_are_sorted(refined):
    pd.testing.assert_frame_equal(refined, refined.sort_values(POSITION, ignore_index=True))
    assert positions_of(refined).min() >= -0.5
    assert (positions_of(refined) < np.array([43.5, 43.5, 45.5])).all()


def test_detections_of_low_confidence_stay_as_they_are(faint, everything):
    doubtful = everything[everything["confidence"] < DEFAULT_THRESHOLD["network"]]
    assert (doubtful["refined"] == 0).all()
    assert doubtful[ERRORS].isna().all(axis=None)
    assert len(doubtful) > 3
    searched = positions_of(detect(faint, diameter=10, threshold=FLOOR))
    np.testing.assert_allclose(cKDTree(searched).query(positions_of(doubtful))[0], 0, atol=1e-9)
    # The others are those of the usual threshold, and none of the doubtful ones overlaps with them.
    others = everything.drop(index=doubtful.index).reset_index(drop=True)
    assert others["refined"].mean() > 0.8
    pd.testing.assert_frame_equal(others, detect(faint, diameter=10, refine=True))
    assert cKDTree(positions_of(others)).query(positions_of(doubtful))[0].min() > 0.6 * 10


def test_a_region_gives_what_the_whole_stack_gives_there(small, refined):
    found = detect(small.stack, diameter=10, refine=True, region=Region(z_range=(8, 36)))
    assert found["z"].between(7.5, 35.5).all()
    expected = refined[refined["z"].between(9, 34)]
    distance = cKDTree(positions_of(found)).query(positions_of(expected))[0]
    assert (distance < 0.5).all()
    assert np.median(distance) < 0.15


def test_the_reference_methods_can_be_refined(small):
    plain, fitted = (detect(small.stack, diameter=10, method="log", refine=refine) for refine in (False, True))
    before, after = (
        score(small.particles, table, diameter=10, shape=small.stack.shape, voxel_size=small.stack.voxel_size)
        for table in (plain, fitted)
    )
    assert after.f1 >= before.f1 - 0.02
    assert sum(after.rmse.values()) < sum(before.rmse.values())


def test_nothing_found_is_an_empty_table_with_all_columns(refined):
    noise = np.random.default_rng(0).normal(100, 10, (32, 32, 32))
    found = detect(noise, diameter=10, refine=True)
    assert len(found) <= 3
    assert {*ERRORS, "refined", "misfit"} <= set(found.columns)
    assert any("Not refined" in notice for notice in found.attrs["notices"])


@pytest.mark.parametrize("ending", [".csv", ".h5", ".parquet", ".xyz"])
def test_the_columns_come_back_from_a_file(tmp_path, everything, ending):
    path = tmp_path / f"found{ending}"
    write_particles(path, everything, metadata=everything.attrs)
    read = read_particles(path)
    pd.testing.assert_frame_equal(read, everything, check_exact=True, check_like=True)
    assert read.attrs["psf_sigma"] == everything.attrs["psf_sigma"]
