"""Leica: LIF and LOF files, and XLEF projects, which refer to LOF files."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import liffile
import numpy as np

from napari_colloids.errors import ColloidsError
from napari_colloids.io.files import quiet, reading
from napari_colloids.io.lazy import FileArray, check_length
from napari_colloids.io.series import SeriesReader
from napari_colloids.io.units import unit_in_micrometres

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from napari_colloids.io.lazy import Sliceable

_KIND = "a Leica file"
#: Axes by their number in the metadata.
_AXES = {"1": "X", "2": "Y", "3": "Z", "4": "T"}
_DESCRIPTION = "./Data/Image/ImageDescription"


def series_readers(path: Path) -> list[SeriesReader]:
    """Return the images of a LIF, LOF or XLEF file.

    Raises
    ------
    ColloidsError
        If the file is damaged or holds no images.
    """
    with reading(path, _KIND), quiet("liffile"), liffile.LifFile(path) as file:
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
    files = set()
    with reading(path, _KIND), quiet("liffile"), liffile.LifFile(path) as file:
        for image in file.images:
            files.add(Path(image.parent.filepath))
            with suppress(KeyError):  # no memory block, which `_missing_pixels` reports
                files.update(_beside(image, frame.file) for frame in image.memory_block.frames)
    return sorted(file for file in files if file.is_file())


def _series_reader(path: Path, number: int, image: liffile.LifImageABC) -> SeriesReader:
    try:
        shape, axes, dtype = tuple(image.shape), "".join(label[0] for label in image.dims), image.dtype
    except ValueError:  # channels of different types, or an unknown arrangement of pixels
        shape, axes, dtype = (), "", np.dtype(np.uint8)
    array = FileArray(_open, str(path.absolute()), number, shape, dtype, (1,) * len(shape), _KIND, parallel=True)
    steps = _steps(image.xml_element)
    return SeriesReader(
        image.path,
        axes,
        array,
        voxel_size=tuple(steps[axis] for axis in "ZYX" if axis in steps),
        channel_names=_channel_names(image.xml_element),
        frame_interval=steps.get("T"),
        unreadable=_unsupported(image, axes) or _missing_pixels(path, image),
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


def _missing_pixels(path: Path, image: liffile.LifImageABC) -> str:
    """Return which file is missing or cut short; empty where the pixels are complete."""
    try:
        block = image.memory_block
        if not block.frames:
            check_length(image.parent.filepath, block.offset + block.size)
    except (KeyError, ColloidsError):
        return f"The pixels of '{image.path}' are missing: '{path}' is cut short; copy it again."
    for frame in block.frames:
        beside = _beside(image, frame.file)
        if not beside.is_file():
            return f"'{beside}', which holds pixels of '{image.path}', is not there; copy it too."
        if beside.suffix.lower() == ".lof" and beside.stat().st_size < frame.size:
            return f"'{beside}', which holds pixels of '{image.path}', is cut short; copy it again."
    return ""


def _beside(image: liffile.LifImageABC, name: str) -> Path:
    return Path(image.parent.dirname, name.replace("\\", "/"))


def _open(path: str, number: int) -> Sliceable:
    """Map the pixels of an image into memory; read them where they are in many files."""
    with quiet("liffile"), liffile.LifFile(path) as file:
        image = file.images[number]
        block = image.memory_block
        if len(block.frames) == 1 and block.frames[0].file.lower().endswith(".lof"):
            with liffile.LifFile(_beside(image, block.frames[0].file)) as lof:
                return _mapped(lof.images[0])
        return _mapped(image) if not block.frames else image.asarray()


def _mapped(image: liffile.LifImageABC) -> Sliceable:
    check_length(image.parent.filepath, image.memory_block.offset + image.nbytes)
    return image.asarray(out="memmap")
