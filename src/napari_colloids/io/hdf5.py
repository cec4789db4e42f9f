"""Volumes in HDF5: the numbered ones of the challenge, or the 3D datasets of any other file."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import h5py
import numpy as np

from napari_colloids.errors import ColloidsError
from napari_colloids.io.axes import arrange
from napari_colloids.io.challenge_metadata import ELEMENT_SIZE, volume_metadata
from napari_colloids.io.files import one_line
from napari_colloids.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file to read; what goes wrong inside becomes a `ColloidsError`."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError) as error:
        raise ColloidsError(f"'{path}' is not an HDF5 file, or it is damaged ({one_line(error)}).") from error


def volume_keys(file: h5py.File, ndim: int = 3) -> list[str]:
    """Return the names of the volumes in a file, in the order of their numbers (or of their names).

    Parameters
    ----------
    file
        An open file.
    ndim
        Number of dimensions that makes a dataset a volume.
    """
    numbered = [key for key in file if is_number(key) and _is_volume(file[key], ndim)]
    if numbered:
        return sorted(numbered, key=int)
    keys: list[str] = []
    file.visititems(lambda key, item: keys.append(key) if _is_volume(item, ndim) else None)
    return keys


def volume_key(path: Path, file: h5py.File, index: int, ndim: int = 3) -> str:
    """Return the name of one volume.

    Raises
    ------
    ColloidsError
        If there is no such volume.
    """
    keys = volume_keys(file, ndim)
    if not keys:
        shapes: list[str] = []
        file.visititems(lambda key, item: shapes.append(f"{key} {item.shape}") if hasattr(item, "shape") else None)
        raise ColloidsError(
            f"'{path}' holds no volume of {ndim} dimensions; what it holds is: {', '.join(shapes[:5]) or 'nothing'}."
        )
    if not 0 <= index < len(keys):
        raise ColloidsError(
            f"'{path}' holds {len(keys)} volume{'s' if len(keys) > 1 else ''}; there is no volume {index} "
            "(the first one is 0)."
        )
    return keys[index]


def is_number(key: str) -> bool:
    """Return whether a name is one of a challenge volume."""
    return re.fullmatch(r"[0-9]+", key) is not None


def _is_volume(item: object, ndim: int) -> bool:
    return isinstance(item, h5py.Dataset) and item.ndim == ndim and item.dtype.kind in "uifb" and item.size > 0


def read_hdf5(path: Path, *, index: int = 0, axes: str | None = None) -> Stack:
    """Read one volume of an HDF5 file.

    Parameters
    ----------
    path
        An existing file.
    index
        Which of the volumes, from 0 in the order of their numbers (or names, where they are not numbered).
    axes
        What the dimensions are; looks for volumes with that many.

    Returns
    -------
    Stack
        Its metadata hold what the challenge's tables say of the volume.

    Raises
    ------
    ColloidsError
        If the file is damaged or there is no such volume.
    """
    axes = axes or "zyx"
    with opened(path) as file:
        key = volume_key(path, file, index, len(axes))
        dataset = file[key]
        data = np.asarray(dataset[()])
        size = dataset.attrs.get(ELEMENT_SIZE)
        metadata = volume_metadata(path, key, dataset.attrs) if is_number(key) else {}
    data, axes = arrange(data, axes, f"{path.name} {key}")
    return Stack(
        data,
        axes=axes,
        voxel_size=None if size is None else tuple(np.ravel(size)),
        name=f"{path.stem} {key}",
        metadata=metadata,
    )


def count_hdf5(path: Path) -> int:
    """Return how many volumes an HDF5 file holds."""
    with opened(path) as file:
        return len(volume_keys(file))
