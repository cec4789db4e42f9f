"""Edits of the particles of a layer: the radius of those selected, undo and redo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from magicgui.widgets import PushButton
from qtpy.compat import isalive
from qtpy.QtWidgets import QHBoxLayout, QLabel, QWidget

from napari_colloids.widgets.layers import layers
from napari_colloids.widgets.layers.edit_history import history_of, resize
from napari_colloids.widgets.layers.places import voxel_size_of
from napari_colloids.widgets.layers.spheres import is_ours
from napari_colloids.widgets.parts.number_box import NumberBox

if TYPE_CHECKING:
    from napari.layers import Points
    from napari.utils.events import Event

    from napari_colloids.widgets.parts.status import Status

#: Radii that can be typed, in lateral voxels.
_RADIUS_RANGE = (0.1, 1000.0)
_TIP = "Radius of the particles that are selected in the image (arrow tool of the layer controls)."


class EditRow(QWidget):
    """Radius of the selected particles in micrometres, where the voxel size is known, and buttons to undo and redo."""

    def __init__(self, status: Status) -> None:
        super().__init__()
        self._status = status
        self._layer: Points | None = None
        self.radius = NumberBox(
            1.0,
            *_RADIUS_RANGE,
            tooltip=_TIP,
        )
        self.undo = PushButton(text="Undo", tooltip="Take back the last edit of these particles (Ctrl+Z in the image).")
        self.redo = PushButton(text="Redo", tooltip="Do it again (Ctrl+Shift+Z in the image).")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        for part in (QLabel("Radius"), self.radius.native, self.undo.native, self.redo.native):
            row.addWidget(part)
        row.setStretch(1, 1)
        self.radius.changed.connect(self._on_radius)
        self.undo.changed.connect(lambda: self._say("Undone", history_of(self._layer).undo() if self._layer else ""))
        self.redo.changed.connect(lambda: self._say("Redone", history_of(self._layer).redo() if self._layer else ""))
        self.follow(None)

    def follow(self, layer: Points | None) -> None:
        """Take this layer from now on; layers that were not made here are not edited."""
        if self._layer is not None:
            self._layer.selected_data.events.items_changed.disconnect(self._refresh)
            for event in (self._layer.events.features, self._layer.events.data, self._layer.events.scale):
                event.disconnect(self._refresh)
        self._layer = layer if layer is not None and is_ours(layer) else None
        if self._layer is not None:
            self._layer.selected_data.events.items_changed.connect(self._refresh)
            for event in (self._layer.events.features, self._layer.events.data, self._layer.events.scale):
                event.connect(self._refresh)
        self.setVisible(self._layer is not None)
        self._refresh()

    def _unit(self) -> float:
        """Return how many micrometres, where these are known, a lateral voxel is wide."""
        size = None if self._layer is None else voxel_size_of(self._layer)
        return 1.0 if size is None else size[2]

    def _selected(self) -> list[int]:
        layer = self._layer
        return [] if layer is None else sorted(int(one) for one in layer.selected_data if one < len(layer.data))

    def _refresh(self, event: Event | None = None) -> None:
        if not isalive(self):
            return
        layer, which, unit = self._layer, self._selected(), self._unit()
        history = None if layer is None else history_of(layer)
        self.undo.enabled = history is not None and history.can_undo
        self.redo.enabled = history is not None and history.can_redo
        self.radius.enabled = bool(which)
        self.radius.tooltip = f"{len(which)} selected.\n{_TIP}" if which else _TIP
        if layer is None or not which:
            return
        with self.radius.changed.blocked():
            known = voxel_size_of(layer) is not None
            self.radius.set_unit("µm" if known else "px")
            self.radius.native.setDecimals(3 if known else 2)
            self.radius.limit(_RADIUS_RANGE[0] * unit, _RADIUS_RANGE[1] * unit)
            self.radius.value = float(np.median(layers.radii_of(layer.features)[which])) * unit

    def _on_radius(self, radius: float) -> None:
        if self._layer is not None:
            resize(self._layer, self._selected(), radius / self._unit())

    def _say(self, done: str, edit: str) -> None:
        if edit:
            self._status.say(f"{done}: {edit}.")
