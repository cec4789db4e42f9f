"""Imaris: HDF5 files (``.ims``) with a dataset for each time point and channel.

Sources
-------
The format as described by its makers: https://imaris.oxinst.com/support/imaris-file-format
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import h5py
import numpy as np

from napari_colloids.errors import ColloidsError
from napari_colloids.io.files import reading
from napari_colloids.io.formats.hdf5 import StoredDataset, native_chunks
from napari_colloids.io.formats.hdf5_file import Stored, linked, stored
from napari_colloids.io.lazy import Assembled, FileArray
from napari_colloids.io.series import SeriesReader
from napari_colloids.io.units import unit_in_micrometres

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_colloids.io.lazy import Box

_KIND = "an Imaris file"
_LEVEL = "DataSet/ResolutionLevel 0"


def series_readers(path: Path) -> list[SeriesReader]:
    """Return the image in full resolution of an Imaris file.

    Raises
    ------
    ColloidsError
        If the file is damaged or not by Imaris.
    """
    with reading(path, _KIND), h5py.File(path, "r") as file:
        level, about = linked(file, _LEVEL), linked(file, "DataSetInfo")
        if level is None or about is None or "Image" not in about:
            raise ColloidsError(f"'{path}' is HDF5, but not by Imaris: it has no '{_LEVEL}'. Rename it to .h5.")
        times, channels = len(level), len(level["TimePoint 0"])
        volumes = {
            (t, c): _volume(level, f"TimePoint {t}/Channel {c}/Data") for t in range(times) for c in range(channels)
        }
        first = volumes[0, 0]
        shape = tuple(
            int(_text(about["Image"].attrs.get(axis)) or n) for axis, n in zip("ZYX", first.shape, strict=True)
        )
        for (t, c), volume in volumes.items():
            if any(n > m for n, m in zip(shape, volume.shape, strict=True)):
                raise ValueError(f"time point {t}, channel {c} has the shape {volume.shape}")
        there = {where: stored(path, volume, "ZYX", path.name) for where, volume in volumes.items()}
        array = FileArray(
            _open,
            str(path.absolute()),
            ((times, channels, *shape), first.dtype.str),
            (times, channels, *shape),
            first.dtype,
            (1, 1, *native_chunks(first)),
            _KIND,
        )
        return [
            SeriesReader(
                "",
                "TCZYX",
                array,
                voxel_size=_voxel_size(about["Image"], shape),
                assumed="" if _text(about["Image"].attrs.get("Unit")) else "zyx",
                channel_names=_channel_names(about, channels),
                frame_interval=_frame_interval(about),
                unreadable=next((one.unreadable for one in there.values() if one.unreadable), ""),
                recorded=_recorded(there, (times, channels, shape[0], 1, 1)),
                notices=_torn(there.values()),
            )
        ]


def _volume(level: h5py.Group, key: str) -> h5py.Dataset:
    """Return a volume in the file itself."""
    found = linked(level, key)
    if not isinstance(found, h5py.Dataset):
        raise KeyError(f"'{key}' is no dataset")
    return found


def _recorded(there: Mapping[tuple[int, int], Stored], shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
    """Return which slices were written; None for all. Volumes may be longer than the image, as they are padded."""
    recorded = np.ones(shape, bool)
    for where, volume in there.items():
        if volume.recorded is not None:
            recorded[where] = np.broadcast_to(volume.recorded, (max(shape[2], len(volume.recorded)), 1, 1))[: shape[2]]
    return None if recorded.all() else recorded


def _torn(volumes: Iterable[Stored]) -> tuple[str, ...]:
    """Return a notice where volumes have slices of which a part is missing, with that of the first."""
    notices = [notice for volume in volumes for notice in volume.notices]
    more = f" (and so in {len(notices) - 1} more volumes)" if len(notices) > 1 else ""
    return (notices[0] + more,) if notices else ()


def _open(path: str, key: tuple[tuple[int, ...], str]) -> Assembled:
    shape, dtype = key

    def volume(where: tuple[int, ...]) -> _Cropped:
        t, c = where
        return _Cropped(StoredDataset(path, f"{_LEVEL}/TimePoint {t}/Channel {c}/Data"), shape[2:])

    return Assembled(shape, dtype, volume, 2)


class _Cropped:
    """A dataset without the padding to whole chunks."""

    def __init__(self, dataset: StoredDataset, shape: tuple[int, ...]) -> None:
        self._dataset = dataset
        self._shape = shape

    def __getitem__(self, index: Box) -> NDArray[np.generic]:
        inside = tuple(
            slice(*one.indices(n)) if isinstance(one, slice) else one for one, n in zip(index, self._shape, strict=True)
        )
        return self._dataset[inside]


def _text(value: object) -> str:
    """Return the text of an attribute, which Imaris writes as an array of single characters."""
    if value is None:
        return ""
    if isinstance(value, bytes | str):
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return b"".join(np.ravel(np.asarray(value, dtype="S")).tolist()).decode("utf-8", "replace").strip("\0 ")


def _voxel_size(image: h5py.Group, shape: tuple[int, ...]) -> tuple[float, ...] | None:
    """Return the extents, which reach from the outer edge of the first voxel to that of the last, per voxel."""
    unit = unit_in_micrometres(_text(image.attrs.get("Unit")) or "um")
    sizes = []
    for k, n in zip((2, 1, 0), shape, strict=True):
        low, high = (_text(image.attrs.get(f"Ext{end}{k}")) for end in ("Min", "Max"))
        if unit is None or not low or not high:
            return None
        sizes.append(abs(float(high) - float(low)) / n * unit)
    return tuple(sizes)


def _channel_names(about: h5py.Group, channels: int) -> tuple[str, ...]:
    names = [_text(about[f"Channel {c}"].attrs.get("Name")) if f"Channel {c}" in about else "" for c in range(channels)]
    return tuple(names)


def _frame_interval(about: h5py.Group) -> float | None:
    times = about["TimeInfo"].attrs if "TimeInfo" in about else {}
    try:
        count = int(_text(times.get("DatasetTimePoints") or times.get("FileTimePoints")))
        first, last = (datetime.fromisoformat(_text(times.get(f"TimePoint{k}"))) for k in (1, count))
    except ValueError:  # there are no times
        return None
    return (last - first).total_seconds() / (count - 1) if count > 1 else None
