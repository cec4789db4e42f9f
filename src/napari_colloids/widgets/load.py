"""The Load widget: a file, which part of it, and the voxel size where the file has none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Points
from qtpy.QtCore import QUrl
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QPushButton

from napari_colloids.errors import ColloidsError
from napari_colloids.io import STACK_ENDINGS
from napari_colloids.io.axes import UNLABELLED
from napari_colloids.io.format import dialog_filter
from napari_colloids.io.formats.registry import STACK_FORMATS
from napari_colloids.widgets.layers import layers, reader
from napari_colloids.widgets.layers.spheres import add_layer
from napari_colloids.widgets.parts.controls import Panel, Status, form, number
from napari_colloids.widgets.parts.run_button import RunButton
from napari_colloids.widgets.parts.series import SeriesChoice, SeriesPicker
from napari_colloids.widgets.parts.task import Task, call

if TYPE_CHECKING:
    import napari

    from napari_colloids.io import Series
    from napari_colloids.stack import VoxelSize
    from napari_colloids.widgets.parts.task import Work

FILTER = f"Stacks ({' '.join(f'*{ending}' for ending in STACK_ENDINGS)});;{dialog_filter(STACK_FORMATS)};;All files (*)"


class LoadWidget(Panel):
    """Opens a stack, to scale, with its true particles where the file has them."""

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__(napari_viewer)
        self._looking = Task(self, "Looking at the file")
        self._stale = False
        self._found: _FileContents | None = None
        self.path = QLineEdit()
        self.path.setPlaceholderText(f"{', '.join(form.label for form in STACK_FORMATS[:4])}…")
        self.path.setToolTip(f"Stack to load: {', '.join(STACK_ENDINGS)} (a folder).")
        self.browse = QPushButton("Browse…")
        self.browse.setToolTip("Choose a file.")
        self.folder = QPushButton("Folder…")
        self.folder.setToolTip("Choose a Zarr folder.")
        self.picker = SeriesPicker(self)
        tip = "Edge of a voxel along {} in micrometres (µm). Type it where the file does not say."
        self.voxel_size = [
            number(0.0, 0.0, 1000.0, decimals=6, unit="µm", tooltip=tip.format(axis)) for axis in ("z", "y", "x")
        ]
        for box in self.voxel_size:
            box.setSpecialValueText("unknown")
        self.depth_factor = number(
            1.0,
            0.1,
            10.0,
            decimals=4,
            unit="",
            tooltip="The voxel size along z is multiplied by this, where immersion and sample differ in their "
            "refractive index. The ratio n(sample) / n(immersion) is a hint only: with a high aperture it is off.",
        )
        self.status = Status()
        self.button = RunButton("Load", self.status, doing="Loading", prepare=self._asked_for, begin="Loading…")
        self._lay_out()
        self.browse.clicked.connect(self._on_browse)
        self.folder.clicked.connect(self._on_folder)
        self.picker.changed.connect(self._on_series)
        self.path.editingFinished.connect(self.look)
        self._looking.succeeded.connect(self._on_looked)
        self._looking.failed.connect(self._on_look_failed)
        self._looking.ended.connect(self._on_look_ended)
        self.button.succeeded.connect(self._on_loaded)
        self._refresh()

    def look(self) -> None:
        """Find out what the file holds."""
        path = _path_of(self.path.text())
        if path is not None and self._found is not None and self._found.is_still(path):
            return
        self._found = None
        self.picker.show([])
        # A path that was changed while another was being looked at is looked at next.
        self._stale = self._looking.running
        if path is not None:
            self._looking.start(call(lambda: _look(path)))
        self._refresh()

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.addWidget(self.browse)
        buttons.addWidget(self.folder)
        rows = form()
        rows.addRow("File", self.path)
        rows.addRow("", buttons)
        self.picker.add_rows(rows)
        for axis, box in zip("zyx", self.voxel_size, strict=True):
            rows.addRow(f"Voxel size {axis}", box)
        rows.addRow("Depth factor", self.depth_factor)
        self.column.addLayout(rows)
        self.column.addWidget(self.button)
        self.column.addWidget(self.status)
        self.column.addStretch(1)

    def _refresh(self) -> None:
        series = self.picker.current if self._found is not None else None
        tip = "Add the volume, and its true particles where the file has them, to the viewer."
        self.button.offer(series is not None, tip)
        for box in self.voxel_size:
            box.setEnabled(series is not None and series.voxel_size is None)

    def _on_browse(self) -> None:
        last = _path_of(self.path.text())
        start = "" if last is None else str(last.parent)
        path, _ = QFileDialog.getOpenFileName(self, "Load a stack", start, FILTER)
        if path:
            self.path.setText(path)
            self.look()

    def _on_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Load a Zarr folder", self.path.text())
        if path:
            self.path.setText(path)
            self.look()

    def _on_looked(self, found: _FileContents) -> None:
        if self._stale:
            return
        self._found = found
        self.picker.show(found.series)

    def _on_series(self) -> None:
        series = self.picker.current
        for box, size in zip(self.voxel_size, (series and series.voxel_size) or (0.0, 0.0, 0.0), strict=True):
            box.setValue(size)
        if self._found is not None:
            self.status.say(_series_summary(self._found.series, series))
        self._refresh()

    def _on_look_failed(self, message: str) -> None:
        if not self._stale:
            self.status.fail(message)

    def _on_look_ended(self) -> None:
        if self._stale:
            self.look()
        self._refresh()

    def _asked_for(self) -> Work | None:
        found, series = self._found, self.picker.current
        if found is None or series is None:
            return None
        typed = tuple(box.value() for box in self.voxel_size)
        voxel_size: Any = None
        if series.voxel_size is None and any(typed):
            if not all(typed):
                raise ColloidsError("Type the voxel size along all three axes (µm), or leave all three unknown.")
            voxel_size = typed
        choice, depth = self.picker.choice(), self.depth_factor.value()
        return call(lambda: _described(found.path, choice, voxel_size, depth))

    def _on_loaded(self, described: list[layers.LayerData]) -> None:
        added = [add_layer(self._viewer, one) for one in described]
        self._viewer.layers.selection.active = added[0]
        true = sum(len(layer.data) for layer in added if isinstance(layer, Points))
        self.status.say(f"Loaded {added[0].name}" + (f" with {true} true particles." if true else "."))


@dataclass(frozen=True)
class _FileContents:
    """What a first look at a file tells, and when the file was written last."""

    path: Path
    series: list[Series]
    written: int

    def is_still(self, path: Path) -> bool:
        """Whether a path leads to that file, and nothing was written to it since."""
        try:
            return path == self.path and path.stat().st_mtime_ns == self.written
        except OSError:
            return False


def _path_of(text: str) -> Path | None:
    """Return the path that was typed or pasted, which may be quoted, a file:// address, or begin with ~."""
    text = text.strip().strip("\"'")
    if text.startswith("file://"):
        text = QUrl(text).toLocalFile()
    return Path(text).expanduser() if text else None


def _series_summary(found: list[Series], series: Series | None) -> str:
    """Say what is chosen, or why nothing is."""
    if series is None:
        return found[0].problem
    if series.problem:
        labels = "does not say what" if set(series.axes) == {UNLABELLED} else f"says '{series.axes}' for what"
        return f"The file {labels} the dimensions {series.shape} are. Check the suggested axes before loading."
    shape = " x ".join(map(str, series.shape))
    known = "voxel size from the file" if series.voxel_size else "no voxel size in the file: type it, if known"
    interval = "" if series.frame_interval is None else f"; a frame every {series.frame_interval:.4g} s"
    return f"{shape} ({', '.join(series.axes.lower())}); {known}{interval}."


def _look(path: Path) -> _FileContents:
    from napari_colloids.io import list_series

    series = list_series(path)
    return _FileContents(path, series, path.stat().st_mtime_ns)


def _described(path: Path, choice: SeriesChoice, voxel_size: VoxelSize | None, depth: float) -> list[layers.LayerData]:
    stack, truth = reader.load(
        path, index=choice.index, voxel_size=voxel_size, axes=choice.axes, channel=choice.channel, frames=choice.frames
    )
    return reader.layers_of(stack if depth == 1 else stack.scaled_along_z(depth), truth)
