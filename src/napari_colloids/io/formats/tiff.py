"""TIFF: ImageJ, OME, Micro-Manager, BigTIFF, Zeiss LSM, MetaMorph STK and plain files."""

from __future__ import annotations

import weakref
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import tifffile

from napari_colloids.io.files import quiet
from napari_colloids.io.formats.tiff_file import collect_fatal, damaged, with_tiff
from napari_colloids.io.formats.tiff_images import Absent, Image, images_of
from napari_colloids.io.formats.tiff_polarity import COLOUR_TABLE, TURNED_ROUND, TurnedRound, is_turned_round
from napari_colloids.io.formats.tiff_voxels import scales_of
from napari_colloids.io.lazy import Assembled, FileArray
from napari_colloids.io.series import SeriesReader

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_colloids.io.formats.tiff_file import OpenTiff
    from napari_colloids.io.lazy import Sliceable

_KIND = "a TIFF file"
#: A larger number of 2D channels is taken for the slices of a stack.
_MAX_CHANNELS_2D = 4
#: How ImageJ shows what are channels and not slices.
_COLOURED = ("composite", "color")
_GREY = (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.MINISWHITE)


def series_readers(path: Path) -> list[SeriesReader]:
    """Return the series of a TIFF file.

    Raises
    ------
    ColloidsError
        If the file is damaged or not a TIFF.
    """
    return with_tiff(path, lambda opened: [_series_reader(path, opened, image) for image in images_of(opened)])


def companion_files(path: Path) -> list[Path]:
    """Return the other files of the set that a file is of, as far as they exist.

    Raises
    ------
    ColloidsError
        If the file is damaged.
    """
    return with_tiff(path, lambda opened: _files_of_set(path, opened))


def _files_of_set(path: Path, opened: OpenTiff) -> list[Path]:
    names = () if opened.ome is None else opened.ome.files
    # A companion file is opened by the first of its files.
    return [path.with_name(name) for name in dict.fromkeys((opened.file.name, *names)) if name != path.name]


def _series_reader(path: Path, opened: OpenTiff, image: Image | Absent) -> SeriesReader:
    key = (image.number, 0)
    if isinstance(image, Absent):
        nothing = FileArray(_open, str(path.absolute()), key, image.shape, np.dtype(np.uint8), image.shape, _KIND)
        return SeriesReader(image.name, image.axes, nothing, unreadable=image.reason)
    page, leading = image.keyframe, len(image.shape) - len(image.keyframe.shape)
    colour = "S" in image.axes and page.photometric not in _GREY
    native = tuple(page.shape)  # a page is decoded whole, tiles in it or not
    native = (1,) * leading + native[-len(image.shape) :]
    recorded = image.recorded
    if recorded is not None:
        # Counted, so that files that were missing and are there now are not taken for missing.
        key = (image.number, int(recorded.sum()))
        recorded = recorded.reshape(recorded.shape + (1,) * (len(image.shape) - leading))
    turned = is_turned_round(page)
    scales = scales_of(opened, image)
    notices = image.notices + scales.notices + ((TURNED_ROUND,) if turned else ())
    if page.photometric == tifffile.PHOTOMETRIC.PALETTE:
        notices += (COLOUR_TABLE,)
    return SeriesReader(
        image.name,
        _axes(opened.tif, image, scales.channel_names),
        FileArray(_open, str(path.absolute()), key, image.shape, image.dtype, native, _KIND),
        voxel_size=scales.voxel_size,
        channel_names=scales.channel_names,
        frame_interval=scales.frame_interval,
        obstacle=f"'{path}' holds colour (RGB) images; convert them to grey values first "
        "(Fiji: Image > Type > 8-bit), or give the axes if these are not colours."
        if colour
        else "",
        mapped=image.dataoffset is not None and not turned,
        assumed=scales.assumed,
        recorded=recorded,
        missing_files=image.missing_files,
        notices=notices,
    )


def _axes(tif: tifffile.TiffFile, image: Image, channel_names: tuple[str, ...]) -> str:
    """Return the axes of a series; slices that were mislabelled as channels are z."""
    axes = str(image.axes).replace("S", "C")
    # tifffile.imwrite calls the slices of a 3D array channels in ImageJ and OME files, unless it is given axes.
    imagej = tif.imagej_metadata or {}
    mislabelled = image.shape[0] > _MAX_CHANNELS_2D or "spacing" in imagej
    clear = imagej.get("mode") in _COLOURED or (len(channel_names) == image.shape[0] and all(channel_names))
    return "ZYX" if axes == "CYX" and mislabelled and not clear else axes


def _open(path: str, key: tuple[int, int]) -> Sliceable:
    """Return the pixels of a series: mapped, page by page, or all of them where the pages are not its planes."""

    def pixels(opened: OpenTiff) -> Sliceable:
        image = _image_at(opened, key)
        data = _pages(path, opened, image) if image.planes else _at_once(opened, image)
        return TurnedRound(data, _bits(image.keyframe)) if is_turned_round(image.keyframe) else data

    return with_tiff(path, pixels, keep_open=True)


def _at_once(opened: OpenTiff, image: Image) -> Sliceable:
    """Return pixels that follow each other as a memory map, others as an array, and close the file."""
    with opened.tif as tif:
        if image.dataoffset is not None:
            dtype = image.dtype.newbyteorder(image.keyframe.parent.byteorder)
            return np.memmap(image.file, dtype, "r", image.dataoffset, image.shape)
        data: NDArray[np.generic] = next(one for one in tif.series if one.keyframe is image.keyframe).asarray()
        return data


def _image_at(opened: OpenTiff, key: tuple[int, int]) -> Image:
    found = next(image for image in images_of(opened) if image.number == key[0])
    if isinstance(found, Absent):
        raise damaged(opened.file, found.reason)
    return found


def _bits(page: tifffile.TiffPage) -> int:
    return int(page.bitspersample)


def _pages(path: str, opened: OpenTiff, image: Image) -> Assembled:
    """Return an array of the pages of a series, which keeps the file open as long as it lives."""
    leading = len(image.shape) - len(image.keyframe.shape)

    def page(where: tuple[int, ...]) -> NDArray[np.generic]:
        found = image.planes[int(np.ravel_multi_index(where, image.shape[:leading])) if where else 0]
        if found is None or not any(found.dataoffsets):  # was never written
            return np.zeros(image.shape[leading:], image.dtype)
        errors: list[str] = []
        file = found.parent.filehandle
        closed = file.closed  # those of a set are opened for one page each
        if closed:
            file.open()
        try:
            with quiet("tifffile", partial(collect_fatal, errors)):
                data = found.asarray()
        finally:
            if closed:
                file.close()
        if errors:
            raise damaged(path, errors[0])
        return data

    array = Assembled(image.shape, image.dtype, page, leading)
    weakref.finalize(array, opened.tif.close)
    return array
