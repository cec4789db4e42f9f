"""OME-Zarr 0.4 and 0.5, and plain Zarr arrays.

Sources
-------
The specifications: https://ngff.openmicroscopy.org/0.4/ and https://ngff.openmicroscopy.org/0.5/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from napari_colloids.errors import ColloidsError
from napari_colloids.io.axes import UNLABELLED
from napari_colloids.io.files import reading
from napari_colloids.io.lazy import FileArray
from napari_colloids.io.series import SeriesReader
from napari_colloids.io.units import unit_in_micrometres, unit_in_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_colloids.io.lazy import Sliceable

_KIND = "a Zarr folder"
#: Levels of a hierarchy that are searched for images; a plate of wells has them at the third.
_MAX_DEPTH = 3


def series_readers(path: Path) -> list[SeriesReader]:
    """Return the images of a Zarr hierarchy in full resolution, or its arrays where they are no OME images.

    Raises
    ------
    ColloidsError
        If the folder is damaged or holds no array of three or more dimensions.
    """
    with reading(path, _KIND):
        readers = list(_walk(path, zarr.open(str(path), mode="r"), "", _MAX_DEPTH))
    if not readers:
        raise ColloidsError(f"'{path}' holds no array of 3 or more dimensions.")
    return readers


def _walk(path: Path, item: zarr.Array | zarr.Group, name: str, depth: int) -> Iterator[SeriesReader]:
    """Yield the images in a group, without descending into OME images."""
    if isinstance(item, zarr.Array):
        if item.ndim in (3, 4, 5) and item.dtype.kind in "uifb":
            yield SeriesReader(name, _labels(item), _array(path, item, name), path=name)
        return
    attributes: dict[str, Any] = dict(item.attrs)
    attributes = attributes.get("ome", attributes)
    if "multiscales" in attributes:
        for image in attributes["multiscales"]:
            yield _image(path, item, name, image, attributes.get("omero", {}))
    elif depth:
        for key in sorted(item.keys(), key=lambda key: (len(key), key) if key.isdigit() else (0, key)):
            yield from _walk(path, item[key], f"{name}/{key}".strip("/"), depth - 1)


def _image(
    path: Path, group: zarr.Group, name: str, image: Mapping[str, Any], omero: Mapping[str, Any]
) -> SeriesReader:
    level = image["datasets"][0]  # the levels go from the largest to the smallest
    array = group[level["path"]]
    if not isinstance(array, zarr.Array):
        raise ValueError(f"'{level['path']}' is no array")
    where = f"{name}/{level['path']}".strip("/")
    # Versions before 0.4 had axes without units, those before 0.3 none at all.
    axes = [one if isinstance(one, dict) else {"name": one} for one in image.get("axes", [])]
    if len(axes) != array.ndim:
        return SeriesReader(name, UNLABELLED * array.ndim, _array(path, array, where), path=where)
    letters = "".join(str(axis["name"])[:1].upper() for axis in axes)
    scale = _scale(image, array.ndim) * _scale(level, array.ndim)
    units = {letter: axis.get("unit") for letter, axis in zip(letters, axes, strict=True)}
    steps = dict(zip(letters, scale.tolist(), strict=True))
    lengths = [unit_in_micrometres(units.get(letter)) for letter in "ZYX"]
    seconds = unit_in_seconds(units.get("T"))
    return SeriesReader(
        name,
        letters,
        _array(path, array, where),
        voxel_size=tuple(steps[letter] * unit for letter, unit in zip("ZYX", lengths, strict=True) if unit is not None),
        channel_names=_channel_names(omero.get("channels", [])),
        frame_interval=None if seconds is None else steps["T"] * seconds,
        path=where,
    )


def _scale(item: Mapping[str, Any], ndim: int) -> NDArray[np.float64]:
    """Return the scale of each axis in the transformations of an image, or of a level of it."""
    scale = np.ones(ndim)
    for transformation in item.get("coordinateTransformations", []):
        if transformation.get("type") == "scale":
            scale = scale * np.asarray(transformation["scale"], dtype=float)
    return scale


def _channel_names(channels: Sequence[Mapping[str, object]]) -> tuple[str, ...]:
    names = [str(channel.get("label", "")) for channel in channels]
    return tuple(names)


def _labels(array: zarr.Array) -> str:
    """Return the axes of a bare array: its dimension names (those of xarray in version 2), or z, y, x for three."""
    names: Any = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS") or ()
    letters = "".join(str(name or UNLABELLED)[:1].upper() for name in names)
    if len(letters) == array.ndim and set("ZYX") <= set(letters):
        return letters
    return "ZYX" if array.ndim == 3 else UNLABELLED * array.ndim


def _array(path: Path, array: zarr.Array, name: str) -> FileArray:
    return FileArray(
        _open, str(path.absolute()), name, array.shape, np.dtype(array.dtype), array.chunks, _KIND, parallel=True
    )


def _open(path: str, name: str) -> Sliceable:
    return zarr.open_array(path, path=name, mode="r")
