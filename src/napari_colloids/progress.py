"""How far a long computation is."""

from __future__ import annotations

from typing import NamedTuple


class Progress(NamedTuple):
    """One step of a long computation.

    Attributes
    ----------
    done, total
        Steps, mostly tiles.
    message
        What is being done.
    """

    done: int
    total: int
    message: str
