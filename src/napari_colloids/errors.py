"""The error class whose messages are meant for users, and how they show values."""

from __future__ import annotations

#: Number of characters up to which a message shows a value as it is written in code.
_MAX_SHOWN_CHARACTERS = 60


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
