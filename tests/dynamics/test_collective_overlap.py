"""Collective overlap: 1 where all places stay occupied, 0 where positions have nothing to do with each other."""

import numpy as np
import pandas as pd
import pytest

from napari_colloids import ColloidsError, particle_table
from napari_colloids.dynamics import collective_overlap

BOX = (60, 60, 60)


def series(*positions, **columns):
    return pd.concat(
        [particle_table(places, frame=frame, **columns) for frame, places in enumerate(positions)], ignore_index=True
    )


def places(count=800, seed=0):
    return np.random.default_rng(seed).random((count, 3)) * BOX


def test_places_that_stay_occupied_overlap_whoever_is_there():
    still = places()
    found = collective_overlap(series(still, still[::-1], still + 0.5), diameter=8)
    np.testing.assert_array_equal(found["overlap"], 1)
    assert found["lag"].tolist() == [1, 2]
    assert found.attrs["overlap_distance"] == pytest.approx(2.4)


def test_unrelated_positions_overlap_by_chance_only():
    found = collective_overlap(series(*(places(3000, seed) for seed in range(6))), diameter=8)
    # Independent positions: none in a ball of 2.4 voxels with exp(-density * volume).
    chance = 1 - np.exp(-3000 / 60**3 * 4 / 3 * np.pi * 2.4**3)
    np.testing.assert_allclose(found["chance"], chance, rtol=0.07)
    np.testing.assert_allclose(found["overlap"], 0, atol=0.04)
    assert (found["overlap_raw"] > 0.4).all()


def test_half_of_the_particles_moved_away_is_half_of_the_overlap():
    first = places(1000)
    found = collective_overlap(series(first, np.concatenate([first[:500], places(500, 9)])), diameter=5)
    assert found["overlap"].iloc[0] == pytest.approx(0.5, abs=0.03)


def test_channels_are_compared_each_with_itself():
    here, there = places(300, 1), places(300, 2)
    one, other = (
        pd.concat([series(*first, channel=0), series(*second, channel=1)])
        for first, second in (((here, here), (there, there)), ((here, there), (there, here)))
    )
    assert collective_overlap(one, diameter=8)["overlap"].iloc[0] == 1
    assert collective_overlap(other, diameter=8)["overlap"].iloc[0] < 0.1


def test_units_and_gaps_are_understood():
    table = series(*(places(400, seed // 4) for seed in range(8)))
    table = table[table["frame"] != 2]
    pixels = collective_overlap(table, diameter=6, max_lag=2)
    microns = collective_overlap(table, diameter=6, max_lag=2, voxel_size=(0.1, 0.1, 0.1), frame_interval=2)
    np.testing.assert_allclose(microns["overlap"], pixels["overlap"])
    assert microns["lag_s"].tolist() == [2, 4]
    # Pairs of frames a lag of 1 apart: 0-1, 3-4 (all positions new), 4-5, 5-6, 6-7.
    assert pixels["overlap"].iloc[0] == pytest.approx(4 / 5, abs=0.02)
    assert pixels["count"].iloc[0] == 5 * 400


def test_what_makes_no_sense_is_refused():
    table = series(places(50), places(50, 1))
    for call, words in (
        (lambda: collective_overlap(table.drop(columns="frame"), diameter=5), "'frame'"),
        (lambda: collective_overlap(table), "diameter"),
        (lambda: collective_overlap(table, diameter=-1), "diameter must lie between"),
        (lambda: collective_overlap(table[:0], diameter=5), "have a frame"),
        (lambda: collective_overlap(table, diameter=5, max_lag=0), "max_lag"),
    ):
        with pytest.raises(ColloidsError, match=words):
            call()
