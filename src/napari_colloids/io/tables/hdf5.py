"""HDF5 tables: a group with one dataset per column."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import h5py
import numpy as np
import pandas as pd

from napari_colloids.errors import ColloidsError
from napari_colloids.io.formats.challenge_truth import read_truth
from napari_colloids.io.formats.hdf5 import opened
from napari_colloids.io.tables.hdf5_disk import DeferredErrorFile, delayed_interrupt
from napari_colloids.io.tables.limits import MAX_ROWS_PER_BYTE, MIN_CHECKED_ROWS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

_Item = TypeVar("_Item", h5py.Group, h5py.Dataset)

_GROUP = "particles"
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
                self._group = self._file.create_group(_GROUP)
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
    with opened(path) as file:
        if _GROUP in file:
            group = _inside(file, _GROUP, h5py.Group)
            columns = {name: _inside(group, name, h5py.Dataset) for name in _columns(group)}
            size = sum(dataset.id.get_storage_size() for dataset in columns.values())
            rows = max((dataset.size for dataset in columns.values()), default=0)
            if rows > max(MIN_CHECKED_ROWS, MAX_ROWS_PER_BYTE * size):
                raise ValueError(f"{rows} rows are not in a file of its size")
            return pd.DataFrame({name: _column(dataset) for name, dataset in columns.items()})
    truth = read_truth(path, index)
    if truth is None:
        raise ColloidsError(f"'{path}' holds volumes but no particles.")
    return truth


def _inside(group: h5py.Group, name: str, kind: type[_Item]) -> _Item:
    """Return an item of a group, which must not be a link to another file: opening that could block.

    Raises
    ------
    ValueError
        If it is another kind of item.
    """
    if not isinstance(group.get(name, getlink=True), h5py.HardLink) or not isinstance(group[name], kind):
        raise ValueError(f"'{name}' is no {kind.__name__.lower()} of the file")
    item: _Item = group[name]
    return item


def _columns(group: h5py.Group) -> list[str]:
    """Return the names of the columns.

    Raises
    ------
    ValueError
        If they are no list of texts.
    """
    names = group.attrs["columns"]
    if not (isinstance(names, np.ndarray) and names.ndim == 1 and all(isinstance(name, str) for name in names)):
        raise ValueError("its list of columns is damaged")
    return [str(name) for name in names]


def _column(dataset: h5py.Dataset) -> NDArray[np.generic]:
    is_text = h5py.check_string_dtype(dataset.dtype) is not None
    if dataset.ndim != 1 or not (is_text or dataset.dtype.kind in "uifb"):
        raise ValueError(f"column '{dataset.name}' is no list of numbers or texts")
    if dataset.is_virtual or dataset.external:
        raise ValueError(f"column '{dataset.name}' lies in another file")
    values: NDArray[np.generic] = (dataset.asstr() if is_text else dataset)[()]
    return values
