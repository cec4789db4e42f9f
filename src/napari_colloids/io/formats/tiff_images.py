"""The images (series) of a TIFF file, the pages that hold their planes, and which of these were written."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import tifffile

from napari_colloids.errors import ColloidsError
from napari_colloids.io.formats.tiff_file import damaged

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_colloids.io.formats.tiff_file import OpenTiff
    from napari_colloids.io.formats.tiff_ome import OmeDescription, OmeImage

    Page = tifffile.TiffPage | tifffile.TiffFrame


@dataclass(frozen=True)
class Image:
    """An image of a TIFF file.

    Attributes
    ----------
    name
        Of the image in the file.
    number
        Of its description in the metadata.
    axes, shape, dtype
        Of its pixels.
    keyframe
        A page that the others are like.
    file
        The file that holds its pixels, or the first of them.
    planes
        Its pages in the order of the leading axes, None where one was never written. Empty where the pages are not
        its planes, or the pixels follow each other.
    dataoffset
        Byte in `file` where its pixels start, which follow each other; None where they do not.
    recorded
        Whether each plane was written, shape of the leading axes; None for all of them.
    missing_files
        Names of files with planes of it that do not exist.
    notices
        What the user has to know of it.
    """

    name: str
    number: int
    axes: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    keyframe: tifffile.TiffPage
    file: str
    planes: tuple[Page | None, ...] = ()
    dataoffset: int | None = None
    recorded: NDArray[np.bool_] | None = None
    missing_files: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Absent:
    """An image that is described and cannot be read from what is there.

    Attributes
    ----------
    name, axes, shape
        As its description says.
    number
        Of its description.
    reason
        Why it cannot be read.
    """

    name: str
    axes: str
    shape: tuple[int, ...]
    number: int
    reason: str


def images_of(opened: OpenTiff) -> list[Image | Absent]:
    """Return the images of a file in their order.

    Raises
    ------
    ColloidsError
        If the file is damaged, or a file that it refers to is no plain one.
    tifffile.TiffFileError
        If there are none.
    """
    opened.check_references()
    tif, ome = opened.tif, opened.ome
    series = tif.series
    if not series:
        raise tifffile.TiffFileError("there is no image in it")
    if series[0].kind == "ome" and ome is not None:
        return _ome_images(opened, ome)
    missing: tuple[str, ...] = ()
    if ome is not None and series[0].kind != "mmstack":
        missing = (ome.missing_companion,) if ome.missing_companion else ome.missing_files
    if tif.is_imagej and ome is None and series[0].kind in ("imagej", "generic"):
        stopped = _imagej_image(tif, series[0])
        if stopped is not None:
            return [stopped]
    images = [
        _image(tif, one, number, (one.name or f"image {number}") if len(series) > 1 else "", missing)
        for number, one in enumerate(series)
        # LSM files have a small picture of each plane.
        if not (one.kind == "lsm" and number > 0)
    ]
    return [_part_of_set(image, opened.file) if missing else image for image in images]


def _part_of_set(image: Image, file: Path) -> Image | Absent:
    """Return an image of a set whose other files are missing, unless it is no stack without them."""
    if sum(n != 1 for n in image.shape) > 2:
        return image
    reason = f"'{file}' is a file of a set, of which '{image.missing_files[0]}' is missing."
    return Absent(image.name, image.axes, image.shape, image.number, reason)


def _ome_images(opened: OpenTiff, ome: OmeDescription) -> list[Image | Absent]:
    found = {int(one.name): one for one in opened.tif.series}
    images: list[Image | Absent] = []
    for number, described in enumerate(ome.images):
        name = (described.name or f"image {number}") if len(ome.images) > 1 else ""
        one = found.get(number)
        if one is None:
            images.append(_absent(opened.file, described, number, name))
            continue
        here = [opened.file.parent / file for file in described.files if file not in described.missing_files]
        read = {page.parent.filehandle.path for page in one.pages if page is not None} if here else set()
        for file in here:
            if str(file.absolute()) not in read and not _has_planes(file):
                raise ColloidsError(f"'{file}', a file of the set, is damaged; copy it again.")
        images.append(_image(opened.tif, one, number, name, described.missing_files))
    return images


def _has_planes(path: Path) -> bool:
    """Whether a file is a TIFF file with a page."""
    try:
        with tifffile.TiffFile(path) as tif:
            return bool(tif.pages)
    except Exception:  # the parser raises nearly anything on damaged bytes
        return False


def _absent(file: Path, described: OmeImage, number: int, name: str) -> Absent:
    axes, shape = described.planes
    if described.missing_files:
        reason = f"it lies in the file '{described.missing_files[0]}', which is missing"
    else:
        reason = "no plane of it was written, or its planes are stored in a way that is not understood"
    return Absent(name, axes, shape, number, f"'{file.name} {name}' cannot be read: {reason}.")


def _image(
    tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, number: int, name: str, missing_files: tuple[str, ...] = ()
) -> Image:
    shape = tuple(int(n) for n in series.shape)
    keyframe = series.keyframe
    leading = len(shape) - len(keyframe.shape)
    image = Image(
        name,
        number,
        series.axes,
        shape,
        series.dtype,
        keyframe,
        file=keyframe.parent.filehandle.path,
        dataoffset=None if series.is_multifile else series.dataoffset,
        missing_files=missing_files,
        notices=_stopped_micro_manager(tif, math.prod(shape[:leading])) if series.kind == "mmstack" else (),
    )
    if leading < 0 or shape[leading:] != tuple(keyframe.shape) or series.is_truncated:
        _check_length(image)
        return image
    planes = _planes(tif, series, math.prod(shape[:leading]))
    if planes is None:
        _check_length(image)
        return image
    return _of_planes(image, planes, shape[:leading])


def _planes(tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, promised: int) -> list[Page | None] | None:
    """Return the pages of a series, None where one was never written; or None where only the first is needed."""
    after = len(tif.pages) - series.keyframe.index
    stopped = series.kind == "shaped" and after < promised
    if series.dataoffset is not None and not series.is_multifile and not (stopped and after > 1):
        return None
    if not stopped:
        there = list(islice(series.pages, promised))
        return there + [None] * (promised - len(there))
    pages: list[Page | None] = [series.keyframe]
    for number in range(series.keyframe.index + 1, len(tif.pages)):
        page = tif.pages.get(number, aspage=True)
        if (
            not isinstance(page, tifffile.TiffPage) or page.shape != series.keyframe.shape or page.is_shaped
        ):  # of the next series
            break
        pages.append(page)
    return pages + [None] * (promised - len(pages))


def _of_planes(image: Image, planes: list[Page | None], leading: tuple[int, ...]) -> Image:
    """Return an image with its planes, after a check that those which were written are there."""
    written = []
    for page in planes:
        there = page is not None and any(offset > 0 for offset in page.dataoffsets)
        written.append(there)
        if page is None or not there:
            continue
        _check_parts(page, page.keyframe or image.keyframe)
        end = max(page.dataoffsets) + (page.nbytes if page.is_final else 1)
        if end > page.parent.filehandle.size:
            raise damaged(page.parent.filehandle.path, f"its {sum(written)}. plane is not there whole")
    recorded = None if all(written) else np.array(written).reshape(leading)
    return replace(image, planes=tuple(planes), dataoffset=None, recorded=recorded)


def _check_parts(page: Page, keyframe: tifffile.TiffPage) -> None:
    """Check that the header of a page says where each of its strips or tiles is.

    Those of which it says nothing would be filled one by one, of which a few damaged bytes can promise millions.

    Raises
    ------
    ColloidsError
        If it says so of fewer.
    """
    promised, there = math.prod(keyframe.chunked), len(page.dataoffsets)
    if there < promised:
        path = page.parent.filehandle.path
        raise damaged(path, f"its header promises a plane of {promised} parts, and says where {there} are")


def _check_length(image: Image) -> None:
    """Check that pixels that follow each other are in the file.

    Raises
    ------
    ColloidsError
        If the file is shorter.
    """
    if image.dataoffset is None:
        _check_parts(image.keyframe, image.keyframe)
        return
    page, size = image.keyframe, image.keyframe.parent.filehandle.size
    promised = math.prod(image.shape) // math.prod(page.shape)
    if image.dataoffset + promised * page.nbytes > size:
        whole = max(size - image.dataoffset, 0) // page.nbytes
        raise damaged(image.file, f"its header promises {_counted(image, promised)}, of which {whole} are there whole")


def _counted(image: Image, promised: int) -> str:
    """Return a number of planes in words: slices where there are no frames and channels."""
    leading = image.axes[: len(image.shape) - len(image.keyframe.shape)]
    return f"{promised} {'slices' if len(leading) == 1 and leading not in 'TC' else 'planes'}"


def _imagej_image(tif: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> Image | None:
    """Return the image that ImageJ's header promises, of which planes were not written; None where none is missing.

    Raises
    ------
    ColloidsError
        If the file is cut short.
    """
    found = tif.imagej_metadata or {}
    lengths = {axis: found.get(word, 1) for axis, word in (("T", "frames"), ("Z", "slices"), ("C", "channels"))}
    if not all(isinstance(length, int) and length > 0 for length in (*lengths.values(), found.get("images", 1))):
        return None
    if math.prod(lengths.values()) == 1:
        lengths["Z"] = found.get("images", 1)
    promised, page, file = math.prod(lengths.values()), series.keyframe, series.keyframe.parent.filehandle
    if promised <= len(series.pages) or len(tif.series) > 1 or found.get("order", "czt").lower() != "czt":
        return None
    axes = "".join(axis for axis in "TZC" if lengths[axis] > 1)
    leading = tuple(lengths[axis] for axis in axes)
    image = Image("", 0, axes + page.axes, leading + tuple(page.shape), series.dtype, page, file=file.path)
    if len(series.pages) == 1:  # the planes follow each other
        image = replace(image, dataoffset=page.dataoffsets[0])
        _check_length(image)
        if page.is_final:
            return image
        raise damaged(file.path, f"its header promises {_counted(image, promised)}, of which one is there")
    written: list[Page | None] = list(series.pages)
    return _of_planes(image, written + [None] * (promised - len(written)), leading)


def _stopped_micro_manager(tif: tifffile.TiffFile, planes: int) -> tuple[str, ...]:
    """Return a notice where Micro-Manager's header promises more than there is."""
    summary = (tif.micromanager_metadata or {}).get("Summary", {})
    lengths = {word: summary.get(word, 1) for word in ("Frames", "Slices", "Channels", "Positions")}
    if not all(isinstance(length, int) for length in lengths.values()) or math.prod(lengths.values()) <= planes:
        return ()
    promised = ", ".join(f"{length} {word.lower()}" for word, length in lengths.items() if length > 1)
    return (f"'{tif.filename}' promises {promised}, of which {planes} planes are here: only these are read.",)
