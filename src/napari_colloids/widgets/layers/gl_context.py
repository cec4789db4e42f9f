"""Keeps napari from crashing when a hidden layer is removed.

On removal napari frees what the layer holds on the graphics card in whatever context is current then; where none is,
vertex arrays of it stay in use, and the next drawing reads freed memory (napari 0.9.2, vispy 0.17).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari.utils.events import Event


def make_current(event: Event | None = None) -> None:
    """Make the context that was drawn in last the current one; without a canvas there is none."""
    from qtpy.compat import isalive
    from vispy.gloo.context import get_current_canvas  # type: ignore[import-untyped]

    canvas = get_current_canvas()
    if canvas is not None and isalive(canvas.native):
        canvas.set_current()
