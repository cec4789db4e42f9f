"""Damaged files, found by measurements/fuzz.py, with which a library once ended or stopped the process."""

import json
import zlib
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_colloids.errors import ColloidsError
from napari_colloids.io.isolated import process
from napari_colloids.io.stacks import list_series, read_stack
from napari_colloids.io.tables.particles import read_particles

FINDINGS = Path(__file__).parent / "findings"


@pytest.fixture
def found(tmp_path, monkeypatch):
    """Write a damaged file."""
    monkeypatch.setattr(process, "COMPUTING_SECONDS", 1.5)

    def write(name, path="a.h5"):
        (tmp_path / path).write_bytes(zlib.decompress((FINDINGS / f"{name}.zz").read_bytes()))
        return tmp_path / path

    return write


@pytest.mark.parametrize("name", ["killing_stack.h5", "endless_stack.h5"])
def test_stacks_in_hdf5(found, tmp_path, name):
    """Of some versions of the library; with others it may end in another way."""
    with suppress(ColloidsError):
        read_stack(found(name))
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["raw"] = np.ones((4, 5, 6))
    assert read_stack(tmp_path / "b.h5").shape == (4, 5, 6)


def test_tables_in_hdf5(found):
    with suppress(ColloidsError):
        read_particles(found("endless_table.h5"))


def test_zarr(found, tmp_path):
    pytest.importorskip("zarr")
    (tmp_path / "a.zarr").mkdir()
    shape = (2, 4, 6, 8)
    blosc = {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0}
    about = {"shape": shape, "chunks": shape, "dtype": "<u2", "fill_value": 0, "order": "C", "filters": None}
    (tmp_path / "a.zarr" / ".zarray").write_text(json.dumps({**about, "compressor": blosc, "zarr_format": 2}))
    found("killing_chunk", "a.zarr/0.0.0.0")
    with suppress(ColloidsError):
        np.asarray(read_stack(tmp_path / "a.zarr", axes="czyx", lazy=True).data)


@pytest.mark.parametrize("kind", ["HDF5", "Zarr"])
def test_chunks_that_unpack_to_far_more_than_their_pixels(tmp_path, monkeypatch, kind):
    """Of 0.4 MB, within what a chunk may have; in earnest such files fill the memory of any computer."""
    bomb = zlib.compress(bytes(400_000_000), 1)
    shape = (2, 1024, 1024)
    if kind == "HDF5":
        path = tmp_path / "a.h5"
        with h5py.File(path, "w") as file:
            dataset = file.create_dataset("raw", shape, np.uint16, chunks=shape, compression="gzip")
            dataset.id.write_direct_chunk((0, 0, 0), bomb)
    else:
        zarr = pytest.importorskip("zarr")
        path = tmp_path / "a.zarr"
        zarr.create_array(path, shape=shape, dtype=np.uint16, chunks=shape, zarr_format=2, compressors={"id": "zlib"})
        (path / "0.0.0").write_bytes(bomb)
    list_series(path)
    monkeypatch.setattr(process, "_MEMORY_BYTES", 60_000_000)
    with pytest.raises(ColloidsError, match="damaged"):
        read_stack(path)


def test_files_that_are_open_for_writing_are_told(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["raw"] = np.ones((4, 5, 6))
        with pytest.raises(ColloidsError, match=r"a\.h5' is open for writing, here or in another program; close it"):
            read_stack(tmp_path / "a.h5")
    assert read_stack(tmp_path / "a.h5").shape == (4, 5, 6)
