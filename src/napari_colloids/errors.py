"""The error class whose messages are meant for users, and how they show values."""

from __future__ import annotations

import errno
import re

#: Number of characters up to which a message shows a value as it is written in code.
_MAX_SHOWN_CHARACTERS = 60
#: What libraries say where memory ran out, in lower case: torch, NumPy, the loader of libraries, threads, C++.
_OUT_OF_MEMORY = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "unable to allocate",
    "failed to map segment",
    "can't start new thread",
    "bad_alloc",
)
#: Characters that end a line, control a terminal, turn the direction of writing, or stand for a byte of a file name
#: that is not UTF-8.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class ColloidsError(Exception):
    """Error that a user can resolve; its message is one line and says what to do.

    It is not a ``RuntimeError``, because napari's generator workers end without ``errored`` or ``finished`` on those.

    Examples
    --------
    >>> import napari_colloids as nc
    >>> try:
    ...     nc.detect("no_such_file.tif")
    ... except nc.ColloidsError as error:
    ...     print(error)
    There is no file 'no_such_file.tif'.
    """

    def __init__(self, message: str) -> None:
        super().__init__(shown(message))


class UnknownVoxelSizeError(ColloidsError):
    """Error about a table whose positions cannot be told in voxels without the voxel size."""


class UnusableVolumeError(ColloidsError):
    """Error about one volume: constant, without finite values, unreadable, or never recorded.

    A series goes on without such a volume.

    Parameters
    ----------
    message
        What a user is told where it is the only volume.
    reason
        The same in a few words, which follow the number of the volume in a list; empty for the message.

    Attributes
    ----------
    reason
        Never empty.
    """

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason or message.rstrip(".")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception, or one that it comes from, means that memory ran out.

    Libraries have few classes of their own for it: the words of their messages count.

    Examples
    --------
    >>> is_out_of_memory(MemoryError()), is_out_of_memory(OSError(28, "No space left on device"))
    (True, False)
    >>> is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"))
    True
    """
    text = str(error).lower()
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    if any(phrase in text for phrase in _OUT_OF_MEMORY):
        return True
    earlier = error.__cause__ or error.__context__
    return earlier is not None and is_out_of_memory(earlier)


def shown(text: str) -> str:
    r"""Return a text in one line that every terminal and file can hold; other characters are escaped.

    Names of files, and names that files hold, may have line breaks, commands to the terminal, or bytes that are no
    text.

    Examples
    --------
    >>> print(shown("a\nb.tif"), shown("caf\udce9.tif"), shown("größe.tif"))
    a\nb.tif caf\udce9.tif größe.tif
    """
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def brief(value: object) -> str:
    """Return a value as a message shows it, in one line: arrays, tables and long values by their type alone.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_colloids.errors import brief
    >>> brief("12"), brief((0.2, 0.1)), brief(np.float64(3.5)), brief(np.zeros((64, 64)))
    ("'12'", '(0.2, 0.1)', '3.5', 'an array of shape (64, 64)')
    """
    shape = getattr(value, "shape", None)
    if shape == () and hasattr(value, "item"):
        value = value.item()
    text = repr(value)
    if not shape and len(text) <= _MAX_SHOWN_CHARACTERS and "\n" not in text:
        return text
    kind = type(value).__name__.removeprefix("nd")
    article = "an" if kind[0].lower() in "aeiou" else "a"
    return f"{article} {kind} of shape {shape}" if isinstance(shape, tuple) else f"{article} {kind}"
