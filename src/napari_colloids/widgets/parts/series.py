"""Controls that choose a part of a file: series, channel, frames, and the axes where the file does not say them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from magicgui.widgets import LineEdit
from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtGui import QStandardItemModel
from superqt.utils import signals_blocked

from napari_colloids.io.axes import suggested_axes
from napari_colloids.widgets.parts.controls import Row, beside
from napari_colloids.widgets.parts.layer_choice import ElidedCombo
from napari_colloids.widgets.parts.number_box import NumberBox
from napari_colloids.widgets.parts.own_control import OwnControl

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    from qtpy.QtWidgets import QComboBox

    from napari_colloids.io import Series
    from napari_colloids.widgets.parts.own_control import About


class SeriesChoice(TypedDict):
    """Part of a file to read, as `reader.load` takes it."""

    index: int
    axes: str | None
    channel: int | None
    frames: tuple[int, int] | None


def described(series: Series, number: int) -> str:
    """Describe a series in a few words: name, shape, axes and voxel size."""
    size = series.voxel_size
    sizes = "" if size is None else ", {:.3g} x {:.3g} x {:.3g} µm".format(*size)
    return f"{series.name or f'series {number}'}: {' x '.join(map(str, series.shape))} {series.axes}{sizes}"


class LineChoice(OwnControl[int]):
    """The number of one of several lines, which may be alike; -1 for none."""

    def __init__(self, **about: Unpack[About]) -> None:
        super().__init__(ElidedCombo, "currentIndex", "setCurrentIndex", "currentIndexChanged", **about)

    def show_lines(self, lines: Sequence[str]) -> None:
        """Offer these lines; the first is chosen."""
        with signals_blocked(self.native):
            self.native.clear()
            self.native.addItems(lines)


class SeriesPicker(QObject):
    """The rows of a form that choose what of a file is loaded."""

    #: Emitted when another series is chosen.
    changed = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._found: Sequence[Series] = ()
        self._numbered = False
        self.series = LineChoice(
            label="Series", tooltip="Which series of the file. Those that are no 3D stacks cannot be chosen."
        )
        self.index = NumberBox(
            0, 0, 0, decimals=0, tooltip="Which volume of the file (from 0); challenge HDF5 files hold many."
        )
        self.channel = LineChoice(label="Channel", tooltip="Channel to load; each gets a layer of its own.")
        self.frames = Row(
            [NumberBox(0, 0, 0, decimals=0, tooltip=f"{which} frame to load (from 0).") for which in ("First", "Last")],
            label="Frames",
        )
        self.axes = LineEdit(
            label="Axes",
            tooltip="What the dimensions are, from the slowest to the fastest: t (time), c (channel), z, y, x. "
            "Only asked for where the file does not say it clearly; what is filled in is a suggestion.",
        )
        self.axes.native.setPlaceholderText("from the file")
        self.rows = [beside(self.series, self.index), self.axes, self.channel, self.frames]
        self.series.changed.connect(self._on_chosen)
        self.index.changed.connect(self._on_chosen)
        self.axes.changed.connect(self._refresh)
        first, last = self.frames.parts()
        first.changed.connect(lambda value: last.native.setMinimum(value))
        self.index.visible = False
        self._on_chosen()

    def show(self, found: Sequence[Series]) -> None:
        """Offer what a file holds; the first series that can be read is chosen."""
        self._found = found
        self._numbered = len(found) > 1 and all(series.name.isdigit() for series in found)
        self.series.visible = not self._numbered
        self.index.visible = self._numbered
        with self.series.changed.blocked(), self.index.changed.blocked():
            self._fill(found)
        self.series.enabled = len(found) > 1
        self.index.enabled = self._numbered
        self._on_chosen()

    def _fill(self, found: Sequence[Series]) -> None:
        self.series.show_lines([described(series, number) for number, series in enumerate(found)])
        for number, series in enumerate(found):
            tip = series.problem or described(series, number)
            self.series.native.setItemData(number, tip, Qt.ItemDataRole.ToolTipRole)
            if series.problem and not _suggestion(series):
                _disable(self.series.native, number)
        readable = (number for number, series in enumerate(found) if not series.problem)
        askable = (number for number, series in enumerate(found) if _suggestion(series))
        start = next(readable, next(askable, -1))
        self.series.value = start
        self.index.limit(0, max(len(found) - 1, 0))
        self.index.set_unit(f"of {len(found)}")
        self.index.value = max(start, 0)

    @property
    def current(self) -> Series | None:
        """The chosen series, or None where there is none that can be read."""
        number = self._number()
        return self._found[number] if 0 <= number < len(self._found) else None

    def choice(self) -> SeriesChoice:
        """Return what is chosen."""
        channel = self.channel.value - 1  # after "all"
        return {
            "index": max(self._number(), 0),
            "axes": (self.axes.value.strip() or None) if self.axes.enabled else None,
            "channel": None if channel < 0 else channel,
            "frames": None if self.frames.value == (0, self.frames.high) else self.frames.value,
        }

    def _number(self) -> int:
        return int((self.index if self._numbered else self.series).value or 0)

    def _on_chosen(self) -> None:
        series = self.current
        suggestion = _suggestion(series) if series is not None else ""
        self.axes.enabled = bool(suggestion)
        self.axes.value = suggestion
        self._refresh()
        self.changed.emit()

    def _refresh(self) -> None:
        """Offer the channels and frames that there are with these axes."""
        series = self.current
        axes = (self.axes.value if self.axes.enabled else series.axes if series else "").lower()
        lengths = dict(zip(axes, series.shape, strict=False)) if series else {}
        channels, frames = lengths.get("c", 1), lengths.get("t", 1)
        names = series.channel_names if series is not None and len(series.channel_names) == channels else ()
        each = [names[number] if names else f"channel {number}" for number in range(channels)] if channels > 1 else []
        self.channel.show_lines(["all", *each])
        self.channel.enabled = channels > 1
        self.frames.limit(0, frames - 1)
        self.frames.value = (0, frames - 1)
        self.frames.enabled = frames > 1


def _suggestion(series: Series) -> str:
    """Return the axes that may be meant where those of the file make no stack; empty where there are none."""
    if not series.problem:
        return ""
    suggestion = suggested_axes(series.axes, series.shape)
    return suggestion if suggestion != series.axes.lower() else ""


def _disable(box: QComboBox, number: int) -> None:
    """Show a line that cannot be chosen."""
    model = box.model()
    item = model.item(number) if isinstance(model, QStandardItemModel) else None
    if item is not None:
        item.setEnabled(False)
