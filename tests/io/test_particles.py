import json
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_colloids.errors import ColloidsError
from napari_colloids.io import read_particles, write_particles
from napari_colloids.particles import particle_table

FORMATS = [".csv", ".xyz", ".h5", ".hdf5", ".parquet"]
reused = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    return particle_table(
        rng.uniform(0, 64, (50, 3)),
        radius=rng.normal(6, 1, 50),
        confidence=rng.uniform(size=50),
        voxel_size=(0.3, 0.1, 0.1),
    )


@st.composite
def tables(draw):
    n = draw(st.integers(1, 20))
    finite = st.floats(allow_nan=False, allow_infinity=False)
    anything = st.floats(allow_nan=True, allow_infinity=True)

    def column(values):
        return draw(hnp.arrays(float, n, elements=values))

    columns = {"frame": np.sort(draw(hnp.arrays(int, n, elements=st.integers(0, 3))))} if draw(st.booleans()) else {}
    columns |= {axis: column(finite) for axis in "zyx"}
    for name in draw(st.sets(st.sampled_from(["radius", "confidence", "mass"]))):
        columns[name] = column(anything)
    if draw(st.booleans()):
        columns |= {name: column(finite) for name in ("z_um", "y_um", "x_um")}
        if draw(st.booleans()):
            columns["radius_um"] = column(anything)
    if draw(st.booleans()):
        columns["label"] = draw(hnp.arrays(np.int64, n, elements=st.integers(-(2**62), 2**62)))
    return pd.DataFrame(columns)


@pytest.mark.parametrize("ending", FORMATS)
@reused
@given(table=tables())
def test_round_trip_is_exact(tmp_path, ending, table):
    path = tmp_path / f"points{ending}"
    write_particles(path, table)
    pd.testing.assert_frame_equal(read_particles(path), table, check_exact=True, check_like=True)


@pytest.mark.parametrize("ending", FORMATS)
def test_empty_table(tmp_path, ending):
    path = tmp_path / f"points{ending}"
    write_particles(path, particle_table([], radius=[], confidence=[]))
    table = read_particles(path)
    assert list(table.columns) == ["z", "y", "x", "radius", "confidence"]
    assert len(table) == 0
    assert set(table.dtypes) == {np.dtype(float)}


@pytest.mark.parametrize("ending", FORMATS)
def test_provenance_comes_back(tmp_path, ending, table):
    path = tmp_path / f"points{ending}"
    metadata = {"diameter": np.float32(12.5), "shape": (64, np.int64(32), 32), "seconds": float("nan"), "file": path}
    write_particles(path, table, metadata=metadata)
    expected = {"diameter": 12.5, "shape": [64, 32, 32], "seconds": None, "file": str(path)}
    assert json.loads(Path(f"{path}.json").read_text()) == {**expected, "table_rows": 50}
    assert read_particles(path).attrs == expected
    write_particles(path, table)
    assert read_particles(path).attrs == {}


def test_a_table_that_cannot_be_replaced_keeps_its_note(tmp_path, table, monkeypatch):
    path = tmp_path / "points.csv"
    write_particles(path, table, metadata={"diameter": 10})
    before = {one: one.read_bytes() for one in tmp_path.iterdir()}
    replace = os.replace

    def open_elsewhere(source, target):
        if Path(target) == path:
            raise PermissionError(13, "open in another program")
        replace(source, target)

    monkeypatch.setattr(os, "replace", open_elsewhere)
    with pytest.raises(ColloidsError, match="open in another program"):
        write_particles(path, table[:3], metadata={"diameter": 8})
    assert {one: one.read_bytes() for one in tmp_path.iterdir()} == before


def test_csv_is_plain(tmp_path, table):
    table["note"] = "a, b"
    write_particles(tmp_path / "a.csv", table[["note", "confidence", "radius", "x", "y", "z"]])
    lines = (tmp_path / "a.csv").read_bytes().decode().split("\n")
    assert lines[0] == "z,y,x,radius,confidence,note"
    assert lines[1] == ",".join(repr(float(v)) for v in table.iloc[0, :5]) + ',"a, b"'


@pytest.mark.parametrize("ending", [".csv", ".h5", ".parquet"])
def test_text_columns_are_kept(tmp_path, ending, table):
    table["kind"] = ["big", "smäll"] * 25
    write_particles(tmp_path / f"a{ending}", table)
    assert list(read_particles(tmp_path / f"a{ending}")["kind"]) == list(table["kind"])


def test_rows_without_position_are_dropped(tmp_path):
    (tmp_path / "a.csv").write_text("z,y,x\n1,2,3\n,,\n4,5,6\n")
    assert read_particles(tmp_path / "a.csv")["z"].tolist() == [1.0, 4.0]


def test_rows_longer_than_the_header_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("z,y,x\n1,2,3,\n")
    assert read_particles(tmp_path / "a.csv").to_numpy().tolist() == [[1, 2, 3]]
    (tmp_path / "a.csv").write_text("z,y,x\n1,2,3,4\n")
    with pytest.raises(ColloidsError, match="more values than the header"):
        read_particles(tmp_path / "a.csv")


def test_points_of_napari_in_a_series(tmp_path):
    (tmp_path / "a.csv").write_text("index,axis-0,axis-1,axis-2,axis-3\n0.0,2.0,1.5,2.5,3.5\n")
    table = read_particles(tmp_path / "a.csv")
    assert table[["frame", "z", "y", "x"]].to_numpy().tolist() == [[2, 1.5, 2.5, 3.5]]
    (tmp_path / "a.csv").write_text("index,axis-0,axis-1\n0.0,2.0,1.5\n")
    with pytest.raises(ColloidsError, match="points of 2 axes"):
        read_particles(tmp_path / "a.csv")


def test_xyz_of_others(tmp_path):
    (tmp_path / "a.xyz").write_text("1\nProperties=species:S:1:pos:R:3 frame=2.0\nC 3 2 1\n")
    assert read_particles(tmp_path / "a.xyz")[["frame", "z", "y", "x"]].to_numpy().tolist() == [[2, 1, 2, 3]]
    (tmp_path / "a.xyz").write_text("1\nProperties=species:S:1:pos:R:3 frame=0.5\nC 3 2 1\n")
    with pytest.raises(ColloidsError, match="whole numbers"):
        read_particles(tmp_path / "a.xyz")
    (tmp_path / "a.xyz").write_text("1\nProperties=species:S:1:pos:R:3 Units=um\nC 3 2 1\n")
    with pytest.raises(ColloidsError, match="give the voxel size"):
        read_particles(tmp_path / "a.xyz")
    read = read_particles(tmp_path / "a.xyz", voxel_size=(0.5, 1, 2))
    assert read[["z", "y", "x"]].to_numpy().tolist() == [[2, 2, 1.5]]


def test_points_of_napari(tmp_path):
    (tmp_path / "a.csv").write_text("index,axis-0,axis-1,axis-2\n0.0,1.5,2.5,3.5\n")
    assert read_particles(tmp_path / "a.csv")[["z", "y", "x"]].to_numpy().tolist() == [[1.5, 2.5, 3.5]]


def test_xyz_for_ovito(tmp_path, table):
    write_particles(tmp_path / "a.xyz", table, metadata={"shape": (64, 32, 16), "voxel_size": (0.3, 0.1, 0.1)})
    count, comment, first = (tmp_path / "a.xyz").read_text().splitlines()[:3]
    assert int(count) == 50
    lattice = [float(v) for v in re.search(r'Lattice="([^"]*)"', comment)[1].split()]
    assert lattice == pytest.approx([1.6, 0, 0, 0, 3.2, 0, 0, 0, 19.2])
    assert [float(v) for v in re.search(r'Origin="([^"]*)"', comment)[1].split()] == [-0.05, -0.05, -0.15]
    assert "Properties=species:S:1:pos:R:3:voxel:R:3:radius:R:1" in comment
    species, *numbers = first.split()
    assert species == "X"
    row = table.iloc[0]
    assert [float(v) for v in numbers[:7]] == [row[c] for c in ("x_um", "y_um", "z_um", "x", "y", "z", "radius_um")]


def test_xyz_has_standard_errors_in_the_unit_of_the_positions(tmp_path):
    rng = np.random.default_rng(1)
    errors = rng.uniform(0.01, 0.3, (6, 4))
    errors[2] = np.nan
    table = particle_table(
        rng.uniform(1, 64, (6, 3)),
        radius=6,
        errors=errors,
        refined=1,
        frame=[0, 0, 0, 0, 2, 2],
        voxel_size=(0.3, 0.1, 0.1),
    )
    write_particles(tmp_path / "a.xyz", table)
    read = read_particles(tmp_path / "a.xyz")
    pd.testing.assert_frame_equal(read, table[read.columns], check_exact=True)
    assert set(read.columns) == set(table.columns)
    _, comment, first = (tmp_path / "a.xyz").read_text().splitlines()[:3]
    names = re.search(r"Properties=(\S*)", comment)[1].split(":")
    names = [name for name, width in zip(names[::3], names[2::3], strict=True) for _ in range(int(width))]
    values = dict(zip(names, first.split(), strict=True))
    written = [float(values[name]) for name in ("z_err", "y_err", "x_err", "radius_err")]
    assert written == pytest.approx(errors[0] * [0.3, 0.1, 0.1, 0.1])
    write_particles(tmp_path / "a.xyz", table.drop(columns=[c for c in table if c.endswith("_um")]))
    np.testing.assert_array_equal(read_particles(tmp_path / "a.xyz")["z_err"], errors[:, 0])


def test_xyz_in_voxels(tmp_path, table):
    write_particles(tmp_path / "a.xyz", table[["z", "y", "x", "radius"]], metadata={"shape": (64, 32, 16)})
    comment, first = (tmp_path / "a.xyz").read_text().splitlines()[1:3]
    assert 'Lattice="16.0 0.0 0.0 0.0 32.0 0.0 0.0 0.0 64.0" Origin="-0.5 -0.5 -0.5"' in comment
    assert [float(v) for v in first.split()[1:]] == table.iloc[0][["x", "y", "z", "radius"]].tolist()
    write_particles(tmp_path / "a.xyz", table)
    assert "Lattice" not in (tmp_path / "a.xyz").read_text()


def test_xyz_has_a_block_a_frame(tmp_path):
    table = particle_table([[1, 2, 3], [4, 5, 6], [7, 8, 9]], frame=[0, 2, 2])
    write_particles(tmp_path / "a.xyz", table)
    lines = (tmp_path / "a.xyz").read_text().splitlines()
    assert [lines[0], lines[3]] == ["1", "2"]
    assert "frame=2" in lines[4]


def test_plain_xyz(tmp_path):
    block = "2\nmade by hand\nA 1 2 3\nA 4 5 6 7\n"
    (tmp_path / "a.xyz").write_text(block)
    assert read_particles(tmp_path / "a.xyz").to_numpy().tolist() == [[3, 2, 1], [6, 5, 4]]
    (tmp_path / "a.xyz").write_text(2 * block)
    assert read_particles(tmp_path / "a.xyz")["frame"].tolist() == [0, 0, 1, 1]


def test_xyz_refuses_text_columns(tmp_path, table):
    with pytest.raises(ColloidsError, match="drop column 'kind'"):
        write_particles(tmp_path / "a.xyz", table.assign(kind="big"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("content", [b"no table\nat all\n", b"\x89PNG\r\n\x1a\n\0\0\xff", b"5\nPr\nX 1 2 3\n", b"\n\n"])
def test_foreign_content_is_told(tmp_path, ending, content):
    path = tmp_path / f"points{ending}"
    path.write_bytes(content)
    with pytest.raises(ColloidsError, match="points") as caught:
        read_particles(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        "1\nProperties=species:S:1:radius:R:1\nX 1\n",
        "1\nProperties=species:S:1:pos\nX 1\n",
        "1\nProperties=species:S:1:pos:R:3\nX 1 2\n",
        "1\nProperties=pos:R:3\n1 2 three\n",
    ],
)
def test_broken_xyz_is_told(tmp_path, content):
    (tmp_path / "a.xyz").write_text(content)
    with pytest.raises(ColloidsError, match=r"a\.xyz"):
        read_particles(tmp_path / "a.xyz")


def test_columns_that_are_no_numbers_are_told(tmp_path):
    for content in ("z,y,x\n1,2,three\n", "z,y,x,radius\n1,2,3,big\n", "z,y\n1,2\n", "z,y,x\n1,2,inf\n"):
        (tmp_path / "a.csv").write_text(content)
        with pytest.raises(ColloidsError, match=r"a\.csv"):
            read_particles(tmp_path / "a.csv")


def test_missing_empty_and_unknown_files_are_told(tmp_path, table):
    (tmp_path / "empty.csv").touch()
    (tmp_path / "a.doc").write_text("z,y,x\n")
    for name, message in [
        ("none.csv", "no file"),
        ("empty.csv", "0 bytes"),
        ("a.doc", r"\.csv, \.xyz"),
        ("", "is a folder"),
    ]:
        with pytest.raises(ColloidsError, match=message):
            read_particles(tmp_path / name)
    with pytest.raises(ColloidsError, match=r"\.csv, \.xyz"):
        write_particles(tmp_path / "b.txt", table)
    with pytest.raises(ColloidsError, match="no column z"):
        write_particles(tmp_path / "b.csv", table.drop(columns="z"))


@pytest.mark.parametrize("ending", FORMATS)
def test_failed_write_leaves_the_old_table(tmp_path, ending, table):
    path = tmp_path / f"points{ending}"
    write_particles(path, table, metadata={"from": "before"})
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}

    class Unwritable:
        def __str__(self):
            raise ValueError("cannot be written")

    broken = table.assign(extra=[1.0] * 49 + [Unwritable()])
    with pytest.raises(ColloidsError):
        write_particles(path, broken, metadata={"from": "after"})
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before
