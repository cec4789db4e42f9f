"""The particles of a layer as a Qt model: rows are sorted and filtered as arrays; cells are made when seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt

from napari_colloids.widgets.layers.quantities import quantities_of, values_of
from napari_colloids.widgets.parts.own_control import wrapped

if TYPE_CHECKING:
    from napari.layers import Points
    from numpy.typing import NDArray

    from napari_colloids.widgets.layers.quantities import Quantity

    Indices = NDArray[np.intp]

_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
_NOWHERE = QModelIndex()


class ParticleModel(QAbstractTableModel):
    """A row for each point of a layer that is on show and matches the filter, a column for each quantity."""

    def __init__(self) -> None:
        super().__init__()
        self.quantities: list[Quantity] = []
        #: The columns by name, in the units that they are shown in.
        self.columns: dict[str, NDArray[np.generic]] = {}
        #: The points in the rows, from top to bottom.
        self.rows: Indices = np.empty(0, np.intp)
        #: The number of points of the layer, hidden ones included.
        self.count = 0
        self._mask: NDArray[np.bool_] | None = None
        self._row_of: Indices = np.empty(0, np.intp)
        self._sorted_by: tuple[str, bool] | None = None
        self._orders: dict[str, Indices] = {}

    def read(self, layer: Points | None) -> None:
        """Take the points of a layer, with the order of the rows as it was where the column is there."""
        quantities = {} if layer is None else quantities_of(layer)
        columns = {}
        for name, quantity in quantities.items():
            values = values_of(layer, name)
            columns[name] = values.astype(float) * quantity.factor if quantity.factor != 1 else values
        self.beginResetModel()
        self.quantities, self.columns = list(quantities.values()), columns
        self.count = 0 if layer is None else len(layer.data)
        self._mask, self._orders = None, {}
        self._fill()
        self.endResetModel()

    def show_only(self, mask: NDArray[np.bool_] | None) -> None:
        """Show the points of a mask ``(N,)``, or all of them."""
        self.beginResetModel()
        self._mask = mask
        self._fill()
        self.endResetModel()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column, the unknown last; a negative one brings back the order of the layer."""
        self.beginResetModel()
        name = self.quantities[column].name if 0 <= column < len(self.quantities) else ""
        self._sorted_by = (name, order == Qt.SortOrder.AscendingOrder) if name else None
        self._fill()
        self.endResetModel()

    def rows_of(self, points: Indices) -> Indices:
        """Return the rows that these points are in, rising; those that are in none are left out."""
        points = points[points < self.count]
        rows = self._row_of[points]
        return np.sort(rows[rows >= 0])

    def _fill(self) -> None:
        """Put the points that are shown into rows."""
        order = self._sorted()
        self.rows = order if self._mask is None else order[self._mask[order]]
        self._row_of = np.full(self.count, -1, np.intp)
        self._row_of[self.rows] = np.arange(len(self.rows))

    def _sorted(self) -> Indices:
        name, rising = self._sorted_by or ("", True)
        values = self.columns.get(name)
        if values is None:
            return np.arange(self.count)
        if name not in self._orders:
            # A stable sort takes five times as long, which matters only where many values are equal.
            self._orders[name] = np.argsort(values, kind=None if values.dtype.kind == "f" else "stable")
        order = self._orders[name]
        if rising:
            return order
        unknown = int(np.isnan(values).sum()) if values.dtype.kind == "f" else 0
        numbers = len(order) - unknown
        return np.concatenate([order[:numbers][::-1], order[numbers:]])

    def rowCount(self, parent: QModelIndex = _NOWHERE) -> int:
        """Return the number of particles shown."""
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: QModelIndex = _NOWHERE) -> int:
        """Return the number of quantities."""
        return 0 if parent.isValid() else len(self.quantities)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """Return the text of a cell."""
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _RIGHT
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        quantity = self.quantities[index.column()]
        return quantity.text(self.columns[quantity.name][self.rows[index.row()]])

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """Return the titles of the columns with their units, their tooltips, and the numbers of the points."""
        if orientation == Qt.Orientation.Vertical:
            return str(self.rows[section]) if role == Qt.ItemDataRole.DisplayRole else None
        quantity = self.quantities[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return quantity.title
        if role == Qt.ItemDataRole.ToolTipRole:
            return wrapped(f"{quantity.name}: {quantity.doc}")
        return None
