"""Structures that were measured in this session, a layer each, and which of them are compared."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, WeakSet

from qtpy.compat import isalive
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QFormLayout, QLabel, QVBoxLayout, QWidget

from napari_colloids.plotting import unit_symbol
from napari_colloids.widgets.parts.own_control import wrapped

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Points

    from napari_colloids.widgets.structure_request import Measured

_TIP = "Draw what was measured of this layer in the same plot, with the name of each layer."
_NONE = "no other layer was measured yet"
#: Characters of a name that a box shows: longer ones would make the dock too wide.
_MAX_CHARACTERS = 34


class Comparison(QWidget):
    """Keeps the structure of each layer as long as the layer is there, with a check box for each of the others."""

    #: Another choice of layers, or another name or end of one that is drawn.
    changed = Signal()

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = viewer
        self._results: WeakKeyDictionary[Points, Measured] = WeakKeyDictionary()
        self._ticked: WeakSet[Points] = WeakSet()
        self._beside: Points | None = None
        self.boxes: dict[Points, QCheckBox] = {}
        self._none = QLabel(_NONE)
        self._none.setEnabled(False)
        self._column = QVBoxLayout()
        self._column.setSpacing(2)
        self._column.addWidget(self._none)
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        label = QLabel("Compare with")
        label.setToolTip(wrapped("Layers that were measured since this dock was opened, to be drawn beside this one."))
        label.setAlignment(Qt.AlignmentFlag.AlignTop)
        form.addRow(label, self._column)
        viewer.layers.events.removed.connect(self._on_layers)

    def keep(self, layer: Points, measured: Measured) -> None:
        """Keep what was measured of a layer."""
        if layer not in self._results:
            layer.events.name.connect(self._on_layers)
        self._results[layer] = measured

    def of(self, layer: Points | None) -> Measured | None:
        """Return what was measured of a layer, or None."""
        return None if layer is None else self._results.get(layer)

    def compared(self) -> list[Points]:
        """Return the layers to be drawn beside the chosen one."""
        return [layer for layer, box in self.boxes.items() if box.isChecked() and box.isEnabled()]

    def offer(self, beside: Points | None) -> None:
        """Offer the layers that may be drawn beside one; those that were chosen before still are."""
        self._beside = beside
        for box in self.boxes.values():
            self._column.removeWidget(box)
            box.deleteLater()
        others = [layer for layer in self._viewer.layers if layer in self._results and layer is not beside]
        self.boxes = {layer: self._box(layer) for layer in others}
        self._none.setVisible(not others)

    def _box(self, layer: Points) -> QCheckBox:
        name = layer.name
        if len(name) > _MAX_CHARACTERS:  # names differ at their ends
            name = f"{name[: _MAX_CHARACTERS // 2]}…{name[-_MAX_CHARACTERS // 2 :]}"
        box = QCheckBox(name.replace("&", "&&"))
        box.setChecked(layer in self._ticked)
        its_unit, measured = self._results[layer].found.unit, self.of(self._beside)
        usable = measured is None or measured.found.unit == its_unit
        box.setEnabled(usable)
        why = f"Lengths of this layer are in {unit_symbol(its_unit)}: set the scale of both."
        box.setToolTip(wrapped(f"{layer.name}: {_TIP if usable else why}"))
        box.toggled.connect(lambda on: self._on_box(layer, on))
        self._column.addWidget(box)
        return box

    def _on_box(self, layer: Points, on: bool) -> None:
        (self._ticked.add if on else self._ticked.discard)(layer)
        self.changed.emit()

    def _on_layers(self) -> None:
        if not isalive(self):
            return
        for layer in [layer for layer in self._results if layer not in self._viewer.layers]:
            del self._results[layer]
        self.offer(self._beside)
        self.changed.emit()
