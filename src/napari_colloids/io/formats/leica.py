"""Leica: LIF and LOF files, and XLEF projects, which refer to LOF files."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import liffile
import numpy as np

from napari_colloids.errors import ColloidsError
from napari_colloids.io.files import quiet, reading
from napari_colloids.io.formats.leica_pixels import Pixels, companions_of, files_of, open_pixels, pixels_of
from napari_colloids.io.lazy import FileArray
from napari_colloids.io.series import SeriesReader
from napari_colloids.io.units import unit_in_micrometres
from napari_colloids.io.voxels import voxel_size_of

if TYPE_CHECKING:
    from pathlib import Path
    from xml.etree.ElementTree import Element

_KIND = "a Leica file"
#: Axes by their number in the metadata.
_AXES = {"1": "X", "2": "Y", "3": "Z", "4": "T"}
_PROJECT = ".xlef"
_DESCRIPTION = "./Data/Image/ImageDescription"


def series_readers(path: Path) -> list[SeriesReader]:
    """Return the images of a LIF, LOF or XLEF file.

    Raises
    ------
    ColloidsError
        If the file is damaged or holds no images.
    """
    with reading(path, _KIND), quiet("liffile"):
        if path.suffix.lower() == _PROJECT:
            companions_of(path)
        with liffile.LifFile(path) as file:
            readers = [_series_reader(path, number, image) for number, image in enumerate(file.images)]
    if not readers:
        raise ColloidsError(f"'{path}' holds no images.")
    return readers


def companion_files(path: Path) -> list[Path]:
    """Return the files that an XLEF file refers to, as far as they exist.

    Raises
    ------
    ColloidsError
        If it is damaged.
    """
    with reading(path, _KIND), quiet("liffile"):
        files = set(companions_of(path))
        with liffile.LifFile(path) as file:
            for image in file.images:
                with suppress(KeyError):  # no memory block, which `pixels_of` reports
                    files.update(files_of(path, image))
    return sorted(files)


def _series_reader(path: Path, number: int, image: liffile.LifImageABC) -> SeriesReader:
    try:
        shape, axes, dtype = tuple(image.shape), "".join(label[0] for label in image.dims), image.dtype
    except ValueError:  # channels of different types, or an unknown arrangement of pixels
        shape, axes, dtype = (), "", np.dtype(np.uint8)
    array = FileArray(open_pixels, str(path.absolute()), number, shape, dtype, (1,) * len(shape), _KIND, parallel=True)
    steps = _steps(image.xml_element)
    unsupported = _unsupported(image, axes)
    pixels = Pixels(unsupported) if unsupported else pixels_of(path, image)
    voxel_size, unknown = voxel_size_of(steps, f"{path.name} {image.path}")
    return SeriesReader(
        image.path,
        axes,
        array,
        voxel_size=voxel_size,
        channel_names=_channel_names(image.xml_element),
        frame_interval=steps.get("T"),
        unreadable=pixels.unreadable,
        recorded=pixels.recorded,
        missing_files=pixels.missing_files,
        notices=unknown if set("ZYX") <= set(axes) else (),
    )


def _steps(element: Element) -> dict[str, float]:
    """Return the distance between neighbours along each axis, in micrometres and seconds.

    The file holds the distance between the first element and the last.
    """
    steps: dict[str, float] = {}
    for dimension in element.findall(f"{_DESCRIPTION}/Dimensions/DimensionDescription"):
        axis = _AXES.get(dimension.attrib["DimID"])
        count = int(dimension.attrib["NumberOfElements"])
        unit = dimension.attrib["Unit"]
        scale = (1.0 if unit == "s" else None) if axis == "T" else unit_in_micrometres(unit)
        if axis and scale and count > 1:
            steps[axis] = abs(float(dimension.attrib["Length"])) * scale / (count - 1)
    return steps


def _channel_names(element: Element) -> tuple[str, ...]:
    """Return the dye of each channel, or the name of its colour table."""
    names = []
    for channel in sorted(
        element.findall(f"{_DESCRIPTION}/Channels/ChannelDescription"), key=lambda one: int(one.attrib["BytesInc"])
    ):
        properties = {one.findtext("Key"): one.findtext("Value") for one in channel.findall("ChannelProperty")}
        names.append(properties.get("DyeName") or channel.attrib.get("LUTName", ""))
    return tuple(names)


def _unsupported(image: liffile.LifImageABC, axes: str) -> str:
    """Return why the image is no stack of grey values; empty where it is."""
    if image.is_flim:
        return f"'{image.path}' is a lifetime (FLIM) image; save its intensity as TIFF."
    if not axes:
        return f"'{image.path}' has channels of different types; save them one by one."
    return f"'{image.path}' holds colours (RGB); save it in grey values, or as single channels." if "S" in axes else ""
