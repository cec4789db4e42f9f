"""Messages through a pipe: an object, whose arrays follow as they lie in memory.

They are pickled, which is safe because both ends are this program: nothing that a file holds is unpickled.
"""

from __future__ import annotations

import pickle
import struct
from typing import TYPE_CHECKING

import numpy as np

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
    Exception
        Whatever `pickle` raises on objects that cannot be pickled; nothing was sent then.
    """
    arrays: list[pickle.PickleBuffer] = []
    head = pickle.dumps(message, protocol=5, buffer_callback=arrays.append)
    bodies = [array.raw() for array in arrays]
    lengths = [len(bodies) + 1, len(head), *(body.nbytes for body in bodies)]
    _write(pipe, memoryview(b"".join(map(_NUMBER.pack, lengths)) + head))
    for body in bodies:
        _write(pipe, body)


def receive(pipe: FileIO) -> Any:
    """Wait for a message and return it; its arrays may be written to.

    Raises
    ------
    EOFError
        If the other end is gone.
    Exception
        Whatever `pickle` raises on what is no message.
    """
    count = _number(pipe)
    lengths = [_number(pipe) for _ in range(count)]
    head, *bodies = [_read(pipe, length) for length in lengths]
    return pickle.loads(head, buffers=bodies)  # noqa: S301 (from this program)


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
