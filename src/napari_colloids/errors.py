"""The error class whose messages are meant for users."""

from __future__ import annotations


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
