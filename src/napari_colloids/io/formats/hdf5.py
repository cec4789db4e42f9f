"""HDF5: the numbered volumes of the challenge, or all datasets of three to five dimensions."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

import h5py
import numpy as np

from napari_colloids.errors import ColloidsError
from napari_colloids.io.axes import UNLABELLED
from napari_colloids.io.files import one_line
from napari_colloids.io.formats.challenge_metadata import ELEMENT_SIZE, volume_metadata
from napari_colloids.io.lazy import FileArray
from napari_colloids.io.series import SeriesReader
from napari_colloids.stack import checked_voxel_size

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_colloids.io.lazy import Box
    from napari_colloids.stack import VoxelSize

_KIND = "an HDF5 file"
#: Numbers of dimensions of a volume, or of a series of them in time and channel.
_NDIM = (3, 4, 5)


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file to read; errors of the ``with`` block become a `ColloidsError`."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError) as error:
        raise ColloidsError(f"'{path}' is not an HDF5 file, or it is damaged ({one_line(error)}).") from error


def volume_keys(file: h5py.File) -> list[str]:
    """Return the names of the numbered volumes in order, or else of all datasets that may be stacks, 3D ones first."""
    numbered = [key for key in file if is_number(key) and _is_volume(file[key])]
    if numbered:
        return sorted(numbered, key=int)
    keys: list[str] = []
    file.visititems(lambda key, item: keys.append(key) if _is_volume(item) else None)
    return sorted(keys, key=lambda key: file[key].ndim)


def volume_key(path: Path, file: h5py.File, index: int) -> str:
    """Return the name of one volume.

    Raises
    ------
    ColloidsError
        If there is no such volume.
    """
    keys = _existing_keys(path, file)
    if not 0 <= index < len(keys):
        raise ColloidsError(
            f"'{path}' holds {len(keys)} volume{'s' if len(keys) > 1 else ''}; there is no volume {index} "
            "(the first one is 0)."
        )
    return keys[index]


def is_number(key: str) -> bool:
    """Return whether a name is a number, as those of the challenge's volumes are."""
    return re.fullmatch(r"[0-9]+", key) is not None


def series_readers(path: Path) -> list[SeriesReader]:
    """Return the volumes of an HDF5 file: the numbered ones, or all datasets of three to five dimensions.

    Their axes come from ilastik's ``axistags`` or the labels of HDF5's dimension scales; three dimensions without
    either are z, y, x.

    Raises
    ------
    ColloidsError
        If the file is damaged or holds no such dataset.
    """
    with opened(path) as file:
        return [_series_reader(path, key, file[key]) for key in _existing_keys(path, file)]


def element_size(dataset: h5py.Dataset) -> VoxelSize | None:
    """Return the voxel size in the attributes of a dataset; None where there is none, or no valid one."""
    size = dataset.attrs.get(ELEMENT_SIZE)
    with suppress(ColloidsError):
        return checked_voxel_size(None if size is None else np.ravel(size).tolist())
    return None


class StoredDataset:
    """A dataset whose file is open only while it is read, so that other programs may write to it in between.

    Parameters
    ----------
    path, key
        The file, and the path of the dataset in it.
    """

    def __init__(self, path: str, key: str) -> None:
        self._path = path
        self._key = key

    def __getitem__(self, index: Box) -> NDArray[np.generic]:
        """Read a box."""
        with h5py.File(self._path, "r") as file:
            box: NDArray[np.generic] = file[self._key][index]
        return box


def native_chunks(dataset: h5py.Dataset) -> tuple[int, ...]:
    """Return the shape of the chunks of a dataset; ones where it is contiguous."""
    return tuple(dataset.chunks or (1,) * dataset.ndim)


def _existing_keys(path: Path, file: h5py.File) -> list[str]:
    keys = volume_keys(file)
    if not keys:
        shapes: list[str] = []
        file.visititems(lambda key, item: shapes.append(f"{key} {item.shape}") if hasattr(item, "shape") else None)
        raise ColloidsError(
            f"'{path}' holds no volume of 3 or more dimensions; what it holds is: {', '.join(shapes[:5]) or 'nothing'}."
        )
    return keys


def _is_volume(item: object) -> bool:
    return isinstance(item, h5py.Dataset) and item.ndim in _NDIM and item.dtype.kind in "uifb" and item.size > 0


def _series_reader(path: Path, key: str, dataset: h5py.Dataset) -> SeriesReader:
    array = FileArray(
        StoredDataset, str(path.absolute()), key, dataset.shape, dataset.dtype, native_chunks(dataset), _KIND
    )
    described = partial(volume_metadata, path, key, dict(dataset.attrs)) if is_number(key) else dict
    return SeriesReader(
        key,
        "ZYX" if is_number(key) and dataset.ndim == 3 else _axes(dataset),
        array,
        voxel_size=element_size(dataset),
        path=key,
        metadata=described,
    )


def _axes(dataset: h5py.Dataset) -> str:
    """Return the axes in the attributes of a dataset, or else z, y, x for three dimensions."""
    labels: list[object] = [dimension.label for dimension in dataset.dims]
    with suppress(KeyError, TypeError, ValueError):  # only ilastik writes them
        labels = [tag["key"] for tag in json.loads(dataset.attrs["axistags"])["axes"]]
    letters = "".join(str(label)[:1].upper() or UNLABELLED for label in labels)
    if len(letters) == dataset.ndim and set("ZYX") <= set(letters):
        return letters
    return "ZYX" if dataset.ndim == 3 else UNLABELLED * dataset.ndim
