"""Opening TIFF files: what is damaged is said in one line, and references lead to plain files beside the file alone."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import tifffile

from napari_colloids.errors import ColloidsError
from napari_colloids.io.files import missing_package, one_line, quiet
from napari_colloids.io.formats.tiff_ome import OmeDescription, first_tiff, ome_description

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

#: Logged messages that make a file unreadable: about its pages and its description.
_FATAL_MESSAGE = re.compile(r"TiffPages|TiffTag 270 ")
#: Names of the files that list those of a set.
_NDTIFF_INDEX = "NDTiff.index"
COMPANION_ENDING = ".ome"
#: By the version in the header: formats of the number of tags and of an offset, and bytes of a tag.
_LAYOUTS = {42: ("H", "I", 12), 43: ("Q", "Q", 20)}
_MAX_TAGS = 4096

_T = TypeVar("_T")


@dataclass(frozen=True)
class OpenTiff:
    """A TIFF file that is open, and what its OME-XML says.

    Attributes
    ----------
    tif
        The file; where it has OME-XML its images have numbers for names there.
    file
        Its path.
    ome
        Of its OME-XML; None where it has none that is understood.
    """

    tif: tifffile.TiffFile
    file: Path
    ome: OmeDescription | None

    def check_references(self) -> None:
        """Check the files that it refers to, before they are opened.

        Raises
        ------
        ColloidsError
            If one is damaged or no plain file beside it.
        """
        for name in () if self.ome is None else self.ome.files:
            beside = self.file.parent / name
            if not check_chain(beside) and beside.suffix.lower() != COMPANION_ENDING:
                raise ColloidsError(f"'{beside}', a file of the set of '{self.file.name}', is damaged; copy it again.")
        index = self.file.with_name(_NDTIFF_INDEX)
        if index.exists() and not index.is_file():
            raise ColloidsError(f"'{index}' is no file, but a folder, a device or a pipe.")
        if not self.tif.is_ndtiff:
            return
        for name in {entry[1] for entry in tifffile.read_ndtiff_index(index)}:
            beside = self.file.with_name(Path(name).name or ".")
            if name != beside.name or (beside.exists() and not beside.is_file()):
                raise ColloidsError(f"'{index}' refers to '{name}', which is no file beside it.")
            if not beside.exists():
                raise ColloidsError(f"'{beside}', a file of the set of '{self.file.name}', is missing.")
            check_chain(beside)


def opened_tiff(path: Path | str) -> OpenTiff:
    """Open a TIFF file, or the first one of the set that a companion file describes.

    Raises
    ------
    ColloidsError
        If it is damaged, or refers to what is no plain file.
    """
    file = Path(path)
    file = first_tiff(file) if file.suffix.lower() == COMPANION_ENDING else file
    check_chain(file)
    tif = tifffile.TiffFile(file)
    try:
        ome = None if tif.ome_metadata is None else ome_description(tif.ome_metadata, file)
    except BaseException:
        tif.close()
        raise
    if ome is None or ome.missing_companion:
        return OpenTiff(tif, file, ome)
    tif.close()
    return OpenTiff(tifffile.TiffFile(file, omexml=ome.xml), file, ome)


def with_tiff(path: Path | str, use: Callable[[OpenTiff], _T], *, keep_open: bool = False) -> _T:
    """Open a file and use it; errors that tifffile raises, or only logs, become a `ColloidsError`."""
    errors: list[str] = []
    try:
        with quiet("tifffile", partial(collect_fatal, errors)):
            opened = opened_tiff(path)
            try:
                result = use(opened)
            except BaseException:
                opened.tif.close()
                raise
            if errors or not keep_open:
                opened.tif.close()
    except (MemoryError, ColloidsError):
        raise
    except Exception as error:  # the parser raises nearly anything on damaged bytes
        raise damaged(path, error) from error
    if errors:
        raise damaged(path, errors[0])
    return result


def collect_fatal(errors: list[str], record: logging.LogRecord) -> None:
    """Collect a logged message if it makes the file unreadable.

    Missing pages and a missing description do; errors in other tags do not: microscopes write unusual private tags.
    """
    message = record.getMessage()
    if record.levelname == "ERROR" and _FATAL_MESSAGE.search(message):
        errors.append(re.sub(r"<.*?> ", "", message.splitlines()[0]))


def damaged(path: Path | str, error: Exception | str) -> ColloidsError:
    """Return the error to raise for an error of tifffile."""
    if "imagecodecs" in str(error):
        return missing_package(f"'{path}' is compressed in a way that needs", "imagecodecs")
    what = error if isinstance(error, str) else one_line(error)
    if isinstance(error, tifffile.TiffFileError):
        return ColloidsError(f"'{path}' is not a TIFF file, or its beginning is damaged ({what}).")
    return ColloidsError(f"'{path}' is damaged or cut short ({what}); copy it again from its origin.")


def check_chain(path: Path) -> bool:
    """Check that the pages of a TIFF file do not follow each other in a circle.

    Whether it starts as a TIFF file does is returned. What else is wrong is found when it is read.

    Raises
    ------
    ColloidsError
        If they do.
    """
    with path.open("rb") as file:
        head = file.read(16)
        order = {b"II": "<", b"MM": ">"}.get(head[:2], "")
        layout = _LAYOUTS.get(struct.unpack(f"{order}H", head[2:4])[0]) if order and len(head) == 16 else None
        if layout is None:
            return False
        count_format, offset_format, tag_bytes = f"{order}{layout[0]}", f"{order}{layout[1]}", layout[2]
        count_bytes, offset_bytes = struct.calcsize(count_format), struct.calcsize(offset_format)
        (offset,) = struct.unpack(offset_format, head[offset_bytes : 2 * offset_bytes])
        seen: set[int] = set()
        while offset:
            if offset in seen:
                raise damaged(path, f"page {len(seen)} is followed by an earlier one")
            seen.add(offset)
            try:
                file.seek(offset)
                (tags,) = struct.unpack(count_format, file.read(count_bytes))
                if tags > _MAX_TAGS:
                    return True
                file.seek(tags * tag_bytes, 1)
                (offset,) = struct.unpack(offset_format, file.read(offset_bytes))
            except (struct.error, OverflowError, OSError):
                return True
    return True
