import numpy as np
import pandas as pd
import pytest
import trackpy

from napari_colloids.errors import ColloidsError
from napari_colloids.particles import (
    COLUMNS,
    ERRORS,
    POSITION,
    POSITION_UM,
    WHOLE,
    check_particles,
    particle_table,
    positions_of,
    with_micrometres,
)

CENTRES = [[1.0, 2.0, 3.0], [4.5, 5.5, 6.5]]


def test_columns_and_their_order():
    table = particle_table(
        CENTRES,
        radius=5,
        confidence=[0.5, 1],
        frame=3,
        channel=1,
        particle=[7, 8],
        errors=[[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]],
        refined=[True, False],
        voxel_size=(0.3, 0.1, 0.1),
    )
    given = {*POSITION, *POSITION_UM, *ERRORS, "frame", "channel", "radius", "radius_um", "confidence", "refined"}
    assert list(table.columns) == [name for name in COLUMNS if name in {*given, "particle"}]
    assert table[["z_err", "y_err", "x_err", "radius_err"]].to_numpy()[1].tolist() == [0.5, 0.6, 0.7, 0.8]
    assert table["refined"].tolist() == [1, 0]
    assert table["frame"].tolist() == [3, 3]
    assert table["channel"].tolist() == [1, 1]
    assert table["particle"].tolist() == [7, 8]
    assert (
        {name for name in table if table[name].dtype.kind == "i"}
        == {"frame", "channel", "refined", "particle"}
        <= WHOLE
    )
    assert table["radius"].tolist() == [5, 5]


def test_micrometres():
    table = particle_table(CENTRES, radius=5, voxel_size=(0.3, 0.2, 0.1))
    np.testing.assert_allclose(table[["z_um", "y_um", "x_um"]], np.multiply(CENTRES, [0.3, 0.2, 0.1]))
    np.testing.assert_allclose(table["radius_um"], 0.5)  # radii are in lateral voxels, which are those of x


def test_without_voxel_size_there_are_no_micrometres():
    table = particle_table(CENTRES)
    assert list(table.columns) == ["z", "y", "x"]
    assert with_micrometres(table, None) is table


def test_empty_table_has_its_columns():
    table = particle_table([], radius=[], confidence=[], voxel_size=(1, 1, 1))
    assert len(table) == 0
    assert {"z", "y", "x", "radius", "confidence", "z_um", "radius_um"} <= set(table.columns)
    assert positions_of(table).shape == (0, 3)


def test_linking_in_time_takes_the_table_as_it_is():
    trackpy.quiet()
    tables = [particle_table(np.add(CENTRES, 0.1 * frame), frame=frame) for frame in range(3)]
    linked = trackpy.link(pd.concat(tables, ignore_index=True), search_range=1, pos_columns=["z", "y", "x"])
    assert linked["particle"].nunique() == 2


@pytest.mark.parametrize("positions", [[1, 2, 3], [[1, 2]], np.zeros((2, 3, 1))])
def test_positions_of_the_wrong_shape(positions):
    with pytest.raises(ColloidsError, match=r"\(N, 3\)"):
        particle_table(positions)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"radius": [1, 2]}, "3 positions"),
        ({"confidence": np.ones((3, 1))}, "3 positions"),
        ({"frame": [0, 0.5, 1]}, "whole numbers"),
        ({"particle": [0, np.nan, 1]}, "whole numbers"),
    ],
)
def test_columns_that_do_not_fit_are_refused(columns, message):
    with pytest.raises(ColloidsError, match=message):
        particle_table(np.zeros((3, 3)), **columns)


def test_check_drops_rows_without_a_position():
    table = pd.DataFrame({"z": [1, np.nan, 3], "y": [1, 2, 3], "x": [1, 2, 3]})
    assert check_particles(table)["z"].tolist() == [1, 3]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"y": [1], "x": [1]}, "no column z"),
        ({}, "none"),
        ({"z": ["a"], "y": [1], "x": [1]}, "should hold numbers"),
        ({"z": [np.inf], "y": [1], "x": [1]}, "infinite"),
    ],
)
def test_check_refuses(columns, message):
    with pytest.raises(ColloidsError, match=message):
        check_particles(pd.DataFrame(columns), "The truth")
