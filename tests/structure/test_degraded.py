"""Errors put on exact positions, and the intervals of a structure that follow from making them once more."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_colloids import ColloidsError
from napari_colloids.particles import particle_table, positions_of
from napari_colloids.simulation.arrangement import Composition, arrange
from napari_colloids.structure import degraded, measure_structure

SHAPE = (80, 80, 80)


@pytest.fixture(scope="module")
def fluid():
    spheres = arrange("random", (90.0,) * 3, Composition(0.54, 4.5, polydispersity=0.05), np.random.default_rng(3))
    inside = np.all(spheres.positions < 80, axis=1)
    return particle_table(spheres.positions[inside] - 0.5, radius=spheres.radii[inside])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99), recall=st.floats(0.3, 1), precision=st.floats(0.5, 1), frames=st.integers(1, 3))
def test_numbers_are_those_of_recall_and_precision(gas, seed, recall, precision, frames):
    table = gas(90 * frames, SHAPE, seed).assign(frame=np.repeat(np.arange(frames), 90))
    found = degraded(table, errors=(0, 0, 0), recall=recall, precision=precision, shape=SHAPE, seed=seed)
    true = {tuple(row) for row in positions_of(table)}
    for _, rows in found.groupby("frame"):
        kept = sum(tuple(row) in true for row in positions_of(rows))
        assert kept == round(90 * recall)
        assert len(rows) - kept == round(kept * (1 - precision) / precision)
    assert np.all((positions_of(found) >= -0.5) & (positions_of(found) <= 79.5))


def test_positions_scatter_as_they_are_told(gas):
    table = gas(20_000, SHAPE, 1)
    moved = positions_of(degraded(table, errors=(0.9, 0.3, 0.1), seed=1)) - positions_of(table)
    np.testing.assert_allclose(moved.std(axis=0), (0.9, 0.3, 0.1), rtol=0.03)
    own = table.assign(z_err=1.0, y_err=0.2, x_err=0.2)
    own.loc[:9999, "z_err"] = np.nan  # not refined: takes that of another
    moved = positions_of(degraded(own)) - positions_of(own)
    np.testing.assert_allclose(moved[:10_000].std(axis=0), (1.0, 0.2, 0.2), rtol=0.04)
    drawn = positions_of(degraded(table, errors=[(0, 0, 0), (2, 0, 0)])) - positions_of(table)
    assert np.mean(drawn[:, 0] == 0) == pytest.approx(0.5, abs=0.02)


def test_micrometres_follow(gas):
    table = particle_table(positions_of(gas(50, SHAPE)), voxel_size=(0.2, 0.1, 0.1))
    found = degraded(table, errors=(1, 1, 1), precision=0.5, shape=SHAPE)
    np.testing.assert_allclose(found["z_um"], 0.2 * found["z"])
    np.testing.assert_allclose(found["x_um"], 0.1 * found["x"])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "no errors of the positions"),
        ({"errors": (1, -1, 1)}, "none of them negative"),
        ({"errors": (1, 1)}, "three numbers"),
        ({"errors": "large"}, "three numbers"),
        ({"errors": (0, 0, 0), "recall": 0}, "recall"),
        ({"errors": (0, 0, 0), "precision": 1.5}, "precision"),
    ],
)
def test_errors_that_make_no_sense_are_refused(gas, settings, words):
    with pytest.raises(ColloidsError, match=words):
        degraded(gas(20, SHAPE), **settings)


def test_intervals_hold_what_errors_have_changed(fluid):
    true = measure_structure(fluid, shape=SHAPE)
    assert not true.again
    sigma = 0.4  # .045 diameters
    measured = degraded(fluid, errors=[sigma] * 3, shape=SHAPE, seed=7).assign(z_err=sigma, y_err=sigma, x_err=sigma)
    found = measure_structure(measured, shape=SHAPE)
    bands, was, peak = found.bands(), true.figures(), int(np.argmax(true.g.g))
    assert found.figures()["voronoi_spread"] > 1.1 * was["voronoi_spread"]
    for name in ("q6", "q6_averaged", "q4_averaged", "voronoi_spread", "neighbours"):
        assert bands[name].low <= was[name] <= bands[name].high, name
    low, high = found.g_band()
    assert found.g.g[peak] < 0.75 * true.g.g[peak]
    assert high[peak] > 1.15 * found.g.g[peak]
    assert np.mean((true.g.g >= low) & (true.g.g <= high)) > 0.75
    told = json.loads(found.to_json())
    assert told["bands"]["q6_averaged"] == bands["q6_averaged"].as_dict()
    np.testing.assert_allclose(told["g"]["high"], high)


def test_without_errors_intervals_are_those_of_the_window(fluid):
    found = measure_structure(fluid.assign(z_err=0.3, y_err=0.3, x_err=0.3), shape=SHAPE, bands=False)
    band = found.bands()["q6"]
    assert not found.again
    assert band.low < band.value < band.high
    assert band.value - band.low == pytest.approx(1.96 * found.errors["q6"])


def test_what_was_missed_widens_the_intervals(fluid):
    missed = measure_structure(fluid, shape=SHAPE, recall=0.95)
    band, errors = missed.bands()["voronoi_spread"], missed.errors["voronoi_spread"]
    assert missed.again[0].figures()["voronoi_spread"] > 1.2 * missed.figures()["voronoi_spread"]
    assert band.value - band.low > 3 * errors
