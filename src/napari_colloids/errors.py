"""The one error class whose message is meant for the user."""

from __future__ import annotations


class ColloidsError(Exception):
    """Something the user can act on; the message is one line and says what to do.

    Deliberately not a ``RuntimeError``: napari's generator workers swallow those without emitting
    ``errored``, which would leave a progress bar open for ever.
    """
