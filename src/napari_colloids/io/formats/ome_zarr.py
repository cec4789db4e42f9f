"""OME-Zarr 0.4 and 0.5, and plain Zarr arrays.

Sources
-------
The specifications: https://ngff.openmicroscopy.org/0.4/ and https://ngff.openmicroscopy.org/0.5/
"""

from __future__ import annotations

import os
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from napari_colloids.errors import ColloidsError
from napari_colloids.io.axes import UNLABELLED, axis_letter
from napari_colloids.io.chunks import recorded_planes
from napari_colloids.io.files import reading
from napari_colloids.io.formats.zarr_chunks import chunks_in_folder
from napari_colloids.io.isolated.child import show_progress
from napari_colloids.io.lazy import FileArray
from napari_colloids.io.series import SeriesReader
from napari_colloids.io.units import unit_in_micrometres, unit_in_seconds
from napari_colloids.io.voxels import voxel_size_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from napari_colloids.io.lazy import Sliceable

_KIND = "a Zarr folder"
#: Levels of a hierarchy that are searched for images; a plate of wells has them at the third.
_MAX_DEPTH = 3
#: Images that are listed; a plate may hold many more, and to list them takes minutes.
_MAX_IMAGES = 2000
#: Files that describe an array or a group, in versions 2 and 3.
_METADATA = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")


def series_readers(path: Path) -> list[SeriesReader]:
    """Return the images of a Zarr hierarchy in full resolution, or its arrays where they are no OME images.

    Raises
    ------
    ColloidsError
        If the folder is damaged or holds no array of three or more dimensions.
    """
    with reading(path, _KIND):
        readers = list(islice(_walk(path, "", _MAX_DEPTH), _MAX_IMAGES + 1))
    if not readers:
        raise ColloidsError(f"'{path}' holds no array of 3 or more dimensions.")
    if len(readers) > _MAX_IMAGES:
        raise ColloidsError(f"'{path}' holds more than {_MAX_IMAGES} images; give the folder of one, or of a well.")
    return readers


def _node(folder: Path) -> zarr.Array | zarr.Group:
    """Open an array or a group, after a look at its files: to open a pipe may take for ever."""
    show_progress()
    for name in _METADATA:
        if os.path.lexists(folder / name) and not (folder / name).is_file():
            raise ColloidsError(f"'{folder / name}' is no file.")
    return zarr.open(str(folder), mode="r")


def _walk(path: Path, name: str, depth: int) -> Iterator[SeriesReader]:
    """Yield the images in a group, without descending into OME images."""
    item = _node(path / name)
    if isinstance(item, zarr.Array):
        if item.ndim in (3, 4, 5) and item.dtype.kind in "uifb":
            yield _series(path, item, name, name, _labels(item), {})
        return
    attributes: dict[str, Any] = dict(item.attrs)
    attributes = attributes.get("ome", attributes)
    if "multiscales" in attributes:
        for image in attributes["multiscales"]:
            yield _image(path, name, image, attributes.get("omero", {}))
    elif depth:
        for key in sorted(_members(path / name), key=lambda key: (len(key), key) if key.isdigit() else (0, key)):
            yield from _walk(path, f"{name}/{key}".strip("/"), depth - 1)


def _members(folder: Path) -> list[str]:
    """Return the names of the arrays and groups in a group."""
    with os.scandir(folder) as entries:
        folders = [entry.name for entry in entries if entry.is_dir()]
    return [name for name in folders if any(os.path.lexists(folder / name / one) for one in _METADATA)]


def _image(path: Path, name: str, image: Mapping[str, Any], omero: Mapping[str, Any]) -> SeriesReader:
    level = image["datasets"][0]  # the levels go from the largest to the smallest
    where = f"{name}/{level['path']}".strip("/")
    if ".." in where.split("/"):
        raise ValueError(f"'{level['path']}' is in another folder")
    array = _node(path / where)
    if not isinstance(array, zarr.Array):
        raise ValueError(f"'{level['path']}' is no array")
    # Versions before 0.4 had axes without units, those before 0.3 none at all.
    axes = [one if isinstance(one, dict) else {"name": one} for one in image.get("axes", [])]
    if len(axes) != array.ndim:
        return _series(path, array, where, name, UNLABELLED * array.ndim, {})
    letters = "".join(axis_letter(axis["name"]) for axis in axes)
    names = _channel_names(omero.get("channels", []))
    return _series(path, array, where, name, letters, _steps(image, level, letters, axes), names)


def _series(
    path: Path,
    array: zarr.Array,
    where: str,
    name: str,
    axes: str,
    steps: Mapping[str, float],
    channel_names: tuple[str, ...] = (),
) -> SeriesReader:
    title = f"{path.name} {name}".strip()
    voxel_size, unknown = voxel_size_of(steps, title)
    written = chunks_in_folder(path / where, array, title)
    recorded, torn = recorded_planes(written, array.chunks, array.shape, axes, title)
    return SeriesReader(
        name,
        axes,
        _array(path, array, where),
        voxel_size=voxel_size,
        channel_names=channel_names,
        frame_interval=steps.get("T"),
        path=where,
        recorded=recorded,
        sparse=True,  # by default chunks that are all fill value are not written
        notices=unknown + torn,
    )


def _steps(
    image: Mapping[str, Any], level: Mapping[str, Any], letters: str, axes: Sequence[Mapping[str, Any]]
) -> dict[str, float]:
    """Return the micrometres or seconds from element to element, of the axes with a scale and a unit."""
    scales = [
        np.asarray(transformation["scale"], dtype=float)
        for item in (image, level)
        for transformation in item.get("coordinateTransformations", [])
        if transformation.get("type") == "scale"
    ]
    if not scales:
        return {}
    steps: dict[str, float] = {}
    for letter, axis, scale in zip(letters, axes, np.prod(scales, axis=0).tolist(), strict=True):
        unit = axis.get("unit")
        length = unit_in_seconds(unit) if letter == "T" else unit_in_micrometres(unit)
        if length is not None:
            steps[letter] = scale * length
    return steps


def _channel_names(channels: Sequence[Mapping[str, object]]) -> tuple[str, ...]:
    names = [str(channel.get("label", "")) for channel in channels]
    return tuple(names)


def _labels(array: zarr.Array) -> str:
    """Return the axes of a bare array: its dimension names (those of xarray in version 2), or z, y, x for three."""
    names: Any = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS") or ()
    letters = "".join(axis_letter(name) for name in names)
    if len(letters) == array.ndim and set("ZYX") <= set(letters):
        return letters
    return "ZYX" if array.ndim == 3 else UNLABELLED * array.ndim


def _array(path: Path, array: zarr.Array, name: str) -> FileArray:
    return FileArray(
        _open, str(path.absolute()), name, array.shape, np.dtype(array.dtype), array.chunks, _KIND, parallel=True
    )


def _open(path: str, name: str) -> Sliceable:
    return zarr.open_array(path, path=name, mode="r")
