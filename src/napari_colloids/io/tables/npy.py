"""Positions in ``.npy`` files of NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from napari_colloids.io.tables.headers import SAID
from napari_colloids.particles import POSITION

if TYPE_CHECKING:
    from pathlib import Path

#: Largest number of columns.
_MAX_COLUMNS = 64


def read(path: Path, _index: int) -> pd.DataFrame:
    """Read an array of shape (N, 3), z, y, x in voxels; (N, 4) with the frame first; or a structured array.

    Columns of other arrays are named by their numbers, from 0.

    Raises
    ------
    ValueError
        If it holds no such array.
    """
    array = np.load(path, mmap_mode="r", allow_pickle=False)  # a map is not larger than its file
    if not isinstance(array, np.ndarray):
        raise ValueError("it is an archive of arrays")
    if array.dtype.names and array.ndim == 1:
        return pd.DataFrame({name: np.array(array[name].tolist()) for name in array.dtype.names})
    if array.ndim != 2 or array.dtype.kind not in "iuf":
        raise ValueError(f"positions are numbers of shape (N, 3), not {array.dtype} of shape {array.shape}")
    turned = array.shape[0] == 3 and array.shape[1] > 4
    if turned or not 3 <= array.shape[1] <= _MAX_COLUMNS:
        advice = "; save its transpose" if turned else ""
        raise ValueError(f"positions have shape (N, 3), not {array.shape}{advice}")
    values = np.array(array, dtype=float)
    names = [str(number) for number in range(values.shape[1])]
    said = []
    if len(names) == 3:
        names, said = POSITION, ["read as an array of z, y, x in voxels"]
    elif len(names) == 4 and _are_frames(values[:, 0]):
        names, said = ["frame", *POSITION], ["read as an array of frame, z, y, x in voxels"]
    table = pd.DataFrame(values, columns=names)
    table.attrs[SAID] = said
    return table


def _are_frames(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> bool:
    """Whether numbers are frames: whole, and rising with several particles each."""
    whole = bool(np.isfinite(values).all() and (values >= 0).all() and (values % 1 == 0).all())
    return whole and bool((np.diff(values) >= 0).all()) and len(np.unique(values)) < max(len(values), 2)
