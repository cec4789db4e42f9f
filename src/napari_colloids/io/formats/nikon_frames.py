"""The frames that an ND2 file holds, from the map of its chunks.

The library that decodes the frames fills in zeros for those that it does not find.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

#: First number of each chunk, then the length of its name and that of its content in bytes.
_CHUNK = struct.Struct("<IIQ")
_MAGIC = 0x0ABECEDA
_END = struct.Struct("<32sQ")
_MAP_SIGNATURE = b"ND2 CHUNK MAP SIGNATURE 0000001!"
#: An entry of the map: the name of a frame, where its chunk begins, and its length.
_FRAME = re.compile(rb"ImageDataSeq\|([0-9]{1,9})!(.{16})", re.DOTALL)
#: Bytes of a frame's chunk before the pixels: the time.
_TIME_BYTES = 8


def frames_in(path: Path, frame_bytes: int, *, compressed: bool) -> frozenset[int] | None:
    """Return the numbers of the frames in a file.

    Parameters
    ----------
    path
        The file.
    frame_bytes
        Length of the pixels of a frame, as the header has it.
    compressed
        Whether they take fewer bytes in the file.

    Returns
    -------
    frozenset of int or None
        None for files before version 3, which have no map.

    Raises
    ------
    ValueError, struct.error
        If a frame is not where the map says, or of another length.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(-_END.size, 2)
        signature, start = _END.unpack(file.read(_END.size))
        if signature != _MAP_SIGNATURE:
            return None
        file.seek(start)
        _, name_length, length = _CHUNK.unpack(file.read(_CHUNK.size))
        file.seek(start + _CHUNK.size + name_length)
        content = file.read(min(length, size))
        places = {int(match[1]): struct.unpack("<Q", match[2][:8])[0] for match in _FRAME.finditer(content)}
        for number, place in places.items():
            _check_frame(file, number, place, size, frame_bytes, compressed=compressed)
    return frozenset(places)


def _check_frame(file: BinaryIO, number: int, place: int, size: int, frame_bytes: int, *, compressed: bool) -> None:
    file.seek(min(place, size))
    magic, name_length, length = _CHUNK.unpack(file.read(_CHUNK.size).ljust(_CHUNK.size, b"\0"))
    pixels = length - _TIME_BYTES
    # Compression makes noise longer by less than this; far more unpacks to more than a frame.
    fits = pixels <= frame_bytes + frame_bytes // 100 + 1000 if compressed else pixels >= frame_bytes
    if magic != _MAGIC or place + _CHUNK.size + name_length + length > size or not fits:
        raise ValueError(f"frame {number} is not of {frame_bytes} bytes at byte {place}")
