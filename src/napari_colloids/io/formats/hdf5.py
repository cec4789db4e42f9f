"""HDF5: the numbered volumes of the challenge, or all datasets of three to five dimensions."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import h5py
import numpy as np

from napari_colloids.errors import ColloidsError
from napari_colloids.io.axes import UNLABELLED, axis_letter
from napari_colloids.io.formats.challenge_metadata import ELEMENT_SIZE, volume_metadata
from napari_colloids.io.formats.hdf5_file import datasets, encoded, linked, opened, stored, values_type
from napari_colloids.io.lazy import FileArray
from napari_colloids.io.series import SeriesReader
from napari_colloids.io.units import unit_in_micrometres, unit_in_seconds
from napari_colloids.io.voxels import voxel_size_of
from napari_colloids.stack import checked_voxel_size

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_colloids.io.lazy import Box
    from napari_colloids.stack import VoxelSize

_KIND = "an HDF5 file"
#: Numbers of dimensions of a volume, or of a series of them in time and channel.
_NDIM = (3, 4, 5)
#: Errors that attributes raise which are missing or not as ilastik writes them.
_NOT_ILASTIK = (KeyError, TypeError, ValueError, AttributeError, OSError, RuntimeError)


def volume_keys(file: h5py.File) -> list[str]:
    """Return the names of the numbered volumes in order, or else of all datasets that may be stacks, 3D ones first."""
    numbered = [key for key in file if isinstance(key, str) and is_number(key) and _is_volume(linked(file, key))]
    if numbered:  # there may be thousands, and as many of what belongs to them
        return sorted(numbered, key=int)
    found = {key: dataset.ndim for key, dataset in datasets(file).items() if _is_volume(dataset)}
    return sorted(found, key=lambda key: found[key])


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
    return re.fullmatch(r"[0-9]{1,9}", key) is not None


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
        return [_series_reader(path, key, file[encoded(key)]) for key in _existing_keys(path, file)]


def element_size(dataset: h5py.Dataset) -> VoxelSize | None:
    """Return the voxel size in the attributes of a dataset; None where there is none, or no valid one."""
    with suppress(ColloidsError, OSError, RuntimeError, TypeError, ValueError):
        size = dataset.attrs.get(ELEMENT_SIZE)
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
            box: NDArray[np.generic] = file[encoded(self._key)][index]
        return box


def native_chunks(dataset: h5py.Dataset) -> tuple[int, ...]:
    """Return the shape of the chunks of a dataset; ones where it is contiguous."""
    return tuple(dataset.chunks or (1,) * dataset.ndim)


def _existing_keys(path: Path, file: h5py.File) -> list[str]:
    keys = volume_keys(file)
    if not keys:
        shapes = [f"{_shown(key)} {item.shape}" for key, item in datasets(file).items()]
        raise ColloidsError(
            f"'{path}' holds no volume of 3 or more dimensions (what other files hold is not followed); what it holds "
            f"is: {', '.join(shapes[:5]) or 'nothing'}."
        )
    return keys


def _is_volume(dataset: h5py.Group | h5py.Dataset | None) -> bool:
    if not isinstance(dataset, h5py.Dataset):
        return False
    dtype = values_type(dataset)
    return dtype is not None and dataset.ndim in _NDIM and dtype.kind in "uifb" and dataset.size > 0


def _series_reader(path: Path, key: str, dataset: h5py.Dataset) -> SeriesReader:
    array = FileArray(
        StoredDataset, str(path.absolute()), key, dataset.shape, dataset.dtype, native_chunks(dataset), _KIND
    )
    name = f"{path.name} {_shown(key)}"
    described = partial(volume_metadata, path, key, _attributes(dataset)) if is_number(key) else dict
    axes, steps = ("ZYX", {}) if is_number(key) and dataset.ndim == 3 else _axes(dataset)
    known = element_size(dataset)
    voxel_size, unknown = (known, ()) if known else voxel_size_of(steps, name)
    there = stored(path, dataset, axes, name)
    return SeriesReader(
        _shown(key),
        axes,
        array,
        voxel_size=voxel_size,
        frame_interval=steps.get("T"),
        unreadable=there.unreadable,
        path=_shown(key),
        metadata=described,
        recorded=there.recorded,
        missing_files=there.missing_files,
        notices=unknown + there.notices,
    )


def _shown(key: str) -> str:
    """Return a name as it can be printed: those that are not UTF-8 have characters that no terminal takes."""
    return key.encode("utf-8", "backslashreplace").decode()


def _attributes(dataset: h5py.Dataset) -> dict[str, object]:
    """Return the attributes of a dataset whose types NumPy has."""
    found: dict[str, object] = {}
    for name in dataset.attrs:
        with suppress(OSError, RuntimeError, TypeError, ValueError):
            found[name] = dataset.attrs[name]
    return found


def _axes(dataset: h5py.Dataset) -> tuple[str, dict[str, float]]:
    """Return the axes in the attributes of a dataset, or else z, y, x for three dimensions.

    Returns
    -------
    axes
        One letter per dimension.
    steps
        Micrometres or seconds from element to element, by axis, as far as ilastik wrote them.
    """
    labels: list[object] = [dimension.label for dimension in dataset.dims]
    steps: dict[str, float] = {}
    with suppress(*_NOT_ILASTIK):
        tags = json.loads(dataset.attrs["axistags"])["axes"]
        labels = [tag["key"] for tag in tags]
        units = _ilastik_units(dataset)
        for tag in tags:
            letter, unit = axis_letter(tag["key"]), units.get(tag["key"])
            scale = unit_in_seconds(unit) if letter == "T" else unit_in_micrometres(unit)
            if scale is not None:
                steps[letter] = float(tag.get("resolution", 0)) * scale  # 0: not known
    letters = "".join(axis_letter(label) for label in labels)
    if len(letters) == dataset.ndim and set("ZYX") <= set(letters):
        return letters, steps
    return ("ZYX" if dataset.ndim == 3 else UNLABELLED * dataset.ndim), {}


def _ilastik_units(dataset: h5py.Dataset) -> dict[str, object]:
    """Return the unit of each axis, a JSON object in an attribute; empty where there is none."""
    with suppress(*_NOT_ILASTIK):
        units = json.loads(dataset.attrs["axis_units"])
        return units if isinstance(units, dict) else {}
    return {}
