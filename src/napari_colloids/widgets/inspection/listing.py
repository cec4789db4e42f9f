"""The list of the particles of a layer: filter, table and count, in step with the layer and its selection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from magicgui.widgets import CheckBox
from qtpy.compat import isalive
from qtpy.QtCore import QStringListModel, Qt, QTimer, Signal
from qtpy.QtWidgets import QCompleter, QLineEdit, QVBoxLayout, QWidget

from napari_colloids.errors import ColloidsError
from napari_colloids.particles import WHOLE
from napari_colloids.widgets.inspection.filters import matching
from napari_colloids.widgets.inspection.table_view import ParticleView
from napari_colloids.widgets.parts.own_control import wrapped
from napari_colloids.widgets.parts.panel import across
from napari_colloids.widgets.parts.status import Status, notice

if TYPE_CHECKING:
    from napari.layers import Points
    from napari.utils.events import Event
    from numpy.typing import NDArray
    from qtpy.QtGui import QShowEvent

#: Time (ms) in which changes of a layer are gathered before the table follows.
_GATHERING_MS = 20
_NOTHING = "no points: detect particles, or open a table"


class ParticleList(QWidget):
    """Lists the points of one layer, and selects in the layer what is selected here, and the other way round."""

    #: The user went to the row of this point.
    visited = Signal(int)
    #: Other points are listed, or their values have changed.
    changed = Signal()
    #: The columns, or their values, have changed, but not only which points are listed.
    read = Signal()
    #: Other points were selected in the layer.
    selection = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._layer: Points | None = None
        self._shown: NDArray[np.bool_] = np.empty(0, bool)
        self._stale = False
        self._telling = False
        self._titles: list[str] = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_GATHERING_MS)
        self._timer.timeout.connect(self.catch_up)
        self.filter = QLineEdit()
        self.filter.setPlaceholderText("filter: confidence < 0.5 and 3 < z < 7")
        self.filter.setClearButtonEnabled(True)
        self._completions = QStringListModel()
        completer = QCompleter(self._completions)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.filter.setCompleter(completer)
        self.hidden = CheckBox(text="hidden, too", tooltip="List the points that the threshold hides as well.")
        self.table = ParticleView()
        self.count = Status()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        top = across(self.filter, self.hidden.native)
        top.setStretch(0, 1)
        column.addLayout(top)
        column.addWidget(self.table)
        column.addWidget(self.count)
        self.filter.textChanged.connect(self._on_filter)
        self.hidden.changed.connect(self._on_filter)
        self.table.visited.connect(self.visited)
        self.table.selected.connect(self._on_rows)
        self.table.deleted.connect(self._on_delete)
        self.follow(None)

    @property
    def layer(self) -> Points | None:
        """The layer whose points are listed."""
        return self._layer

    def follow(self, layer: Points | None) -> None:
        """List the points of this layer from now on."""
        for connected, sources in ((False, self._sources(self._layer)), (True, self._sources(layer))):
            for event, callback in sources:
                (event.connect if connected else event.disconnect)(callback)
        self._layer = layer
        self._stale = True
        self.catch_up()

    def _sources(self, layer: Points | None):  # type: ignore[no-untyped-def]
        if layer is None:
            return []
        events = layer.events
        return [
            *((event, self._on_values) for event in (events.data, events.features, events.scale, events.units)),
            (events.set_data, self._on_drawn),
            (layer.selected_data.events.items_changed, self._on_selected),
        ]

    def listed(self) -> NDArray[np.intp]:
        """Return the points in the table, from top to bottom."""
        return self.table.particles.rows

    def _on_values(self, event: Event | None = None) -> None:
        self._stale = True
        self._later()

    def _on_drawn(self, event: Event | None = None) -> None:
        """Follow the threshold; napari tells of no other event than that the points are drawn anew."""
        if self._layer is not None and not np.array_equal(self._layer.shown, self._shown):
            self._later()

    def _later(self) -> None:
        if isalive(self):
            self._timer.start()

    def showEvent(self, event: QShowEvent | None) -> None:
        """Catch up with what has changed while the table was out of sight."""
        super().showEvent(event)
        self.catch_up()

    def catch_up(self) -> None:
        """Read the layer where it has changed, and list what is to be listed now."""
        if not self.isVisible() and self._layer is not None:
            return
        stale, self._stale = self._stale, False
        layer = self._layer
        if stale:
            self.table.particles.read(layer)
            titles = [quantity.title for quantity in self.table.particles.quantities]
            if titles != self._titles:
                self._titles = titles
                self.table.fit_columns()
                self._offer_completions()
        elif layer is not None and np.array_equal(layer.shown, self._shown):
            return
        self._list()
        if stale:
            self.read.emit()

    def _offer_completions(self) -> None:
        names = self.table.particles.columns
        self._completions.setStringList([f"{name} = 0" if name in WHOLE else f"{name} < " for name in names])
        examples = "confidence < 0.5 and 3 < z < 7; refined = 0"
        self.filter.setToolTip(wrapped(f"List only particles such as: {examples}. Columns: {', '.join(names)}."))

    def _on_filter(self) -> None:
        self._list()

    def _list(self) -> None:
        layer, model = self._layer, self.table.particles
        if layer is None:
            self._shown = np.empty(0, bool)
            self.count.say(_NOTHING)
            self.changed.emit()
            return
        self._shown = np.array(layer.shown, dtype=bool)
        if len(self._shown) != model.count:  # between two events of an edit
            return
        mask = None if self.hidden.value or self._shown.all() else self._shown
        try:
            found = matching(self.filter.text(), model.columns)
        except ColloidsError as error:
            self.count.say(notice(str(error)))
            return
        if found is not None:
            mask = found if mask is None else mask & found
        model.show_only(mask)
        self._mark()
        self._tell_count()
        self.changed.emit()

    def _tell_count(self) -> None:
        layer = self._layer
        if layer is not None:
            selected = f", {len(layer.selected_data)} selected" if layer.selected_data else ""
            self.count.say(f"{len(self.listed())} of {len(layer.data)} points listed{selected}")

    def _on_selected(self, *changes: object) -> None:
        if isalive(self) and not self._telling:
            self._mark()
            self._tell_count()
            self.selection.emit()

    def _mark(self) -> None:
        if self._layer is not None:
            self.table.mark(np.fromiter(self._layer.selected_data, dtype=np.intp))

    def _on_rows(self, points: NDArray[np.intp]) -> None:
        if self._layer is None:
            return
        self._telling = True
        try:
            self._layer.selected_data = set(points.tolist())
        finally:
            self._telling = False
        self._tell_count()

    def _on_delete(self) -> None:
        if self._layer is not None:
            self._layer.remove_selected()
