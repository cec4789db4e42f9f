"""`compare`: two detections of the same particles, neither of them the truth."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_colloids import ColloidsError, compare, match
from napari_colloids.particles import particle_table


def lattice(size=6, step=10.0):
    return step * np.indices((size,) * 3).reshape(3, -1).T


def test_what_both_have_and_what_one_alone_has():
    first = lattice()
    second = np.concatenate([first[20:] + np.array([0.5, 0, -1]), [[25.0, 25, 25], [33, 35, 35]]])
    found = compare(first, second, diameter=9)
    assert (found.common, found.only_first.sum(), found.only_second.sum()) == (196, 20, 2)
    np.testing.assert_array_equal(np.flatnonzero(found.only_first), np.arange(20))
    np.testing.assert_array_equal(np.flatnonzero(found.only_second), [196, 197])
    np.testing.assert_allclose(second[found.second_index] - first[found.first_index], found.displacement)
    assert found.only_first.dtype == found.only_second.dtype == bool
    assert (found.diameter, found.max_distance) == (9, 4.5)
    assert "offset (voxels): z 0.5, y 0, x -1; spread (voxels): z 0, y 0, x 0," in repr(found)
    assert found.offset == pytest.approx({"z": 0.5, "y": 0, "x": -1})
    assert found.spread == pytest.approx({"z": 0, "y": 0, "x": 0})
    assert (found.share_of_first, found.share_of_second) == pytest.approx((196 / 216, 196 / 198))


def test_spread_is_root_two_of_independent_errors_and_no_outlier_moves_it():
    rng = np.random.default_rng(1)
    truth, sigma = lattice(12), np.array([0.4, 0.2, 0.1])
    first, second = (truth + rng.normal(0, sigma, truth.shape) for _ in range(2))
    second[:40] += rng.uniform(-2, 2, (40, 3))
    spread = compare(first, second, diameter=9).spread
    np.testing.assert_allclose([spread[axis] for axis in "zyx"], np.sqrt(2) * sigma, rtol=0.08)


@given(seed=st.integers(0, 10_000), sizes=st.tuples(st.integers(0, 12), st.integers(0, 12)))
def test_the_other_way_round_is_the_same(seed, sizes):
    rng = np.random.default_rng(seed)
    first, second = (rng.uniform(0, 20, (size, 3)) for size in sizes)
    there, back = compare(first, second, diameter=8), compare(second, first, diameter=8)
    assert there.common == back.common == len(match(first, second, 4.0))
    np.testing.assert_array_equal(there.only_first.sum(), back.only_second.sum())
    assert there.common + there.only_first.sum() == sizes[0]
    assert there.common + there.only_second.sum() == sizes[1]
    if there.common:
        assert np.linalg.norm(there.displacement, axis=1).max() <= 4.0


def test_tall_voxels_and_columns_in_micrometres():
    first = [[5.0, 20, 20], [9, 20, 20]]
    second = [[6.2, 20, 20], [9, 20, 22]]
    assert compare(first, second, diameter=8).common == 2
    assert compare(first, second, diameter=8, voxel_size=(4, 1, 1)).common == 1
    tables = [particle_table(np.array(one), voxel_size=(0.4, 0.1, 0.1)) for one in (first, second)]
    found = compare(*tables, diameter=8)
    assert found.common == 1
    assert found.offset["x"] == 2
    for one, other in ((tables[0], second), (first, tables[1])):
        assert compare(one, other, diameter=8).common == 1, "micrometres of one table are enough"
    assert compare(first, second, diameter=8, max_distance=1.5).common == 1


def test_empty_tables_have_nothing_in_common():
    found = compare(np.empty((0, 3)), [[1, 2, 3]], diameter=5)
    assert found.common == 0
    figures = json.loads(found.to_json())
    assert (figures["common"], figures["only_first"], figures["only_second"]) == (0, 0, 1)
    assert figures["share_of_first"] is None
    assert figures["share_of_second"] == 0
    assert figures["offset"] == {"z": None, "y": None, "x": None}
    assert "nan" in repr(found)
    found.plot()


def test_bad_input_is_named():
    with pytest.raises(ColloidsError, match=r"^The second table"):
        compare([[1, 2, 3]], [[1, 2, np.nan]], diameter=5)
    with pytest.raises(ColloidsError, match=r"^The first table"):
        compare([[1, 2, np.inf]], [[1, 2, 3]], diameter=5)
    with pytest.raises(ColloidsError, match="The greatest distance of a match"):
        compare([[1, 2, 3]], [[1, 2, 3]], diameter=5, max_distance=-1)
    with pytest.raises(ColloidsError, match="diameter"):
        compare([[1, 2, 3]], [[1, 2, 3]], diameter=0)


def test_plot_has_a_line_for_each_axis():
    axes = compare(lattice(), lattice() + 0.5, diameter=9).plot()
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["z", "y", "x"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("displacement (voxels)", "particles")
