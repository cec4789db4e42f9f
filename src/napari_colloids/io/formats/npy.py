"""NumPy: ``.npy`` files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.errors import ColloidsError
from napari_colloids.io.axes import UNLABELLED
from napari_colloids.io.files import reading
from napari_colloids.io.lazy import FileArray
from napari_colloids.io.series import SeriesReader

if TYPE_CHECKING:
    from pathlib import Path

    from napari_colloids.io.lazy import Sliceable

_KIND = "a NumPy array file"


def series_readers(path: Path) -> list[SeriesReader]:
    """Return the one array of a ``.npy`` file; three dimensions are z, y, x, the meaning of more is unknown.

    Raises
    ------
    ColloidsError
        If the file is damaged, not a NumPy file, or holds Python objects.
    """
    with reading(path, _KIND):
        data = _mapped(str(path), None)
        if not isinstance(data, np.ndarray):
            raise ColloidsError(f"'{path}' is an archive of arrays (.npz); save one array with numpy.save.")
    axes = "ZYX"[-data.ndim :] if 0 < data.ndim <= 3 else UNLABELLED * data.ndim
    array = FileArray(
        _mapped, str(path.absolute()), None, data.shape, data.dtype, (1,) * data.ndim, _KIND, parallel=True
    )
    return [SeriesReader("", axes, array, mapped=True)]


def _mapped(path: str, _key: None) -> Sliceable:
    return np.load(path, mmap_mode="r", allow_pickle=False)
