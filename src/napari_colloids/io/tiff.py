"""TIFF stacks: ImageJ, OME, BigTIFF and plain ones."""

from __future__ import annotations

import logging
import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_colloids.errors import ColloidsError
from napari_colloids.io.axes import arrange
from napari_colloids.io.files import one_line
from napari_colloids.io.tiff_voxels import channel_names, voxel_size
from napari_colloids.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def read_tiff(path: Path, *, series: int = 0, axes: str | None = None) -> Stack:
    """Read one series of a TIFF file.

    Uncompressed data in one piece are mapped into memory, not read.

    Parameters
    ----------
    path
        An existing file.
    series
        Which of the images in the file, from 0.
    axes
        What the dimensions are, where the file says it wrongly or not at all.

    Raises
    ------
    ColloidsError
        If the file is damaged, not a TIFF, has no such series, or holds colour or 2D images.
    """
    complaints: list[str] = []
    try:
        with _collecting(complaints), tifffile.TiffFile(path) as tif:
            if not tif.series:
                raise tifffile.TiffFileError("there is no image in it")
            if not 0 <= series < len(tif.series):
                raise ColloidsError(f"'{path}' has {len(tif.series)} series; there is no series {series}.")
            chosen = tif.series[series]
            if axes is None and "S" in chosen.axes and chosen.keyframe.photometric not in _GREY:
                raise ColloidsError(
                    f"'{path}' holds colour (RGB) images; convert them to grey values first "
                    "(Fiji: Image > Type > 8-bit), or give the axes if these are not colours."
                )
            data = _array(path, tif, chosen)
            data, found = arrange(data, axes or _axes(tif, chosen), path.name)
            size = voxel_size(tif, series)
            names = channel_names(tif, series)
    except ColloidsError as error:
        # "One 2D image" is no help to somebody whose stack was cut off after its first page.
        if complaints:
            raise ColloidsError(_explain(path, complaints[0])) from error
        raise
    except MemoryError as error:
        raise ColloidsError(f"'{path}' does not fit into memory; crop it, or save it uncompressed.") from error
    except Exception as error:  # the parser raises nearly anything on damaged bytes
        raise ColloidsError(_explain(path, error)) from error
    if complaints:
        raise ColloidsError(_explain(path, complaints[0]))
    channels = data.shape[found.index("c")] if "c" in found else 1
    return Stack(
        data,
        axes=found,
        voxel_size=size,
        name=path.name.removesuffix(path.suffix).removesuffix(".ome"),
        channel_names=names if len(names) == channels else (),
    )


#: More than this many 2D channels are taken for the slices of a stack.
_MOST_CHANNELS = 4
_SERIOUS = re.compile(r"TiffPages|TiffTag 270 ")
_GREY = (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.MINISWHITE)


def _axes(tif: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> str:
    """Return the axes of a series, with slices that were mislabelled as channels put right."""
    axes = str(series.axes).replace("S", "C")
    # tifffile.imwrite calls the slices of a 3D array channels in ImageJ and OME files, unless it is told otherwise.
    mislabelled = series.shape[0] > _MOST_CHANNELS or "spacing" in (tif.imagej_metadata or {})
    return "ZYX" if axes == "CYX" and mislabelled else axes


def _array(path: Path, tif: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> Any:
    """Map or read the pixels of a series."""
    if series.dataoffset is None:
        return series.asarray()
    dtype = series.dtype.newbyteorder(tif.byteorder)
    return np.memmap(path, dtype=dtype, mode="r", offset=series.dataoffset, shape=series.shape)


@contextmanager
def _collecting(complaints: list[str]) -> Iterator[None]:
    """Keep tifffile's log off the terminal, and collect what it logs instead of raising.

    Missing pages and a missing description count; what it logs about other tags is no reason to refuse a file:
    microscopes write strange private tags.
    """
    thread = threading.get_ident()

    def collect(record: logging.LogRecord) -> bool:
        if record.thread != thread:
            return True
        message = record.getMessage()
        if record.levelno >= logging.ERROR and _SERIOUS.search(message):
            complaints.append(re.sub(r"<.*?> ", "", message.splitlines()[0]))
        return False

    logger = logging.getLogger("tifffile")
    logger.addFilter(collect)
    try:
        yield
    finally:
        logger.removeFilter(collect)


def _explain(path: Path, error: Exception | str) -> str:
    if "imagecodecs" in str(error):
        return f"'{path}' is compressed in a way that needs one more package: pip install \"napari-colloids[formats]\"."
    what = error if isinstance(error, str) else one_line(error)
    if isinstance(error, tifffile.TiffFileError):
        return f"'{path}' is not a TIFF file, or its beginning is damaged ({what})."
    return f"'{path}' is damaged or cut short ({what}); copy it again from where it came."
