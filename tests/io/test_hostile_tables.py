"""Damaged and hostile tables end in one line, quickly."""

import os
import time

import h5py
import numpy as np
import pandas as pd
import pyarrow
import pytest
from pyarrow import parquet

from napari_colloids.errors import ColloidsError
from napari_colloids.io import read_particles, read_stack, write_challenge_website, write_particles
from napari_colloids.particles import particle_table
from napari_colloids.simulation import simulate
from napari_colloids.simulation.challenge import challenge_parameters


@pytest.fixture
def refused(tmp_path):
    """Read a file that must be refused in one line, within seconds, and return the line."""

    def refused(name):
        start = time.perf_counter()
        with pytest.raises(ColloidsError, match=name) as caught:
            read_particles(tmp_path / name)
        assert time.perf_counter() - start < 5
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return refused


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "z,y,x,frame\n1,2,3,1e300\n"),
        ("a.csv", "z,y,x,frame\n1,2,3,inf\n"),
        ("a.csv", "z,y,x\n" + "9" * 400 + ",2,3\n"),
        ("a.dat", "9" * 400 + " 2 3\n1 2 3\n"),
        ("a.csv", "z,y,x,frame\n1,2,3,\n"),
        ("a.csv", "z,y,x,radius\n1,2,3,2+1j\n"),
        ("a.csv", "frame,Z;Y;X\n"),
        ("a.csv", "z,y,x," + ",".join(map(str, range(300_000)))),
        ("a.csv", "1," * 1_000_000),
        ("a.csv", "\0" * 5000),
        ("a.csv", "z;y;x\n" + "1;" * 10_000),
        ("a.csv", '"' * 200_000 + "\n" + '"z,y'),
        ("a.dat", "\n" * 100),
        ("a.txt", "#" * 100_000),
        ("a.xyz", "1\nProperties=a:R:100000000\n1\n"),
        ("a.xyz", "1\nProperties=pos:R:3:a:R:" + "9" * 5000 + "\n1 2 3\n"),
        ("a.xyz", "1\nProperties=pos:R:3:a:R:-1\n1 2 3\n"),
        ("a.xyz", "1\nProperties=pos:R:3 frame=1e300\n1 2 3\n"),
        ("a.xyz", "1\nProperties=pos:R:3:z:R:1\n1 2 3 4\n"),
        ("a.xyz", "1\n" + "a" * 1_000_000 + "\nX 1 2\n"),
        ("a.xyz", "1" * 5000 + "\n\n"),
        ("a.npy", "\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000, 3), }"),
    ],
)
def test_texts(tmp_path, refused, name, content):
    (tmp_path / name).write_bytes(content.encode("latin-1"))
    refused(name)


def test_a_pickled_array_is_not_opened(tmp_path, refused):
    np.save(tmp_path / "a.npy", np.array([print, 1, 2], dtype=object), allow_pickle=True)
    refused("a.npy")


def test_thousands_of_empty_frames_are_read_at_once(tmp_path):
    text = "".join(f"0\nProperties=pos:R:3 frame={frame}\n" for frame in range(3000))
    (tmp_path / "a.xyz").write_text(f"{text}1\nProperties=pos:R:3 frame=3000\n1 2 3\n")
    start = time.perf_counter()
    assert read_particles(tmp_path / "a.xyz").to_dict("records") == [{"frame": 3000, "z": 3, "y": 2, "x": 1}]
    assert time.perf_counter() - start < 5


def test_a_note_that_is_a_pipe_does_not_block(tmp_path):
    write_particles(tmp_path / "a.csv", particle_table([[1, 2, 3]]))
    os.mkfifo(tmp_path / "a.csv.json")
    assert len(read_particles(tmp_path / "a.csv")) == 1


HDF5 = {
    "columns are a number": lambda group: group.attrs.__setitem__("columns", 3),
    "columns are a matrix": lambda group: group.attrs.__setitem__("columns", np.zeros((2, 2))),
    "columns are a text": lambda group: group.attrs.__setitem__("columns", "zyx"),
    "no columns": lambda group: group.attrs.__delitem__("columns"),
    "a column is a group": lambda group: (group.__delitem__("z"), group.create_group("z")),
    "a column is a matrix": lambda group: (group.__delitem__("z"), group.create_dataset("z", data=np.zeros((2, 2)))),
    "a column is missing": lambda group: group.__delitem__("z"),
    "a column is shorter": lambda group: group["z"].resize(1, axis=0),
    "a column is endless": lambda group: [group[name].resize(10**12, axis=0) for name in "zyx"],
    "a column is complex": lambda group: (group.__delitem__("z"), group.create_dataset("z", data=[1j, 2])),
    "a column is elsewhere": lambda group: (
        group.__delitem__("z"),
        group.__setitem__("z", h5py.ExternalLink("/dev/stdin", "z")),
    ),
    "a column is a loop": lambda group: (group.__delitem__("z"), group.__setitem__("z", h5py.SoftLink("z"))),
}


@pytest.mark.parametrize("damage", HDF5.values(), ids=HDF5)
def test_hdf5(tmp_path, refused, damage):
    write_particles(tmp_path / "a.h5", particle_table([[1, 2, 3], [4, 5, 6]]))
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        damage(file["particles"])
    refused("a.h5")


def test_hdf5_where_the_table_is_no_group(tmp_path, refused):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["particles"] = [1, 2, 3]
    refused("a.h5")


@pytest.mark.parametrize("about", [b"[]", b"{" * 50_000, b'{"index_columns": [[[1]]], "columns": 3}', b"\xff"])
def test_what_pandas_adds_to_parquet_does_not_matter(tmp_path, about):
    table = pyarrow.Table.from_pandas(pd.DataFrame({"z": [1.0], "y": [2.0], "x": [3.0]}))
    parquet.write_table(table.replace_schema_metadata({b"pandas": about}), tmp_path / "a.parquet")
    assert read_particles(tmp_path / "a.parquet").to_dict("records") == [{"z": 1, "y": 2, "x": 3}]


def test_an_index_of_pandas_is_a_column(tmp_path):
    table = pd.DataFrame({"frame": [4, 7, 5], "z": 1.0, "y": 2.0, "x": 3.0})
    table.set_index("frame").to_parquet(tmp_path / "a.parquet")
    assert read_particles(tmp_path / "a.parquet")["frame"].tolist() == [4, 7, 5]


@pytest.mark.parametrize(
    "values", [["a"], [b"a"], [[1.0, 2.0]], [{"a": 1}], [None], [pd.Timestamp(0)], [pd.Timedelta(1)]]
)
@pytest.mark.parametrize("column", ["z", "radius", "frame"])
def test_other_values_than_numbers(tmp_path, refused, column, values):
    table = pd.DataFrame({"frame": [0], "z": [1.0], "y": [2.0], "x": [3.0], "radius": [4.0]}, dtype=object)
    table[column] = values
    table.infer_objects().to_parquet(tmp_path / "a.parquet")
    if values == [None] and column != "frame":
        assert read_particles(tmp_path / "a.parquet")[["z", "y", "x"]].notna().all(axis=None)
    else:
        refused("a.parquet")


def test_a_small_parquet_file_of_many_rows_is_refused(tmp_path, refused):
    part = pyarrow.table({"z": np.zeros(4_000_000, np.int8)})
    with parquet.ParquetWriter(tmp_path / "a.parquet", part.schema) as writer:
        for _ in range(3):
            writer.write_table(part)
    assert "rows" in refused("a.parquet")


def test_a_header_of_many_names_is_refused_at_once(tmp_path, refused):
    """Where names are repeated, pandas would compare each with all others."""
    header = "image_index,Z,Y,X" + 200_000 * ","
    (tmp_path / "a.csv").write_text(header + "\n0,1,2,3\n")
    assert "first line is too long" in refused("a.csv")
    write_challenge_website(tmp_path, iter([simulate(shape=(8, 8, 8), radius=2, seed=1)]))
    (tmp_path / "y_train.csv").write_text(header)
    (tmp_path / "x_train_metadata.csv").write_text(header)
    for read in (
        lambda: read_particles(tmp_path / "x_train.hdf5"),
        lambda: challenge_parameters(tmp_path / "x_train_metadata.csv"),
    ):
        with pytest.raises(ColloidsError, match="first line is too long"):
            read()
    assert read_stack(tmp_path / "x_train.hdf5").shape == (8, 8, 8)
