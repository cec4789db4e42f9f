"""Messages through a pipe: text, and arrays as they lie in memory; see `codec`."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.io.isolated.codec import decoded, encoded

if TYPE_CHECKING:
    from io import FileIO
    from typing import Any

#: The number of parts of a message, and the length of each in bytes.
_NUMBER = struct.Struct("<Q")


def send(pipe: FileIO, message: object) -> None:
    """Send a message.

    Raises
    ------
    OSError
        If nobody receives it.
    CodecError
        If it cannot be sent; nothing was sent then.
    """
    head, arrays = encoded(message)
    bodies = [array.reshape(-1).view(np.uint8).data for array in arrays]
    lengths = [len(bodies) + 1, len(head), *(body.nbytes for body in bodies)]
    _write(pipe, memoryview(b"".join(map(_NUMBER.pack, lengths)) + head))
    for body in bodies:
        _write(pipe, body)


def receive(pipe: FileIO, *, trusted: bool = False) -> Any:
    """Wait for a message and return it; its arrays may be written to.

    Parameters
    ----------
    pipe
        From which it comes.
    trusted
        As for `decoded`: the process that asks is, the one that reads files is not.

    Raises
    ------
    EOFError
        If the other end is gone.
    CodecError
        If it is no message, or one that is not accepted.
    """
    count = _number(pipe)
    lengths = [_number(pipe) for _ in range(count)]
    head, *bodies = [_read(pipe, length) for length in lengths]
    return decoded(bytes(head), bodies, trusted=trusted)


def _number(pipe: FileIO) -> int:
    (number,) = _NUMBER.unpack(_read(pipe, _NUMBER.size))
    return int(number)


def _write(pipe: FileIO, content: memoryview) -> None:
    while content.nbytes:
        content = content[pipe.write(content) :]


def _read(pipe: FileIO, length: int) -> memoryview:
    content = np.empty(length, np.uint8).data  # of NumPy, as it is not filled with zeros first
    rest = content
    while rest.nbytes:
        count = pipe.readinto(rest)
        if not count:
            raise EOFError("the pipe was closed")
        rest = rest[count:]
    return content
