"""HDF5: the numbered volumes of the challenge, or all datasets of three to five dimensions."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import h5py
import numpy as np

from napari_colloids.errors import ColloidsError
from napari_colloids.io.axes import UNLABELLED, axis_letter
from napari_colloids.io.formats.challenge_metadata import ELEMENT_SIZE, volume_metadata
from napari_colloids.io.formats.hdf5_file import datasets, encoded, linked, opened, stored, values_type
from napari_colloids.io.isolated.child import show_progress
from napari_colloids.io.lazy import FileArray
from napari_colloids.io.series import SeriesReader
from napari_colloids.io.units import unit_in_micrometres, unit_in_seconds
from napari_colloids.io.voxels import voxel_size_of
from napari_colloids.stack import checked_voxel_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_colloids.io.lazy import Box
    from napari_colloids.stack import VoxelSize

_KIND = "an HDF5 file"
#: Attributes with the axes: labels of HDF5's dimension scales, and ilastik's.
_LABELS, _TAGS = "DIMENSION_LABELS", "axistags"
#: Numbers of dimensions of a volume, or of a series of them in time and channel.
_NDIM = (3, 4, 5)
#: Errors that attributes raise which are missing or not as ilastik writes them.
_NOT_ILASTIK = (KeyError, TypeError, ValueError, AttributeError, OSError, RuntimeError)


def volumes(path: Path, file: h5py.File) -> dict[str, h5py.Dataset]:
    """Return the numbered volumes in order, or else all datasets that may be stacks, 3D ones first, by their path.

    Raises
    ------
    ColloidsError
        If there are none; `path` is the file, for its message.
    """
    numbers = [key for key in file if isinstance(key, str) and is_number(key)]
    # There may be thousands, and as many of what belongs to them.
    numbered = _volumes_of((key, linked(file, key)) for key in sorted(numbers, key=int))
    if numbered:
        return numbered
    found = datasets(file)
    if stacks := _volumes_of(found.items()):
        return dict(sorted(stacks.items(), key=lambda item: item[1].ndim))
    shapes = [f"{_shown(key)} {item.shape}" for key, item in found.items()]
    raise ColloidsError(
        f"'{path}' holds no volume of 3 or more dimensions (what other files hold is not followed); what it holds "
        f"is: {', '.join(shapes[:5]) or 'nothing'}."
    )


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
        return [_series_reader(path, key, dataset) for key, dataset in volumes(path, file).items()]


def element_size(dataset: h5py.Dataset) -> VoxelSize | None:
    """Return the voxel size in the attributes of a dataset; None where there is none, or no valid one."""
    with suppress(ColloidsError, OSError, RuntimeError, TypeError, ValueError):
        if ELEMENT_SIZE in dataset.attrs:
            return checked_voxel_size(np.ravel(dataset.attrs[ELEMENT_SIZE]).tolist())
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


def dataset_array(path: Path, key: str, dataset: h5py.Dataset) -> FileArray:
    """Return a dataset, which is opened again when it is read."""
    place = os.path.abspath(path)
    return FileArray(StoredDataset, place, key, dataset.shape, dataset.dtype, native_chunks(dataset), _KIND)


def attributes_of(dataset: h5py.Dataset) -> dict[str, object]:
    """Return the attributes of a dataset that are numbers or text, one or many."""
    found: dict[str, object] = {}
    for name in dataset.attrs:
        with suppress(OSError, RuntimeError, TypeError, ValueError):
            value = np.asarray(dataset.attrs[name])
            if not value.dtype.hasobject or all(isinstance(one, str | bytes) for one in value.ravel()):
                found[name] = dataset.attrs[name]
    return found


def native_chunks(dataset: h5py.Dataset) -> tuple[int, ...]:
    """Return the shape of the chunks of a dataset; ones where it is contiguous."""
    return tuple(dataset.chunks or (1,) * dataset.ndim)


def _volumes_of(items: Iterable[tuple[str, h5py.Group | h5py.Dataset | None]]) -> dict[str, h5py.Dataset]:
    return {key: item for key, item in items if isinstance(item, h5py.Dataset) and _is_volume(item)}


def _is_volume(dataset: h5py.Dataset) -> bool:
    shape, dtype = dataset.shape, values_type(dataset)
    # Empty datasets have no shape.
    return dtype is not None and shape is not None and len(shape) in _NDIM and dtype.kind in "uifb" and 0 not in shape


@dataclass(frozen=True)
class StoredMetadata:
    """Metadata of a numbered volume, which other files may add to when they are asked for.

    Attributes
    ----------
    path, key
        File and name of the dataset.
    attributes
        Those of the dataset.
    """

    path: Path
    key: str
    attributes: Mapping[str, object]

    def __call__(self) -> Mapping[str, object]:
        """Return the metadata."""
        return volume_metadata(self.path, self.key, self.attributes)


def _series_reader(path: Path, key: str, dataset: h5py.Dataset) -> SeriesReader:
    show_progress()
    name = f"{path.name} {_shown(key)}"
    described = StoredMetadata(path, key, attributes_of(dataset)) if is_number(key) else dict
    axes, steps = ("ZYX", {}) if is_number(key) and dataset.ndim == 3 else _axes(dataset)
    known = element_size(dataset)
    voxel_size, unknown = (known, ()) if known else voxel_size_of(steps, name)
    there = stored(path, dataset, axes, name)
    return SeriesReader(
        _shown(key),
        axes,
        dataset_array(path, key, dataset),
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


def _axes(dataset: h5py.Dataset) -> tuple[str, dict[str, float]]:
    """Return the axes in the attributes of a dataset, or else z, y, x for three dimensions.

    Returns
    -------
    axes
        One letter per dimension.
    steps
        Micrometres or seconds from element to element, by axis, as far as ilastik wrote them.
    """
    attributes = dataset.attrs
    labels: list[object] = []
    steps: dict[str, float] = {}
    if _LABELS in attributes:
        labels = [dimension.label for dimension in dataset.dims]
    if _TAGS in attributes:
        with suppress(*_NOT_ILASTIK):
            tags = json.loads(attributes[_TAGS])["axes"]
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
