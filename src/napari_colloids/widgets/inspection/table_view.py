"""The particle table on the screen: rows that are chosen with the mouse or the keys, and rows of selected points."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QItemSelection, QItemSelectionModel, QItemSelectionRange, Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from napari_colloids.widgets.inspection.table_model import ParticleModel

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from qtpy.QtCore import QModelIndex
    from qtpy.QtGui import QKeyEvent, QMouseEvent

    Indices = NDArray[np.intp]

#: Height of a row and of the table, and what a column is wider than its text, in pixels.
_ROW_PX, _HEIGHT_PX, _CELL_MARGINS_PX = 20, 170, 12
#: napari's own padding would leave room for three columns.
_STYLE = "QTableView { font-size: 11px; } QHeaderView::section { padding: 1px 4px; font-size: 11px; }"
#: Rows from which the widths of the columns are taken.
_SAMPLED_ROWS = 50
#: Runs of neighbouring rows that are marked at most: Qt compares each with all others.
_MAX_RUNS = 500


class ParticleView(QTableView):
    """A table of particles; `model` holds them."""

    #: The point in the row that the user went to.
    visited = Signal(int)
    #: The points in all rows that the user selected.
    selected = Signal(object)
    #: The user wants what is selected deleted.
    deleted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.particles = ParticleModel()
        self.setModel(self.particles)
        self.setFixedHeight(_HEIGHT_PX)
        self.setStyleSheet(_STYLE)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setWordWrap(False)
        self.setToolTip("A click goes to the particle. A click on a title sorts. Delete removes the selected ones.")
        numbers, titles = QHeaderView(Qt.Orientation.Vertical), QHeaderView(Qt.Orientation.Horizontal)
        for header in (numbers, titles):
            header.setMinimumSectionSize(_ROW_PX)
            header.setSectionsClickable(True)
        numbers.setDefaultSectionSize(_ROW_PX)
        numbers.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        titles.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        titles.setSortIndicatorClearable(True)
        self.setVerticalHeader(numbers)
        self.setHorizontalHeader(titles)
        self.setSortingEnabled(True)
        self._selection = QItemSelectionModel(self.particles)
        self.setSelectionModel(self._selection)
        #: Whether what is selected comes from the layer, and is not to be told to it.
        self._marking = False
        #: Whether the click that is under way has gone to a particle.
        self._went = False
        self._selection.selectionChanged.connect(self._on_selection)
        self._selection.currentChanged.connect(self._on_current)
        self.clicked.connect(self._on_clicked)
        self._marked: Indices = np.empty(0, np.intp)
        self.particles.modelReset.connect(lambda: self.mark(self._marked))  # which the reset has forgotten

    def mark(self, points: Indices) -> None:
        """Select the rows of these points, and scroll to the first of them, without saying so."""
        self._marked = points
        model, rows = self.particles, self.particles.rows_of(points)
        chosen = QItemSelection()
        if len(rows):
            starts = np.flatnonzero(np.diff(rows, prepend=-2) > 1)
            ends = np.append(starts[1:], len(rows)) - 1
            last = model.columnCount() - 1
            for first, end in zip(rows[starts][:_MAX_RUNS].tolist(), rows[ends][:_MAX_RUNS].tolist(), strict=True):
                chosen.append(QItemSelectionRange(model.index(first, 0), model.index(end, last)))
        self._marking = True
        try:
            flags = QItemSelectionModel.SelectionFlag
            if len(rows):
                here = model.index(int(rows[0]), max(self.currentIndex().column(), 0))
                self._selection.setCurrentIndex(here, flags.NoUpdate)
                self.scrollTo(here)
            self._selection.select(chosen, flags.ClearAndSelect)
        finally:
            self._marking = False

    def fit_columns(self) -> None:
        """Make the columns as wide as their titles and their first numbers; Qt would add room for an arrow."""
        model, letters = self.particles, self.fontMetrics()
        rows = range(min(len(model.rows), _SAMPLED_ROWS))
        for column, quantity in enumerate(model.quantities):
            texts = [quantity.title, *(str(model.data(model.index(row, column))) for row in rows)]
            self.setColumnWidth(column, max(map(letters.horizontalAdvance, texts)) + _CELL_MARGINS_PX)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Delete the selected particles, and leave letters to the shortcuts."""
        if event is None:
            return
        if event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.deleted.emit()
        elif event.text().isalpha() and not event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            event.ignore()
        else:
            super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Begin a click."""
        self._went = False
        super().mousePressEvent(event)

    def _on_selection(self) -> None:
        if self._marking:
            return
        rows = self.particles.rows
        runs = self._selection.selection()
        parts = [rows[runs[i].top() : runs[i].bottom() + 1] for i in range(len(runs))]
        self._marked = np.unique(np.concatenate(parts)) if parts else np.empty(0, np.intp)
        self.selected.emit(self._marked)

    def _on_current(self, current: QModelIndex, before: QModelIndex) -> None:
        if not self._marking and current.isValid() and current.row() != before.row():
            self._went = True
            self.visited.emit(int(self.particles.rows[current.row()]))

    def _on_clicked(self, index: QModelIndex) -> None:
        """Go back to a particle whose row is the current one already."""
        if not self._went:
            self.visited.emit(int(self.particles.rows[index.row()]))
