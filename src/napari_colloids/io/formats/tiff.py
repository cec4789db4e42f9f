"""TIFF: ImageJ, OME, BigTIFF and plain files."""

from __future__ import annotations

import logging
import re
import weakref
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import tifffile

from napari_colloids.errors import ColloidsError
from napari_colloids.io.files import missing_package, one_line, quiet
from napari_colloids.io.formats.tiff_voxels import channel_names, frame_interval, voxel_size
from napari_colloids.io.lazy import Assembled, FileArray
from napari_colloids.io.series import SeriesReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_colloids.io.lazy import Sliceable

_KIND = "a TIFF file"
#: A larger number of 2D channels is taken for the slices of a stack.
_MAX_CHANNELS_2D = 4
#: Logged messages that make a file unreadable: about its pages and its description.
_FATAL_MESSAGE = re.compile(r"TiffPages|TiffTag 270 ")
_GREY = (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.MINISWHITE)

_T = TypeVar("_T")


def series_readers(path: Path) -> list[SeriesReader]:
    """Return the series of a TIFF file.

    Raises
    ------
    ColloidsError
        If the file is damaged or not a TIFF.
    """

    def readers(tif: tifffile.TiffFile) -> list[SeriesReader]:
        if not tif.series:
            raise tifffile.TiffFileError("there is no image in it")
        return [_series_reader(path, tif, number) for number in range(len(tif.series))]

    return _with_tiff(path, readers)


def _series_reader(path: Path, tif: tifffile.TiffFile, number: int) -> SeriesReader:
    series = tif.series[number]
    page = series.keyframe
    colour = "S" in series.axes and page.photometric not in _GREY
    native = tuple(page.shape)  # a page is decoded whole, tiles in it or not
    native = (1,) * (len(series.shape) - len(native)) + native[-len(series.shape) :]
    return SeriesReader(
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
    """Return the axes of a series; slices that were mislabelled as channels are z."""
    axes = str(series.axes).replace("S", "C")
    # tifffile.imwrite calls the slices of a 3D array channels in ImageJ and OME files, unless it is given axes.
    mislabelled = series.shape[0] > _MAX_CHANNELS_2D or "spacing" in (tif.imagej_metadata or {})
    return "ZYX" if axes == "CYX" and mislabelled else axes


def _open(path: str, number: int) -> Sliceable:
    """Return the pixels of a series: mapped, page by page, or all of them where the pages are not its planes."""

    def pixels(tif: tifffile.TiffFile) -> Sliceable:
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

    def page(where: tuple[int, ...]) -> NDArray[np.generic]:
        index = int(np.ravel_multi_index(where, series.shape[:leading])) if where else 0
        found = series.pages[index]
        if found is None:  # OME files may leave planes out
            return np.zeros(series.shape[leading:], series.dtype)
        errors: list[str] = []
        with quiet("tifffile", partial(_collect_fatal, errors)):
            data = found.asarray()
        if errors:
            raise _damaged(path, errors[0])
        return data

    array = Assembled(series.shape, series.dtype, page, leading)
    weakref.finalize(array, tif.close)
    return array


def _with_tiff(path: Path | str, use: Callable[[tifffile.TiffFile], _T]) -> _T:
    """Open a file and use it; errors that tifffile raises, or only logs, become a `ColloidsError`."""
    errors: list[str] = []
    try:
        with quiet("tifffile", partial(_collect_fatal, errors)), tifffile.TiffFile(path) as tif:
            result = use(tif)
    except MemoryError:
        raise
    except ColloidsError as error:
        if errors:
            raise _damaged(path, errors[0]) from error
        raise
    except Exception as error:  # the parser raises nearly anything on damaged bytes
        raise _damaged(path, error) from error
    if errors:
        raise _damaged(path, errors[0])
    return result


def _collect_fatal(errors: list[str], record: logging.LogRecord) -> None:
    """Collect a logged message if it makes the file unreadable.

    Missing pages and a missing description do; errors in other tags do not: microscopes write unusual private tags.
    """
    message = record.getMessage()
    if record.levelno >= logging.ERROR and _FATAL_MESSAGE.search(message):
        errors.append(re.sub(r"<.*?> ", "", message.splitlines()[0]))


def _damaged(path: Path | str, error: Exception | str) -> ColloidsError:
    """Return the error to raise for an error of tifffile."""
    if "imagecodecs" in str(error):
        return missing_package(f"'{path}' is compressed in a way that needs", "imagecodecs")
    what = error if isinstance(error, str) else one_line(error)
    if isinstance(error, tifffile.TiffFileError):
        return ColloidsError(f"'{path}' is not a TIFF file, or its beginning is damaged ({what}).")
    return ColloidsError(f"'{path}' is damaged or cut short ({what}); copy it again from its origin.")
