"""A control that chooses one of the viewer's layers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from weakref import ref

from qtpy.compat import isalive
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QSizePolicy, QStyle, QStyleOptionComboBox, QStylePainter
from superqt.utils import signals_blocked

from napari_colloids.widgets.parts.own_control import OwnControl, wrapped

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Unpack

    from napari.components import ViewerModel
    from napari.layers import Layer
    from napari.utils.events import Event
    from qtpy.QtGui import QPaintEvent

    from napari_colloids.widgets.parts.own_control import About


class ElidedCombo(QComboBox):
    """Combo box that may be narrower than its lines, and leaves out the middle of one: names differ at their ends."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the chosen line without its middle where there is no room for all of it."""
        painter, option = QStylePainter(self), QStyleOptionComboBox()
        self.initStyleOption(option)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        style, part = self.style(), QStyle.SubControl.SC_ComboBoxEditField
        if style is not None:
            room = style.subControlRect(QStyle.ComplexControl.CC_ComboBox, option, part, self).width()
            option.currentText = self.fontMetrics().elidedText(option.currentText, Qt.TextElideMode.ElideMiddle, room)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)


class LayerCombo(ElidedCombo):
    """Combo box of layers that follows the layer list, renames included (see `LayerChoice`)."""

    chosen = Signal(object)

    def __init__(
        self,
        viewer: ViewerModel,
        accepts: Callable[[Layer], bool],
        tooltip: str,
        none: str,
        rank: Callable[[Layer], int],
        *,
        follows: bool,
    ) -> None:
        super().__init__()
        self._none = none
        #: The layer that napari has selected itself, as it was just added.
        self._added: Callable[[], Layer | None] = lambda: None
        self._rank = rank
        self._tooltip = wrapped(tooltip)
        self._wished: Callable[[], Layer | None] = lambda: None  # a weak reference: a removed layer is to be freed
        self._viewer = viewer
        self._accepts = accepts
        for event in (viewer.layers.events.inserted, viewer.layers.events.removed, viewer.layers.events.reordered):
            event.connect(self._refill)
        self.currentIndexChanged.connect(self._on_index)
        self.activated.connect(lambda _: self._wish(self.layer()))
        if follows:
            viewer.layers.selection.events.active.connect(self._on_active)
        self._refill()

    def layer(self) -> Layer | None:
        """Return the chosen layer, or None where there is none to choose."""
        layer: Layer | None = self.currentData()
        return layer

    def choose(self, layer: Layer | None) -> None:
        """Choose this layer, if it is among the choices."""
        for index in range(self.count()):
            if self.itemData(index) is layer:
                self._wish(layer)
                self.setCurrentIndex(index)

    def _on_active(self, event: Event) -> None:
        """Choose the layer that the user selects in napari's list, where it is among the choices."""
        if not isalive(self) or event.value is None or event.value is self._added():
            return
        self._added = lambda: None
        self.choose(event.value)

    def _on_index(self, _: int) -> None:
        self.show_names()
        self.chosen.emit(self.layer())

    def show_names(self) -> None:
        """Show the names of the layers, which may be cut, whole in the tooltips."""
        for index in range(self.count()):
            layer = self.itemData(index)
            if layer is not None:
                self.setItemText(index, layer.name)
                self.setItemData(index, layer.name, Qt.ItemDataRole.ToolTipRole)
        chosen = self.layer()
        self.setToolTip(self._tooltip if chosen is None else f"{chosen.name}\n{self._tooltip}")

    def _wish(self, layer: Layer | None) -> None:
        self._wished = ref(layer) if layer is not None else lambda: None

    def _refill(self, event: Event | None = None) -> None:
        if not isalive(self):
            return
        before = self.layer()
        wanted = [layer for layer in self._viewer.layers if self._accepts(layer)]
        with signals_blocked(self):
            self._fill(wanted)
            # The newest layer is most likely the one meant, unless another was chosen.
            new = event.value if event is not None and event.type == "inserted" else None
            self._added = ref(new) if new is not None else lambda: None
            wish = self._wished()
            best = max(map(self._rank, wanted), default=0)
            takes = not self._none and wish not in wanted and new in wanted and self._rank(new) == best
            kept = new if takes else before
            likely = max((i for i, one in enumerate(wanted) if self._rank(one) == best), default=-1)
            default = 0 if self._none else likely
            at = next((i for i in range(self.count()) if kept is not None and self.itemData(i) is kept), default)
            self.setCurrentIndex(at)
            self.show_names()
        if self.layer() is not before:
            self.chosen.emit(self.layer())

    def _fill(self, layers: list[Layer]) -> None:
        self.clear()
        if self._none:
            self.addItem(self._none, None)
        for layer in layers:
            self.addItem(layer.name, layer)
            layer.events.name.disconnect(self._rename)
            layer.events.name.connect(self._rename)

    def _rename(self, event: Event | None = None) -> None:
        if isalive(self):
            self.show_names()


class LayerChoice(OwnControl["Layer | None"]):
    """One of the layers that a function accepts: the newest of the highest rank, unless another is chosen.

    `purpose` is the tooltip, below the name of the layer. `none` are words for "no layer", which come first and are
    chosen unless the user chooses a layer. One that `follows` takes the layer that is selected in napari's list.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        accepts: Callable[[Layer], bool],
        purpose: str,
        none: str = "",
        rank: Callable[[Layer], int] = lambda layer: 0,
        *,
        follows: bool = False,
        **about: Unpack[About],
    ) -> None:
        make = partial(LayerCombo, viewer, accepts, purpose, none, rank, follows=follows)
        super().__init__(make, "layer", "choose", "chosen", **about)
        self.native.show_names()  # magicgui has set a tooltip of its own
