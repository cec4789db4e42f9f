"""OME-XML of a TIFF file: its images, and the files of the set that it belongs to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import tifffile

from napari_colloids.errors import ColloidsError
from napari_colloids.io.files import quiet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

#: Largest description in a file of its own that is read, in bytes: a hundred thousand planes have about 20 MB.
_MAX_BYTES = 1 << 26
#: Largest number of planes of an image that is believed.
_MAX_PLANES = 10_000_000
#: Attributes of a `TiffData` that count planes.
_COUNTS = ("PlaneCount", "NumPlanes")


@dataclass(frozen=True)
class OmeImage:
    """An image that OME-XML describes.

    Attributes
    ----------
    name
        Its name; may be empty.
    pixels
        The element with its sizes, and its channels.
    files, missing_files
        Names of the other files with planes of it, and of those of them that do not exist.
    """

    name: str
    pixels: Element
    files: tuple[str, ...]
    missing_files: tuple[str, ...]

    @property
    def planes(self) -> tuple[str, tuple[int, ...]]:
        """Letters and lengths of its axes, as the planes are counted."""
        axes = "".join(reversed(self.pixels.get("DimensionOrder", "XYZCT")))
        return axes, tuple(int(self.pixels.get(f"Size{axis}", "1")) for axis in axes)

    def channels(self) -> Iterator[Element]:
        """Return the elements of its channels."""
        return _children(self.pixels, "Channel")


@dataclass(frozen=True)
class OmeDescription:
    """OME-XML whose references lead to plain files beside the file alone.

    Attributes
    ----------
    xml
        For `tifffile`: the name of each image is its number.
    images
        In their order.
    missing_companion
        Name of the file that describes the set, if that does not exist; empty otherwise.
    companion
        Name of the file that describes the set, if it is another one.
    """

    xml: str
    images: tuple[OmeImage, ...]
    missing_companion: str = ""
    companion: str = ""

    @property
    def files(self) -> tuple[str, ...]:
        """Names of all other files of the set that exist."""
        every = dict.fromkeys(name for image in self.images for name in image.files)
        gone = set(self.missing_files)
        return tuple(name for name in (self.companion, *every) if name and name not in gone)

    @property
    def missing_files(self) -> tuple[str, ...]:
        """Names of the files with planes that do not exist."""
        return tuple(dict.fromkeys(name for image in self.images for name in image.missing_files))


def ome_description(xml: str, path: Path) -> OmeDescription | None:
    """Return what OME-XML says of a file and its set; None where it is not understood.

    Parameters
    ----------
    xml
        The description in the file.
    path
        The file.

    Raises
    ------
    ColloidsError
        If the description leads to what is no plain file, or promises more than can be.
    """
    root = _parsed(xml)
    if root is None:
        return None
    own, companion = root.get("UUID"), ""
    reference = next(_children(root, "BinaryOnly"), None)
    if reference is not None:
        companion = _beside(path, reference.get("MetadataFile", ""))
        if not (path.parent / companion).is_file():
            return OmeDescription(xml, (), missing_companion=companion or "the one with its description")
        root = _parsed(_xml_of(path.parent / companion))
        if root is None:
            raise ColloidsError(
                f"'{path.parent / companion}', which describes '{path.name}', is damaged; copy it again."
            )
        if own is not None:
            root.set("UUID", own)
        else:
            root.attrib.pop("UUID", None)  # of the companion, not of this file
    return _described(root, path, companion)


def _described(root: Element, path: Path, companion: str) -> OmeDescription:
    own = root.get("UUID")
    references = [one for one in root.iter() if _tag(one) == "UUID" and one.text]
    alone = {one.text for one in references}
    # A file that was renamed, with nothing but its own planes.
    renamed = len(alone) == 1 and (own is None or own in alone) and not companion
    images: list[OmeImage] = []
    for image in _children(root, "Image"):
        name = image.get("Name", "")
        image.set("Name", str(len(images)))
        pixels = next(_children(image, "Pixels"), None)
        if pixels is None:
            images.append(OmeImage(name, ElementTree.Element("Pixels"), (), ()))
            continue
        _check_sizes(pixels, path)
        files: dict[str, None] = {}
        if next(_children(pixels, "TiffData"), None) is None:
            # All planes are here where nothing else is said.
            pixels.append(ElementTree.Element(pixels.tag.replace("Pixels", "TiffData")))
        for data in _children(pixels, "TiffData"):
            _limit(data, pixels)
            for uuid in list(_children(data, "UUID")):
                if renamed:
                    data.remove(uuid)
                    continue
                file = _beside(path, uuid.get("FileName") or uuid.text or "")
                uuid.set("FileName", file)
                if uuid.text != own and file.lower() != path.name.lower():
                    files[file] = None
        missing = tuple(file for file in files if not (path.parent / file).is_file())
        images.append(OmeImage(name, pixels, tuple(files), missing))
    return OmeDescription(ElementTree.tostring(root, encoding="unicode"), tuple(images), companion=companion)


def set_of(path: Path) -> tuple[Path, frozenset[str]]:
    """Return the file through which the set of a TIFF or companion file is opened, and the names of its files.

    A file that leaves the description to another TIFF file is opened through that. There are no names where it is no
    file of a set, or its description is missing or damaged, which is told when it is read.
    """
    try:
        with quiet("tifffile"):
            head = path if is_tiff(path) else first_tiff(path)
            ome = ome_description(_xml_of(head), head)
    except Exception:  # the parser raises nearly anything on damaged bytes
        return path, frozenset()
    if ome is None or ome.missing_companion:
        return path, frozenset()
    names = {head.name, path.name, *ome.files, *ome.missing_files} - {""}
    if len(names) == 1:
        return path, frozenset()
    describes = path.parent / ome.companion
    return (describes if ome.companion and is_tiff(describes) else path), frozenset(names)


def first_tiff(companion: Path) -> Path:
    """Return the first TIFF file that a companion file names and that exists beside it.

    Raises
    ------
    ColloidsError
        If it is no companion file, or none of its files exists.
    """
    root = _parsed(_xml_of(companion))
    names = [] if root is None else [one.get("FileName", "") for one in root.iter() if _tag(one) == "UUID"]
    if not names:
        raise ColloidsError(f"'{companion}' is no description of OME-TIFF files, or it is damaged.")
    files = [companion.parent / _beside(companion, name) for name in dict.fromkeys(names)]
    found = next((file for file in files if file.is_file()), None)
    if found is None:
        raise ColloidsError(f"'{companion}' describes '{files[0].name}', which is missing.")
    return found


def is_tiff(path: Path) -> bool:
    """Whether a file starts as a TIFF file does."""
    with path.open("rb") as file:
        return file.read(2) in (b"II", b"MM")


def _xml_of(path: Path) -> str:
    """Return the OME-XML in a TIFF file, or in a file of its own; empty where that is too large for one."""
    if is_tiff(path):
        with tifffile.TiffFile(path) as tif:
            return tif.ome_metadata or ""
    if path.stat().st_size > _MAX_BYTES:
        return ""
    return path.read_text("utf-8-sig", errors="replace")


def _parsed(xml: str) -> Element | None:
    try:
        return ElementTree.fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", xml))  # noqa: S314 (expat does not expand much)
    except ElementTree.ParseError:
        return None


def _beside(path: Path, name: str) -> str:
    """Return the name of a file beside another one; the folders that a description names are not followed.

    Raises
    ------
    ColloidsError
        If there is something of this name that is no file.
    """
    file = PureWindowsPath(name.replace("\0", "")).name  # parted at slashes, too
    beside = path.parent / file
    if file and beside.exists() and not beside.is_file():
        raise ColloidsError(f"'{path}' refers to '{file}', which is no file, but a folder, a device or a pipe.")
    return file


def _check_sizes(pixels: Element, path: Path) -> None:
    try:
        planes = 1
        for axis in "ZCT":
            length = int(pixels.get(f"Size{axis}", "1"))
            planes *= length if length > 0 else _MAX_PLANES + 1
    except ValueError:
        planes = _MAX_PLANES + 1
    if planes > _MAX_PLANES:
        sizes = ", ".join(f"{axis} {pixels.get(f'Size{axis}', '')[:20]}" for axis in "ZCT")
        raise ColloidsError(f"'{path}' is damaged: no image has the sizes {sizes}.")


def _limit(data: Element, pixels: Element) -> None:
    """Limit the number of planes of a `TiffData` to those that the image has."""
    planes = 1
    for axis in "ZCT":
        planes *= int(pixels.get(f"Size{axis}", "1"))
    for name in _COUNTS:
        count = data.get(name, "")
        if count.isdecimal() and (len(count) > len(str(planes)) or int(count) > planes):
            data.set(name, str(planes))


def _children(element: Element, tag: str) -> Iterator[Element]:
    return (child for child in element if _tag(child) == tag)


def _tag(element: Element) -> str:
    """Return the name of an element without its namespace."""
    return element.tag.rpartition("}")[2]
