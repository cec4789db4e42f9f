"""Has a window drawn in a later turn of its event loop than what has changed much of it."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING
from weakref import ref

from qtpy.compat import isalive
from qtpy.QtCore import QTimer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qtpy.QtWidgets import QWidget

#: Long enough for mouse and keys to be heard in between.
_LATER_MS = 15


@contextmanager
def painted_later(widget: QWidget) -> Iterator[None]:
    """Draw the window of a widget not at once after the block, but in a turn of its own.

    Adding a layer takes napari 0.1 s, and drawing it for the first time as long again: without a turn between them the
    window would hear nothing for both.
    """
    window = widget.window()
    if window is None or not window.updatesEnabled():
        yield
        return
    window.setUpdatesEnabled(False)
    try:
        yield
    finally:
        QTimer.singleShot(_LATER_MS, partial(_paint, ref(window)))


def _paint(reference: ref[QWidget]) -> None:
    window = reference()
    if window is not None and isalive(window):
        window.setUpdatesEnabled(True)
