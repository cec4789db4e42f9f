"""Sets of OME-TIFF files: which files belong together, by the metadata in one of them."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

import tifffile

from napari_colloids.io.files import quiet

if TYPE_CHECKING:
    from pathlib import Path

#: Names of the files of a set, and of the file with its metadata.
_MEMBER = re.compile(r"""<(?:\w+:)?UUID\b[^<>]*?\bFileName\s*=\s*["']([^"'<>]+)["']""")
_METADATA_FILE = re.compile(r"""<(?:\w+:)?BinaryOnly\b[^<>]*?\bMetadataFile\s*=\s*["']([^"'<>]+)["']""")
#: Endings of descriptions without pixels, and the largest number of their bytes that is looked at.
_TEXT_ENDINGS = (".ome", ".xml")
_MAX_BYTES = 100_000_000


def set_of(path: Path) -> tuple[Path, frozenset[str]]:
    """Return the file through which the set of a TIFF file is opened, and the names of the files of the set.

    A file that only refers to the description in another TIFF file is opened through that. Only plain names of files in
    the same folder count; there are none where it is no set or cannot be read.
    """
    metadata = _metadata(path)
    other = _METADATA_FILE.search(metadata)
    if not other:
        members = _members(metadata)
        return path, members | {path.name} if members else members
    master = path.with_name(_plain(other[1]) or path.name)
    if master == path or not master.is_file():
        return path, frozenset()
    members = _members(_metadata(master))
    if not members:
        return path, members
    return (path if _is_text(master) else master), members | {path.name, master.name}


def _is_text(path: Path) -> bool:
    return path.suffix.lower() in _TEXT_ENDINGS


def _metadata(path: Path) -> str:
    """Return the OME-XML in a file; empty where there is none, or the file cannot be read."""
    try:
        if _is_text(path):
            with path.open("rb") as file:
                return file.read(_MAX_BYTES).decode(errors="replace")
        with quiet("tifffile"), tifffile.TiffFile(path) as tif:
            return tif.ome_metadata or ""
    except Exception:  # the parser raises nearly anything on damaged bytes, which is told when the file is read
        return ""


def _members(metadata: str) -> frozenset[str]:
    return frozenset(filter(None, map(_plain, _MEMBER.findall(metadata))))


def _plain(name: str) -> str:
    """Return a name in XML as text; empty where it is a path."""
    text = unescape(name)
    return "" if "/" in text or "\\" in text else text
