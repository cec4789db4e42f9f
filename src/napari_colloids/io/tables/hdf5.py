"""HDF5 tables: a group with one dataset per column."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h5py
import numpy as np
import pandas as pd

from napari_colloids.errors import ColloidsError
from napari_colloids.io.formats.challenge_truth import read_truth
from napari_colloids.io.isolated.process import run_isolated
from napari_colloids.io.tables.hdf5_columns import GROUP, stored_columns
from napari_colloids.io.tables.hdf5_disk import DeferredErrorFile, delayed_interrupt

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Chunks are compressed, so that a table of a few rows does not take the space of a full chunk.
_ROWS_PER_CHUNK = 4096


class Writer:
    """An HDF5 file that is written part by part: the datasets grow."""

    def __init__(self, path: Path, _metadata: Mapping[str, object]) -> None:
        self._storage = DeferredErrorFile(path)
        self._rows = 0
        try:
            with delayed_interrupt():
                self._file = h5py.File(self._storage, "w")
                self._group = self._file.create_group(GROUP)
        except KeyboardInterrupt:  # it came meanwhile, and nobody has this object to close it
            self.close()
            raise

    def append(self, table: pd.DataFrame) -> None:
        """Write the rows of one part."""
        with delayed_interrupt():
            self._grow(table)
        self._storage.check()

    def close(self) -> None:
        """Finish the file."""
        with self._storage:
            with delayed_interrupt():
                self._file.close()
            self._storage.check()

    def _grow(self, table: pd.DataFrame) -> None:
        start, self._rows = self._rows, self._rows + len(table)
        self._group.attrs["columns"] = [str(column) for column in table.columns]
        for column in table.columns:
            values = table[column].to_numpy()
            if values.dtype.kind not in "uifb":
                # Other values than numbers are stored as text.
                values = np.array([str(value) for value in values], dtype=object)
            dataset = self._dataset(str(column), values.dtype)
            dataset.resize(self._rows, axis=0)
            dataset[start:] = values

    def _dataset(self, name: str, dtype: np.dtype[np.generic]) -> h5py.Dataset:
        if name in self._group:
            return self._group[name]
        return self._group.create_dataset(
            name,
            shape=(0,),
            maxshape=(None,),
            chunks=(_ROWS_PER_CHUNK,),
            dtype=h5py.string_dtype() if dtype.kind == "O" else dtype,
            shuffle=True,
            compression="gzip",
            compression_opts=1,
        )


def read(path: Path, index: int) -> pd.DataFrame:
    """Read a particle table, or the true particles of one challenge volume.

    Raises
    ------
    ColloidsError
        If the file is damaged or holds no particles.
    """
    columns = run_isolated(path, stored_columns, path, nbytes=path.stat().st_size)
    if columns is not None:
        return pd.DataFrame(columns)
    truth = read_truth(path, index)
    if truth is None:
        raise ColloidsError(f"'{path}' holds volumes but no particles.")
    return truth
