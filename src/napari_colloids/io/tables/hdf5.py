"""HDF5 tables: a group with one dataset a column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pandas as pd

from napari_colloids.errors import ColloidsError
from napari_colloids.io.formats.challenge_truth import read_truth
from napari_colloids.io.formats.hdf5 import opened
from napari_colloids.io.tables.hdf5_disk import Disk, uninterrupted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_GROUP = "particles"
#: Rows that are stored together. Compressed, so that a table of a few rows does not take the room of as many.
_CHUNK = 4096


class Hdf5Parts:
    """An HDF5 file that is written part by part: the datasets grow."""

    def __init__(self, path: Path, _metadata: Mapping[str, Any]) -> None:
        self._disk = Disk(path)
        with uninterrupted():
            self._file = h5py.File(self._disk, "w")
            self._group = self._file.create_group(_GROUP)
        self._rows = 0

    def append(self, table: pd.DataFrame) -> None:
        """Write the rows of one part."""
        with uninterrupted():
            self._grow(table)
        self._disk.check()

    def close(self) -> None:
        """Finish the file."""
        with self._disk:
            with uninterrupted():
                self._file.close()
            self._disk.check()

    def _grow(self, table: pd.DataFrame) -> None:
        start, self._rows = self._rows, self._rows + len(table)
        self._group.attrs["columns"] = [str(column) for column in table.columns]
        for column in table.columns:
            values = table[column].to_numpy()
            if values.dtype.kind not in "uifb":
                # Whatever is no number is kept as text.
                values = np.array([str(value) for value in values], dtype=object)
            dataset = self._dataset(str(column), values.dtype)
            dataset.resize(self._rows, axis=0)
            dataset[start:] = values

    def _dataset(self, name: str, dtype: np.dtype) -> h5py.Dataset:
        if name in self._group:
            return self._group[name]
        return self._group.create_dataset(
            name,
            shape=(0,),
            maxshape=(None,),
            chunks=(_CHUNK,),
            dtype=h5py.string_dtype() if dtype.kind == "O" else dtype,
            shuffle=True,
            compression="gzip",
            compression_opts=1,
        )


def read_hdf5_table(path: Path, index: int) -> pd.DataFrame:
    """Read a table of ours, or the true particles of one challenge volume."""
    with opened(path) as file:
        if _GROUP in file:
            group = file[_GROUP]
            return pd.DataFrame({name: _column(group[name]) for name in group.attrs["columns"]})
    truth = read_truth(path, index)
    if truth is None:
        raise ColloidsError(f"'{path}' holds volumes but no particles.")
    return truth


def _column(dataset: h5py.Dataset) -> Any:
    return dataset.asstr()[()] if h5py.check_string_dtype(dataset.dtype) else dataset[()]
