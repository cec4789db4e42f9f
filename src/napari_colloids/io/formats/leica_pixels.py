"""Where the pixels of a Leica image lie: in the file itself, in a LOF file, or in a file for each plane or more."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import liffile
import numpy as np

from napari_colloids.errors import ColloidsError
from napari_colloids.io.files import plain_file_beside, quiet
from napari_colloids.io.lazy import Assembled, check_length

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_colloids.io.lazy import Sliceable

_LOF = ".lof"
#: Files that refer to others.
_REFERRING = (".xlef", ".xlcf", ".xlif")
#: A damaged header promises millions of times the planes that are there; what was stopped does not.
_MAX_PROMISED = 10_000


@dataclass(frozen=True)
class Pixels:
    """What is there of the pixels of an image.

    Attributes
    ----------
    unreadable
        Why they cannot be read; empty where they can.
    recorded, missing_files
        As in `SeriesReader`.
    """

    unreadable: str = ""
    recorded: NDArray[np.bool_] | None = None
    missing_files: tuple[str, ...] = ()


def pixels_of(path: Path, image: liffile.LifImageABC) -> Pixels:
    """Return what is there of the pixels of an image.

    Parameters
    ----------
    path
        The file that was opened.
    image
        An image in it, of a known type and shape.
    """
    try:
        block = image.memory_block
        if not block.frames:
            check_length(image.parent.filepath, block.offset + block.size)
    except (KeyError, ColloidsError):
        return Pixels(f"The pixels of '{image.path}' are missing: '{path}' is cut short; copy it again.")
    missing = []
    for frame in block.frames:
        file = _beside(path, image, frame.file)
        if file is None:
            missing.append(Path(frame.file).name)
        elif file.suffix.lower() == _LOF and file.stat().st_size < frame.size:
            return Pixels(f"'{file}', which holds pixels of '{image.path}', is cut short; copy it again.")
    if missing and len(missing) == len(block.frames):
        return Pixels(
            f"'{missing[0]}', which holds pixels of '{image.path}', is not there, or no plain file; copy it too."
        )
    planes = math.prod(image.shape[:-2])
    first = [_planes(image, frame) for frame in block.frames if Path(frame.file).name not in missing]
    written = set().union(*first) if missing else range(min(block.size // _plane_bytes(image), planes))
    if len(written) == planes:
        return Pixels()
    if set(image.dims[-2:]) != {"Y", "X"} or planes > _MAX_PROMISED * len(written):
        return Pixels(f"'{image.path}' is damaged, or was stopped in its first slice: most of its pixels are missing.")
    there = np.isin(np.arange(planes), list(written)).reshape(*image.shape[:-2], 1, 1)
    return Pixels("", there, tuple(missing))


def companions_of(path: Path) -> list[Path]:
    """Return the files that an XLEF file refers to, and those that they refer to in turn.

    Raises
    ------
    ColloidsError
        If one is missing, no plain file in the folder of the first or below, or refers to itself.
    """
    found, waiting = [path.absolute()], [path.absolute()]
    while waiting:
        # Such a file is read and closed at once; to close it once more would open what it refers to.
        file = liffile.LifFile(waiting.pop())
        names = [one.attrib.get("File", "") for one in file.xml_element.findall("./Element/Children/Reference")]
        for name in filter(None, names):
            here = os.path.relpath(os.path.join(file.dirname, unquote(name).replace("\\", "/")), path.absolute().parent)
            child = plain_file_beside(path.parent, here)
            if child is None or child in found:
                why = "is not there, or no plain file beside it; copy it too" if child is None else "refers to itself"
                raise ColloidsError(f"'{name}', to which '{path}' refers, {why}.")
            found.append(child)
            waiting += [child] if child.suffix.lower() in _REFERRING else []
    return found[1:]


def files_of(path: Path, image: liffile.LifImageABC) -> list[Path]:
    """Return the files that hold pixels of an image, as far as they exist; none where the file itself does."""
    files = (_beside(path, image, frame.file) for frame in image.memory_block.frames)
    return [file for file in files if file is not None]


def open_pixels(path: str, number: int) -> Sliceable:
    """Map the pixels of an image into memory; read them where they are in many files."""
    with quiet("liffile"), liffile.LifFile(path) as file:
        image = file.images[number]
        frames = image.memory_block.frames
        files = [_beside(Path(path), image, frame.file) for frame in frames]
        if len(files) == 1 and files[0] is not None and files[0].suffix.lower() == _LOF:
            with liffile.LifFile(files[0]) as lof:
                return _mapped(lof.images[0])
        if not frames:
            return _mapped(image)
        if None not in files and image.memory_block.size >= image.nbytes:
            return image.asarray()
        plane = image.shape[-2:]
        stored = {
            number: frame for frame, file in zip(frames, files, strict=True) if file for number in _planes(image, frame)
        }

        def part(where: tuple[int, ...]) -> NDArray[np.generic]:
            at = int(np.ravel_multi_index(where, image.shape[:-2])) if where else 0
            if at not in stored:
                return np.zeros(plane, image.dtype)
            frame = stored[at]
            pixels = np.frombuffer(frame.imread(image.parent.dirname).tobytes(), image.dtype).reshape(-1, *plane)
            return pixels[at - frame.offset // _plane_bytes(image)]

        return Assembled(image.shape, image.dtype, part, image.ndim - 2)


def _mapped(image: liffile.LifImageABC) -> Sliceable:
    block = image.memory_block
    check_length(image.parent.filepath, block.offset + block.size)
    if block.size >= image.nbytes:
        return image.asarray(out="memmap")
    # It was stopped: the planes that were written are mapped.
    written = block.size // _plane_bytes(image)
    plane, leading = image.shape[-2:], image.shape[:-2]
    mapped = np.memmap(image.parent.filepath, image.dtype, "r", block.offset, (written, *plane))
    dark = np.zeros(plane, image.dtype)

    def part(where: tuple[int, ...]) -> NDArray[np.generic]:
        at = int(np.ravel_multi_index(where, leading)) if where else 0
        return mapped[at] if at < written else dark

    return Assembled(image.shape, image.dtype, part, image.ndim - 2)


def _plane_bytes(image: liffile.LifImageABC) -> int:
    return max(math.prod(image.shape[-2:]) * image.itemsize, 1)


def _planes(image: liffile.LifImageABC, frame: liffile.liffile.LifMemoryFrame) -> range:
    """Return the numbers of the planes in a file."""
    size = _plane_bytes(image)
    last = min((frame.offset + frame.size) // size, math.prod(image.shape[:-2]))
    return range(max(frame.offset // size, 0), last)


def _beside(path: Path, image: liffile.LifImageABC, name: str) -> Path | None:
    folder = os.path.relpath(image.parent.dirname, path.absolute().parent)
    return plain_file_beside(path.parent, os.path.join(folder, name.replace("\\", "/")))
