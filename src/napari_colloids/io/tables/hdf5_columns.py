"""The columns of an HDF5 table, as they are read in another process."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import h5py
import numpy as np

from napari_colloids.io.formats.hdf5_file import opened
from napari_colloids.table_limits import MAX_ROWS_PER_BYTE, MIN_CHECKED_ROWS

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_Item = TypeVar("_Item", h5py.Group, h5py.Dataset)

#: The group that has a dataset per column.
GROUP = "particles"


def stored_columns(path: Path) -> dict[str, NDArray[np.generic]] | None:
    """Return the columns of a table by their name, or None where the file has no table.

    Raises
    ------
    ColloidsError
        If the file is damaged.
    """
    with opened(path) as file:
        if GROUP not in file:
            return None
        group = _inside(file, GROUP, h5py.Group)
        columns = {name: _inside(group, name, h5py.Dataset) for name in _columns(group)}
        size = sum(dataset.id.get_storage_size() for dataset in columns.values())
        rows = max((dataset.size for dataset in columns.values()), default=0)
        if rows > max(MIN_CHECKED_ROWS, MAX_ROWS_PER_BYTE * size):
            raise ValueError(f"{rows} rows are not in a file of its size")
        return {name: _column(dataset) for name, dataset in columns.items()}


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
