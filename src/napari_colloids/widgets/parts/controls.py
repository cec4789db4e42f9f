"""Small Qt pieces that several widgets use."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any
from weakref import ref

from napari.utils.notifications import show_error
from qtpy.compat import isalive
from qtpy.QtCore import QEvent, QLocale, QSize, Qt, Signal
from qtpy.QtGui import QValidator
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QFrame,
    QLabel,
    QScrollArea,
    QSizePolicy,
    QSpinBox,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_colloids.widgets.layers.unwrapped import unwrapped
from napari_colloids.widgets.parts.wheel import leave_wheel_to_panel

if TYPE_CHECKING:
    from collections.abc import Callable


class LayerCombo(QComboBox):
    """Choice of one of the viewer's layers; follows the layer list, renames included.

    It is the newest layer of the highest `rank` unless another was chosen. With `none`, the words for "no layer" come
    first and are chosen unless the user chooses a layer.
    """

    chosen = Signal(object)

    def __init__(
        self,
        viewer: Any,
        accepts: Callable[[Any], bool],
        tooltip: str,
        none: str = "",
        rank: Callable[[Any], int] = lambda layer: 0,
    ) -> None:
        super().__init__()
        self._none = none
        self._rank = rank
        self._tooltip = tooltip
        self._wished: Any = lambda: None  # a weak reference: a layer that is removed is to be freed
        self._viewer = viewer
        self._accepts = accepts
        leave_wheel_to_panel(self)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(12)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        for event in (viewer.layers.events.inserted, viewer.layers.events.removed, viewer.layers.events.reordered):
            event.connect(self._refill)
        self.currentIndexChanged.connect(self._on_index)
        self.activated.connect(lambda _: self._wish(self.layer))
        self._refill()

    @property
    def layer(self) -> Any | None:
        """The chosen layer, or None where there is none to choose."""
        return self.currentData()

    def choose(self, layer: Any) -> None:
        """Choose this layer, if it is among the choices."""
        for index in range(self.count()):
            if self.itemData(index) is layer:
                self._wish(layer)
                self.setCurrentIndex(index)

    def paintEvent(self, event: Any) -> None:
        """Leave out the middle of a long name: names of one series differ at their ends."""
        painter, option = QStylePainter(self), QStyleOptionComboBox()
        self.initStyleOption(option)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        style, part = self.style(), QStyle.SubControl.SC_ComboBoxEditField
        if style is not None:
            room = style.subControlRect(QStyle.ComplexControl.CC_ComboBox, option, part, self).width()
            option.currentText = self.fontMetrics().elidedText(option.currentText, Qt.TextElideMode.ElideMiddle, room)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)

    def _on_index(self, _: int) -> None:
        self._say_names()
        self.chosen.emit(self.layer)

    def _say_names(self) -> None:
        """Show the names of the layers, which may be cut, whole in the tooltips."""
        for index in range(self.count()):
            layer = self.itemData(index)
            if layer is not None:
                self.setItemText(index, layer.name)
                self.setItemData(index, layer.name, Qt.ItemDataRole.ToolTipRole)
        self.setToolTip(self._tooltip if self.layer is None else f"{self.layer.name}\n{self._tooltip}")

    def _wish(self, layer: Any) -> None:
        self._wished = ref(layer) if layer is not None else lambda: None

    def _refill(self, event: Any = None) -> None:
        if not isalive(self):
            return
        before = self.layer
        wanted = [layer for layer in self._viewer.layers if self._accepts(layer)]
        with signals_blocked(self):
            self._fill(wanted)
            # The newest layer is most likely the one meant, unless another was chosen.
            new = event.value if event is not None and event.type == "inserted" else None
            wish = self._wished()
            best = max(map(self._rank, wanted), default=0)
            takes = not self._none and wish not in wanted and new in wanted and self._rank(new) == best
            kept = new if takes else before
            likely = max((i for i, one in enumerate(wanted) if self._rank(one) == best), default=-1)
            default = 0 if self._none else likely
            at = next((i for i in range(self.count()) if kept is not None and self.itemData(i) is kept), default)
            self.setCurrentIndex(at)
            self._say_names()
        if self.layer is not before:
            self.chosen.emit(self.layer)

    def _fill(self, layers: list[Any]) -> None:
        self.clear()
        if self._none:
            self.addItem(self._none, None)
        for layer in layers:
            self.addItem(layer.name, layer)
            layer.events.name.disconnect(self._rename)
            layer.events.name.connect(self._rename)

    def _rename(self, event: Any = None) -> None:
        if isalive(self):
            self._say_names()


#: Colours of what the user should not overlook and of errors: on a dark panel, and on a light one.
NOTICE = ("#ffb000", "#8a5a00")
ERROR = ("#ff6b5a", "#b3261e")
_NOTICE_MARK = "class='notice'"


def is_light(widget: QWidget) -> bool:
    """Tell whether the theme has a widget dark on light."""
    return widget.palette().window().color().lightness() > 127


def notice(text: str) -> str:
    """Mark what the user should not overlook, for a `Status`, which colours it to suit the theme."""
    return f"<span {_NOTICE_MARK}>{html.escape(text)}</span>"


class Status(QLabel):
    """Where a widget says what it did, or what went wrong."""

    _text = ""
    _failed = False
    _light: bool | None = None

    def __init__(self) -> None:
        super().__init__("")
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.MinimumExpanding)

    def say(self, text: str) -> None:
        """Show a message."""
        self._text, self._failed = text, False
        self._dress()

    def fail(self, text: str) -> None:
        """Show an error here and among napari's notifications."""
        self._text, self._failed = text, True
        self._dress()
        show_error(text)

    def changeEvent(self, event: Any) -> None:
        """Follow napari's theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and is_light(self) != self._light:
            self._dress()

    def _dress(self) -> None:
        self._light = light = is_light(self)
        # Named, because the tooltip would take the colour too, on a background of its own.
        self.setStyleSheet(f"Status {{ color: {ERROR[light]}; }}" if self._failed else "")
        self.setText(self._text.replace(_NOTICE_MARK, f"style='color:{NOTICE[light]}'"))
        self.setToolTip(self._text)  # a path, which cannot be broken into lines, may be cut off


class _Number(QDoubleSpinBox):
    """A box for a number that is typed with a point or a comma, whatever the language of the computer."""

    def __init__(self) -> None:
        super().__init__()
        # With its own locale Qt takes the other sign for a separator of thousands: 0,25 would become 25.
        self.setLocale(QLocale.c())

    def validate(self, text: str | None, position: int) -> Any:
        core = self._core(text or "")
        if not _SCIENTIFIC.fullmatch(core):
            return super().validate(core + self.suffix(), min(position, len(core)))
        value = _float(core)
        done = value is not None and self.minimum() <= value <= self.maximum()
        state = QValidator.State.Acceptable if done else QValidator.State.Intermediate
        return state, core + self.suffix(), min(position, len(core))

    def valueFromText(self, text: str | None) -> float:
        core = self._core(text or "")
        value = _float(core)
        return float(super().valueFromText(core)) if value is None else value

    def textFromValue(self, value: float) -> str:
        """Leave out zeros at the end, but for one."""
        text = f"{value:.{self.decimals()}f}"
        return re.sub(r"(\.\d+?)0+$", r"\1", text)

    def _core(self, text: str) -> str:
        """Return what was typed or pasted without the unit, with a point, and with no more decimals than there are."""
        special = self.specialValueText()
        if special and text == special:
            return text
        unit = self.suffix().strip()
        # Twice, if a number with its unit was pasted in front of it.
        core = text.strip().removesuffix(unit).strip().removesuffix(unit).strip().replace(",", ".")
        if special and set(core) & set(special):  # typed into the special text
            core = re.sub(r"[^0-9.+-]", "", core)
        whole, point, fraction = core.rpartition(".")
        core = whole.replace(".", "") + point + fraction  # points before the last one part thousands
        return re.sub(rf"^([^e]*\.\d{{{self.decimals()}}})\d+$", r"\1", core)


#: A number with an exponent, or what is going to be one.
_SCIENTIFIC = re.compile(r"[+-]?\d*\.?\d*e[+-]?\d*", re.IGNORECASE)


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def number(value: float, low: float, high: float, *, decimals: int, unit: str, tooltip: str) -> QDoubleSpinBox:
    """Make a spin box for a quantity with a unit."""
    box = _Number()
    box.setDecimals(decimals)
    box.setRange(low, high)
    if decimals > 1:
        box.setStepType(QAbstractSpinBox.StepType.AdaptiveDecimalStepType)
    else:
        box.setSingleStep(0.5)
    box.setValue(value)
    box.setSuffix(f" {unit}" if unit else "")
    box.setToolTip(tooltip)
    return _compact(box)


def whole(value: int, low: int, high: int, *, unit: str, tooltip: str, special: str = "") -> QSpinBox:
    """Make a spin box for a whole number; `special` is shown instead of the lowest value."""
    box = QSpinBox()
    box.setRange(low, high)
    box.setValue(value)
    box.setSuffix(f" {unit}" if unit else "")
    box.setSpecialValueText(special)
    box.setToolTip(tooltip)
    return _compact(box)


def _compact(box: Any) -> Any:
    """Let a spin box shrink with its panel, and report what was typed when it is complete."""
    box.setKeyboardTracking(False)
    box.setMinimumWidth(64)
    leave_wheel_to_panel(box)
    return box


def choice(options: dict[str, Any], value: Any, tooltip: str) -> QComboBox:
    """Make a combo box from labels and the values they stand for."""
    box = QComboBox()
    for label, item in options.items():
        box.addItem(label, item)
    box.setCurrentIndex(max(box.findData(value), 0))
    # Never so narrow that a word is cut: what stands beside it has to shrink.
    box.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Fixed)
    box.setToolTip(tooltip)
    leave_wheel_to_panel(box)
    return box


def form() -> QFormLayout:
    """Make a compact form."""
    layout = QFormLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setVerticalSpacing(4)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    return layout


#: Of a panel, in pixels; docks beside the image should not take its room.
WIDTH = 340


class Panel(QScrollArea):
    """Base of the dock widgets: a column that scrolls where the window is too low for it."""

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self._viewer = unwrapped(viewer)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._inside = QWidget()
        self.column = QVBoxLayout(self._inside)
        self.column.setContentsMargins(6, 6, 6, 6)
        self.column.setSpacing(6)
        self.setWidget(self._inside)

    def sizeHint(self) -> QSize:
        """Ask for the room the column needs, where a scroll area would ask for little."""
        return QSize(self.minimumSizeHint().width(), self._inside.sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        """Never be too narrow for the column, with the bar beside it: there is no scrolling to the side."""
        bar = self.verticalScrollBar()
        inside = self._inside.minimumSizeHint().width() + (bar.sizeHint().width() if bar is not None else 0)
        return QSize(max(WIDTH, inside), super().minimumSizeHint().height())
