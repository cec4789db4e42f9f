"""TIFF stacks: ImageJ, OME, BigTIFF and plain ones."""

from __future__ import annotations

import logging
import re
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_colloids.errors import ColloidsError
from napari_colloids.io.files import one_line, quiet
from napari_colloids.io.formats.tiff_voxels import channel_names, frame_interval, voxel_size
from napari_colloids.io.lazy import Assembled, FileArray
from napari_colloids.io.series import Source

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_KIND = "a TIFF file"
#: More than this many 2D channels are taken for the slices of a stack.
_MOST_CHANNELS = 4
_SERIOUS = re.compile(r"TiffPages|TiffTag 270 ")
_GREY = (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.MINISWHITE)


def tiff_sources(path: Path) -> list[Source]:
    """Return the series of a TIFF file.

    Raises
    ------
    ColloidsError
        If the file is damaged or not a TIFF.
    """

    def sources(tif: tifffile.TiffFile) -> list[Source]:
        if not tif.series:
            raise tifffile.TiffFileError("there is no image in it")
        return [_source(path, tif, number) for number in range(len(tif.series))]

    with_file: list[Source] = _with_tiff(path, sources)
    return with_file


def _source(path: Path, tif: tifffile.TiffFile, number: int) -> Source:
    series = tif.series[number]
    page = series.keyframe
    colour = "S" in series.axes and page.photometric not in _GREY
    native = tuple(page.shape)  # a page is decoded whole, tiles in it or not
    native = (1,) * (len(series.shape) - len(native)) + native[-len(series.shape) :]
    return Source(
        (series.name or f"image {number}") if len(tif.series) > 1 else "",
        _axes(tif, series),
        FileArray(_open, str(path.absolute()), number, series.shape, series.dtype, native, _KIND),
        voxel_size=voxel_size(tif, number),
        channel_names=channel_names(tif, number),
        frame_interval=frame_interval(tif, number),
        obstacle=f"'{path}' holds colour (RGB) images; convert them to grey values first "
        "(Fiji: Image > Type > 8-bit), or give the axes if these are not colours."
        if colour
        else "",
        mapped=series.dataoffset is not None,
    )


def _axes(tif: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> str:
    """Return the axes of a series, with slices that were mislabelled as channels put right."""
    axes = str(series.axes).replace("S", "C")
    # tifffile.imwrite calls the slices of a 3D array channels in ImageJ and OME files, unless it is told otherwise.
    mislabelled = series.shape[0] > _MOST_CHANNELS or "spacing" in (tif.imagej_metadata or {})
    return "ZYX" if axes == "CYX" and mislabelled else axes


def _open(path: str, number: int) -> Any:
    """Return the pixels of a series: mapped, page by page, or all of them where the pages are not its planes."""

    def pixels(tif: tifffile.TiffFile) -> Any:
        series = tif.series[number]
        if series.dataoffset is not None:
            dtype = series.dtype.newbyteorder(tif.byteorder)
            return np.memmap(path, dtype, "r", series.dataoffset, series.shape)  # a ValueError if longer than the file
        leading = len(series.shape) - len(series.keyframe.shape)
        if leading < 0 or tuple(series.shape[leading:]) != tuple(series.keyframe.shape):
            return series.asarray()
        return _pages(path, number, leading)

    return _with_tiff(path, pixels)


def _pages(path: str, number: int, leading: int) -> Assembled:
    """Return an array of the pages of a series, which keeps the file open as long as it lives."""
    tif = tifffile.TiffFile(path)
    series = tif.series[number]

    def page(where: tuple[int, ...]) -> Any:
        index = int(np.ravel_multi_index(where, series.shape[:leading])) if where else 0
        found = series.pages[index]
        if found is None:  # OME files may leave planes out
            return np.zeros(series.shape[leading:], series.dtype)
        complaints: list[str] = []
        with quiet("tifffile", partial(_complain, complaints)):
            data = found.asarray()
        if complaints:
            raise ColloidsError(_explain(path, complaints[0]))
        return data

    array = Assembled(series.shape, series.dtype, page, leading)
    weakref.finalize(array, tif.close)
    return array


def _with_tiff(path: Path | str, use: Callable[[tifffile.TiffFile], Any]) -> Any:
    """Use an open file; what tifffile raises, or logs instead of raising, becomes a `ColloidsError`."""
    complaints: list[str] = []
    try:
        with quiet("tifffile", partial(_complain, complaints)), tifffile.TiffFile(path) as tif:
            result = use(tif)
    except MemoryError:
        raise
    except ColloidsError as error:
        if complaints:
            raise ColloidsError(_explain(path, complaints[0])) from error
        raise
    except Exception as error:  # the parser raises nearly anything on damaged bytes
        raise ColloidsError(_explain(path, error)) from error
    if complaints:
        raise ColloidsError(_explain(path, complaints[0]))
    return result


def _complain(complaints: list[str], record: logging.LogRecord) -> None:
    """Collect what matters of what tifffile logs.

    Missing pages and a missing description count; what it logs about other tags is no reason to refuse a file:
    microscopes write strange private tags.
    """
    message = record.getMessage()
    if record.levelno >= logging.ERROR and _SERIOUS.search(message):
        complaints.append(re.sub(r"<.*?> ", "", message.splitlines()[0]))


def _explain(path: Path | str, error: Exception | str) -> str:
    if "imagecodecs" in str(error):
        return f"'{path}' is compressed in a way that needs one more package: pip install \"napari-colloids[formats]\"."
    what = error if isinstance(error, str) else one_line(error)
    if isinstance(error, tifffile.TiffFileError):
        return f"'{path}' is not a TIFF file, or its beginning is damaged ({what})."
    return f"'{path}' is damaged or cut short ({what}); copy it again from where it came."
