"""The segments of a CZI file: directory, metadata and pixel blocks.

Parsed here because the only maintained library with a permissive licence needs a newer Python, and changes its
interface from release to release.

Sources
-------
Zeiss, "ZISRAW (CZI) File Format, Design Specification", and the documentation of libCZI: https://zeiss.github.io/libczi
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np

from napari_colloids.errors import ColloidsError
from napari_colloids.io.files import missing_package

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SEGMENT = struct.Struct("<16sqq")
_ENTRY = struct.Struct("<2siqiiB5xi")
_DIMENSION = struct.Struct("<4siifi")
_UNCOMPRESSED, _JPEG_XR, _ZSTD_0, _ZSTD_1 = 0, 4, 5, 6
#: Types of the values by the number of their pixel type; colours have none.
_DTYPES: dict[int, np.dtype[np.generic]] = {0: np.dtype("<u1"), 1: np.dtype("<u2"), 2: np.dtype("<f4")}


@dataclass(frozen=True)
class Block:
    """A block of pixels: a plane of an image, or a tile of it.

    Attributes
    ----------
    start, size
        Position and length along each dimension: X, Y, Z, C, T, S (scene), M (tile of a mosaic), and rarer ones.
    pixel_type, compression
        Their numbers in the format.
    position
        First byte of its segment in the file.
    reduced
        Whether it belongs to a level of lower resolution.
    """

    start: dict[str, int]
    size: dict[str, int]
    pixel_type: int
    compression: int
    position: int
    reduced: bool

    @property
    def dtype(self) -> np.dtype[np.generic] | None:
        """Type of the values; None for colours and rarer types."""
        return _DTYPES.get(self.pixel_type)


class CziFile:
    """An open file, mapped into memory.

    Parameters
    ----------
    path
        The file.

    Attributes
    ----------
    blocks
        All blocks of the file's directory.

    Raises
    ------
    ValueError, struct.error
        If it is no CZI file, or cut short.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._bytes: Any = np.memmap(path, np.uint8, mode="r")
        header = self._segment(0, b"ZISRAWFILE")
        _, _, part, directory, self._metadata = struct.unpack_from("<ii40xiqq", header)
        if part:
            raise ColloidsError(f"'{path}' is one part of an image in several files, which is not supported.")
        self.blocks = self._directory(directory)
        for block in self.blocks:
            itemsize = block.dtype.itemsize if block.dtype and block.compression == _UNCOMPRESSED else 0
            if block.size["Y"] * block.size["X"] * itemsize > self._bytes.size:
                raise ValueError(f"a block of {block.size['Y']} x {block.size['X']} pixels does not fit the file")
        if self.blocks:
            self._segment(max(block.position for block in self.blocks), b"ZISRAWSUBBLOCK")

    def metadata(self) -> ElementTree.Element:
        """Return the root of the XML that describes the image; an empty one where there is none."""
        if not self._metadata:
            return ElementTree.Element("ImageDocument")
        segment = self._segment(self._metadata, b"ZISRAWMETADATA")
        (size,) = struct.unpack_from("<i", segment)
        return ElementTree.fromstring(bytes(segment[256 : 256 + size]))  # noqa: S314 (expat does not expand much)

    def pixels(self, block: Block) -> NDArray[np.generic]:
        """Return the values ``(y, x)`` of a block."""
        segment = self._segment(block.position, b"ZISRAWSUBBLOCK")
        metadata_size, _, size = struct.unpack_from("<iiq", segment)
        (dimensions,) = struct.unpack_from("<i", segment, 16 + _ENTRY.size - 4)
        start = max(256, 16 + _ENTRY.size + dimensions * _DIMENSION.size) + metadata_size
        stored = segment[start : start + size]
        if block.dtype is None:
            raise ValueError(f"pixels of type {block.pixel_type}")
        return self._decoded(stored, block, block.dtype).reshape(block.size["Y"], block.size["X"])

    def _decoded(self, stored: NDArray[np.uint8], block: Block, dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
        if block.compression == _UNCOMPRESSED:
            return np.frombuffer(stored, dtype, block.size["Y"] * block.size["X"])
        if block.compression not in (_JPEG_XR, _ZSTD_0, _ZSTD_1):
            raise ColloidsError(
                f"'{self._path}' is compressed in an unusual way ({block.compression}); save it uncompressed in ZEN."
            )
        try:
            import imagecodecs
        except ImportError as error:
            raise missing_package(f"'{self._path}' is compressed in a way that needs", "imagecodecs") from error
        # What is stored is decoded into as many bytes as the block has: it may be packed so as to fill the memory.
        room = np.empty((block.size["Y"], block.size["X"]), dtype)
        if block.compression == _JPEG_XR:
            return imagecodecs.jpegxr_decode(bytes(stored), out=room)
        # The second variant has a header of 1 or 3 bytes, which tells whether low and high bytes are stored separately.
        header = stored[: int(stored[0])] if block.compression == _ZSTD_1 else stored[:0]
        values = np.frombuffer(imagecodecs.zstd_decode(bytes(stored[len(header) :]), out=room.nbytes), np.uint8)
        if len(header) == 3 and header[1] == 1 and header[2] & 1:
            values = np.ascontiguousarray(values.reshape(2, -1).T).ravel()
        return values.view(dtype)

    def _segment(self, position: int, name: bytes) -> Any:
        """Return the content of a segment."""
        found, _, used = _SEGMENT.unpack_from(self._bytes, position)
        start = position + _SEGMENT.size
        if not found.startswith(name) or start + used > self._bytes.size:
            raise ValueError(f"no {name.decode()} at byte {position}")
        return self._bytes[start:] if used == 0 else self._bytes[start : start + used]

    def _directory(self, position: int) -> list[Block]:
        segment = bytes(self._segment(position, b"ZISRAWDIRECTORY"))
        (count,) = struct.unpack_from("<i", segment)
        blocks, offset = [], 128
        for _ in range(count):
            _, pixel_type, where, _, compression, _, dimensions = _ENTRY.unpack_from(segment, offset)
            offset += _ENTRY.size
            start: dict[str, int] = {}
            size: dict[str, int] = {}
            reduced = False
            for _ in range(dimensions):
                axis, first, length, _, kept = _DIMENSION.unpack_from(segment, offset)
                offset += _DIMENSION.size
                letter = axis.rstrip(b"\0").decode("ascii")
                if length < (letter in "XY"):
                    raise ValueError(f"a block of pixels has the length {length} along {letter}")
                start[letter], size[letter] = first, length
                reduced = reduced or (letter in "XY" and kept not in (0, length))
            blocks.append(Block(start, size, pixel_type, compression, where, reduced))
        return blocks
