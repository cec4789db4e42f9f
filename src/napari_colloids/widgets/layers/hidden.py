"""Keeps napari from failing when a hidden layer loses points.

napari slices a layer only while it is visible, but has a hidden one draw itself anew when its colours or borders
change, as when 2D is left for 3D: it then asks for points of its last slice that are no longer there, and fails
(napari 0.9.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari.layers import Points


def slice_hidden(layer: Points) -> None:
    """Have a hidden layer follow a change of its data, as a visible one does by itself."""
    if not layer.visible:
        layer.set_view_slice()
