"""The column that particles are coloured by, with a colour bar between the two ends of its range."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magicgui.widgets import ComboBox, PushButton
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor, QLinearGradient, QPainter
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_colloids.widgets.layers import layers, order_colours
from napari_colloids.widgets.layers.column_colours import column_limits, scale_of
from napari_colloids.widgets.layers.quantities import Quantity, is_number, quantities_of, values_of
from napari_colloids.widgets.parts.controls import Form, shaped
from napari_colloids.widgets.parts.number_box import NumberBox
from napari_colloids.widgets.parts.own_control import wrapped
from napari_colloids.widgets.parts.panel import across

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Points
    from qtpy.QtGui import QPaintEvent

_PLAIN = "one colour"
_LARGEST = 1e6
_DECIMALS = 4
#: Height of the colour bar in pixels.
_BAR_PX = 14


class ColourBar(QWidget):
    """The colours from the lower end of a range to the upper one."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(_BAR_PX)
        self.setMinimumWidth(40)
        self._colours: list[str] = []

    def show_colours(self, colours: list[str]) -> None:
        """Show these colours from left to right; none where there are none."""
        self._colours = colours
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the colours."""
        if not self._colours:
            return
        gradient = QLinearGradient(0, 0, self.width(), 0)
        for number, colour in enumerate(self._colours):
            gradient.setColorAt(number / (len(self._colours) - 1), QColor(colour))
        painter = QPainter(self)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(gradient)
        painter.drawRoundedRect(self.rect(), 2, 2)
        painter.end()


class ColourControls(QWidget):
    """Colours a layer by a column of choice, within a range that is measured or typed."""

    #: Other colours were chosen.
    changed = Signal()
    #: What was typed is no range.
    refused = Signal(str)

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = viewer
        self._layer: Points | None = None
        self._quantities: dict[str, Quantity] = {}
        self.column = shaped(
            ComboBox(
                choices=[(_PLAIN, "")],
                label="Colour by",
                tooltip=wrapped(
                    "Colour the particles by a column. Grey: unknown there, as errors of what was not refined, or not "
                    "that of the bulk, as the order near a face."
                ),
            )
        )
        tip = "end of the colours: what lies beyond has the colour of the end. Measured until it is typed."
        self.low = NumberBox(0.0, -_LARGEST, _LARGEST, decimals=_DECIMALS, tooltip=f"Lower {tip}")
        self.high = NumberBox(1.0, -_LARGEST, _LARGEST, decimals=_DECIMALS, tooltip=f"Upper {tip}")
        self.bar = ColourBar()
        self.automatic = PushButton(text="Auto", tooltip="Measure the range again: the 1st to the 99th percentile.")
        for box in (self.low, self.high):
            box.drop_buttons()
            box.max_width = 64
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(4)
        rows.addWidget(Form([self.column]))
        row = across(self.low.native, self.bar, self.high.native, self.automatic.native)
        row.setStretch(1, 1)
        rows.addLayout(row)
        self.column.changed.connect(self._on_column)
        self.low.changed.connect(self._on_range)
        self.high.changed.connect(self._on_range)
        self.automatic.changed.connect(lambda _: self._on_column(self.column.value))
        self.offer(None)

    def offer(self, layer: Points | None) -> None:
        """Offer the columns of a layer, and show what it is coloured by."""
        self._layer = layer
        self._quantities = {} if layer is None else quantities_of(layer)
        names = {} if layer is None else {n: q.words for n, q in self._quantities.items() if _colours(layer, n)}
        choices = [(_PLAIN, ""), *((words, name) for name, words in names.items())]
        with self.column.changed.blocked():
            if list(self.column.choices) != [name for _, name in choices]:
                self.column.choices = choices
            chosen = order_colours.coloured_by(layer)
            self.column.value = chosen if chosen in names else ""
        self.setEnabled(layer is not None)
        self._show_range()

    def refresh(self) -> None:
        """Colour anew by the values that a layer has now."""
        if self._layer is not None and order_colours.coloured_by(self._layer):
            name = self.column.value
            order_colours.colour(self._viewer, self._layer, name, layers.note_of(self._layer).get("colour_limits"))
            self._show_range()

    def _on_column(self, name: str) -> None:
        if self._layer is None:
            return
        if name:
            order_colours.colour(self._viewer, self._layer, name)
        else:
            order_colours.colour_plainly(self._viewer, self._layer)
        self._show_range()
        self.changed.emit()

    def _on_range(self) -> None:
        name = self.column.value
        if self._layer is None or not name:
            return
        factor = self._quantities[name].factor
        limits = (float(self.low.value or 0.0) / factor, float(self.high.value or 0.0) / factor)
        if not limits[0] < limits[1]:
            self.refused.emit("The range of the colours must end above where it begins.")
            return
        order_colours.colour(self._viewer, self._layer, name, limits)
        self.changed.emit()

    def limits(self) -> tuple[float, float] | None:
        """Return both ends of the colours in the unit that they are shown in; None where all have one colour."""
        name, layer = self.column.value, self._layer
        if layer is None or not name:
            return None
        kept = layers.note_of(layer).get("colour_limits")
        low, high = column_limits(layer.features, name, values_of(layer, name)) if kept is None else kept
        factor = self._quantities[name].factor
        return low * factor, high * factor

    def _show_range(self) -> None:
        limits = self.limits()
        for control in (self.low, self.high, self.automatic):
            control.enabled = limits is not None
        self.bar.show_colours([] if limits is None else scale_of(self.column.value))
        unit = self._quantities[self.column.value].title if limits is not None else ""
        self.bar.setToolTip(unit)
        if limits is None:
            return
        for box, value in zip((self.low, self.high), limits, strict=True):
            with box.changed.blocked():
                box.value = value


def _colours(layer: Points, name: str) -> bool:
    return name != "frame" and is_number(values_of(layer, name))
