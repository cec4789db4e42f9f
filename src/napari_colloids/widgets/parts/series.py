"""Which part of a file: series, channel, frames, and the axes where the file does not say them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtGui import QStandardItemModel
from qtpy.QtWidgets import QComboBox, QFormLayout, QHBoxLayout, QLineEdit, QSizePolicy
from superqt.utils import signals_blocked

from napari_colloids.io.axes import suggested_axes
from napari_colloids.widgets.parts.controls import whole
from napari_colloids.widgets.parts.wheel import leave_wheel_to_panel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_colloids.io import Series


@dataclass(frozen=True)
class SeriesChoice:
    """What to read of a file.

    Attributes
    ----------
    index
        Which series, from 0.
    axes
        What its dimensions are, where the user says it.
    channel
        Which channel, or None for all.
    frames
        The first frame and the last, or None for all.
    """

    index: int = 0
    axes: str | None = None
    channel: int | None = None
    frames: tuple[int, int] | None = None


def described(series: Series, number: int) -> str:
    """Describe a series in a few words: name, shape, axes and voxel size."""
    size = series.voxel_size
    sizes = "" if size is None else ", {:.3g} x {:.3g} x {:.3g} µm".format(*size)
    return f"{series.name or f'series {number}'}: {' x '.join(map(str, series.shape))} {series.axes}{sizes}"


class SeriesPicker(QObject):
    """The rows of a form that choose what of a file is loaded."""

    #: Emitted when another series is chosen.
    changed = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._found: Sequence[Series] = ()
        self._numbered = False
        self.series = _compact_combo("Which series of the file. Those that are no 3D stacks cannot be chosen.")
        self.index = whole(
            0, 0, 0, unit="", tooltip="Which volume of the file (from 0); challenge HDF5 files hold many."
        )
        self.channel = _compact_combo("Channel to load; each gets a layer of its own.")
        self.first = whole(0, 0, 0, unit="", tooltip="First frame of a series in time to load (from 0).")
        self.last = whole(0, 0, 0, unit="", tooltip="Last frame of a series in time to load.")
        self.axes = QLineEdit()
        self.axes.setPlaceholderText("from the file")
        self.axes.setToolTip(
            "What the dimensions are, from the slowest to the fastest: t (time), c (channel), z, y, x. "
            "Only asked for where the file does not say it clearly; what is filled in is a suggestion."
        )
        self.series.currentIndexChanged.connect(self._on_chosen)
        self.index.valueChanged.connect(self._on_chosen)
        self.axes.textChanged.connect(self._refresh)
        self.first.valueChanged.connect(self.last.setMinimum)
        self.index.hide()
        self._on_chosen()

    def add_rows(self, rows: QFormLayout) -> None:
        """Add what there is to choose to a form."""
        which, frames = QHBoxLayout(), QHBoxLayout()
        which.addWidget(self.series)
        which.addWidget(self.index)
        frames.addWidget(self.first)
        frames.addWidget(self.last)
        rows.addRow("Series", which)
        rows.addRow("Axes", self.axes)
        rows.addRow("Channel", self.channel)
        rows.addRow("Frames from, to", frames)

    def show(self, found: Sequence[Series]) -> None:
        """Offer what a file holds; the first series that can be read is chosen."""
        self._found = found
        self._numbered = len(found) > 1 and all(series.name.isdigit() for series in found)
        self.series.setVisible(not self._numbered)
        self.index.setVisible(self._numbered)
        with signals_blocked(self.series), signals_blocked(self.index):
            self._fill(found)
        self.series.setEnabled(len(found) > 1)
        self.index.setEnabled(self._numbered)
        self._on_chosen()

    def _fill(self, found: Sequence[Series]) -> None:
        self.series.clear()
        for number, series in enumerate(found):
            self.series.addItem(described(series, number))
            self.series.setItemData(number, series.problem or described(series, number), Qt.ItemDataRole.ToolTipRole)
            if series.problem and not _suggestion(series):
                _disable(self.series, number)
        readable = (number for number, series in enumerate(found) if not series.problem)
        askable = (number for number, series in enumerate(found) if _suggestion(series))
        start = next(readable, next(askable, -1))
        self.series.setCurrentIndex(start)
        self.index.setMaximum(max(len(found) - 1, 0))
        self.index.setSuffix(f" of {len(found)}")
        self.index.setValue(max(start, 0))

    @property
    def current(self) -> Series | None:
        """The chosen series, or None where there is none that can be read."""
        number = self._number()
        return self._found[number] if 0 <= number < len(self._found) else None

    def choice(self) -> SeriesChoice:
        """Return what is chosen."""
        frames = (self.first.value(), self.last.value())
        return SeriesChoice(
            max(self._number(), 0),
            (self.axes.text().strip() or None) if self.axes.isEnabled() else None,
            self.channel.currentData(),
            None if frames == (0, self.last.maximum()) else frames,
        )

    def _number(self) -> int:
        return self.index.value() if self._numbered else self.series.currentIndex()

    def _on_chosen(self) -> None:
        series = self.current
        suggestion = _suggestion(series) if series is not None else ""
        self.axes.setEnabled(bool(suggestion))
        self.axes.setText(suggestion)
        self._refresh()
        self.changed.emit()

    def _refresh(self) -> None:
        """Offer the channels and frames that there are with these axes."""
        series = self.current
        axes = (self.axes.text() if self.axes.isEnabled() else series.axes if series else "").lower()
        lengths = dict(zip(axes, series.shape, strict=False)) if series else {}
        channels, frames = lengths.get("c", 1), lengths.get("t", 1)
        names = series.channel_names if series is not None and len(series.channel_names) == channels else ()
        self.channel.clear()
        self.channel.addItem("all", None)
        if channels > 1:
            for number in range(channels):
                self.channel.addItem(names[number] if names else f"channel {number}", number)
        self.channel.setEnabled(channels > 1)
        for box, value in ((self.first, 0), (self.last, frames - 1)):
            box.setRange(0, frames - 1)
            box.setValue(value)
            box.setEnabled(frames > 1)


def _suggestion(series: Series) -> str:
    """Return the axes that may be meant where those of the file make no stack; empty where there are none."""
    if not series.problem:
        return ""
    suggestion = suggested_axes(series.axes, series.shape)
    return suggestion if suggestion != series.axes.lower() else ""


def _disable(box: QComboBox, number: int) -> None:
    """Show a choice that cannot be made."""
    model = box.model()
    item = model.item(number) if isinstance(model, QStandardItemModel) else None
    if item is not None:
        item.setEnabled(False)


def _compact_combo(tooltip: str) -> QComboBox:
    """Make a combo box that is not as wide as the longest of its lines."""
    box = QComboBox()
    box.setToolTip(tooltip)
    leave_wheel_to_panel(box)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(12)
    box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return box
