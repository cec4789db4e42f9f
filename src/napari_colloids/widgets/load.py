"""The Load dock: a file, a part of it, and the voxel size where the file has none."""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from magicgui.widgets import LineEdit, PushButton
from napari.layers import Points
from qtpy.QtCore import QUrl
from qtpy.QtWidgets import QFileDialog

from napari_colloids.batch.stack_file import StackFile
from napari_colloids.errors import ColloidsError
from napari_colloids.io import STACK_ENDINGS
from napari_colloids.io.axes import UNLABELLED, axes_words
from napari_colloids.io.format import dialog_filter
from napari_colloids.io.formats.registry import STACK_FORMATS
from napari_colloids.settings import Setting, settings_of
from napari_colloids.widgets.layers import layers, reader
from napari_colloids.widgets.layers.spheres import add_layer
from napari_colloids.widgets.parts.controls import Form, beside, control, controls_of
from napari_colloids.widgets.parts.panel import Panel
from napari_colloids.widgets.parts.run_button import RunButton
from napari_colloids.widgets.parts.series import SeriesChoice, SeriesPicker
from napari_colloids.widgets.parts.status import Status, notice
from napari_colloids.widgets.parts.task import Task, call
from napari_colloids.widgets.voxel_size import Edges  # noqa: TC001 (its setting is read when it runs)

if TYPE_CHECKING:
    import napari

    from napari_colloids.io import Series
    from napari_colloids.stack import VoxelSize
    from napari_colloids.widgets.parts.task import Work

FILTER = f"Stacks ({' '.join(f'*{ending}' for ending in STACK_ENDINGS)});;{dialog_filter(STACK_FORMATS)};;All files (*)"


@dataclass(frozen=True)
class Calibration:
    """The size of a voxel, where the file does not say it or says it wrong."""

    voxel_size: Edges = (None, None, None)
    depth_factor: Annotated[
        float,
        Setting(
            label="Depth factor",
            help="The voxel size along z is multiplied by this, where immersion and sample differ in their refractive "
            "index. The ratio n(sample) / n(immersion) is a first estimate only: with a high aperture it is off.",
            low=0.1,
            high=10,
            decimals=4,
        ),
    ] = 1.0


class LoadWidget(Panel):
    """Opens a stack, to scale, with its true particles where the file has them."""

    guide = "tables.md#Stacks"

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__(napari_viewer)
        self._looking = Task(self, "Looking at the file")
        self._stale = False
        self._found: _FileContents | None = None
        self.path = LineEdit(
            label="File",
            tooltip=f"Stack to load: {', '.join(STACK_ENDINGS)} (a folder); or a folder of slices, or a pattern of "
            "their names, such as stack_z*.tif.",
        )
        self.path.native.setPlaceholderText(f"{', '.join(form.label for form in STACK_FORMATS[:4])}…")
        self.browse = PushButton(text="Browse…", tooltip="Choose a file.")
        self.folder = PushButton(text="Folder…", tooltip="Choose a folder of slices in files of their own, or in Zarr.")
        self.picker = SeriesPicker(self)
        self.controls = controls_of(Calibration)
        self.allow_missing = control(settings_of(StackFile)["allow_missing"])
        self.status = Status()
        self.button = RunButton("Load", self.status, doing="Loading", prepare=self._asked_for)
        buttons = beside(self.browse, self.folder)
        self._form = Form([self.path, buttons, *self.picker.rows, *self.controls.values(), self.allow_missing])
        self.add(self._form, self.button, self.status)
        self.browse.changed.connect(self._on_browse)
        self.folder.changed.connect(self._on_folder)
        self.picker.changed.connect(self._on_series)
        self.path.native.editingFinished.connect(self.look)
        self._looking.succeeded.connect(self._on_looked)
        self._looking.failed.connect(self._on_look_failed)
        self._looking.ended.connect(self._on_look_ended)
        self.button.succeeded.connect(self._on_loaded)
        self._refresh()

    def look(self) -> None:
        """List the series of the file."""
        path = _path_of(self.path.value)
        if path is not None and self._found is not None and self._found.is_still(path):
            return
        self._found = None
        self.picker.show([])
        # A path that was changed while another was being looked at is looked at next.
        self._stale = self._looking.running
        if path is not None:
            self._looking.start(call(lambda: _look(path)))
        self._refresh()

    def _refresh(self) -> None:
        series = self.picker.current if self._found is not None else None
        tip = "Add the volume, and its true particles where the file has them, to the viewer."
        self.button.offer(series is not None, tip)
        self.controls["voxel_size"].enabled = series is not None and series.voxel_size is None
        self.allow_missing.enabled = series is not None and bool(series.gaps)
        # Only what there is to choose.
        picker = self.picker
        choices = (picker.series.enabled or picker.index.enabled, *(row.enabled for row in picker.rows[1:]))
        for row, shown in zip(picker.rows, choices, strict=True):
            self._form.show_row(row, shown)
        self._form.show_row(self.controls["voxel_size"], series is not None)
        self._form.show_row(self.controls["depth_factor"], series is not None)
        self._form.show_row(self.allow_missing, self.allow_missing.enabled)

    def _on_browse(self) -> None:
        last = _path_of(self.path.value)
        path, _ = QFileDialog.getOpenFileName(self, "Load a stack", "" if last is None else str(last.parent), FILTER)
        self._take(path)

    def _on_folder(self) -> None:
        self._take(QFileDialog.getExistingDirectory(self, "Load a folder of slices, or in Zarr", self.path.value))

    def _take(self, path: str) -> None:
        if path:
            self.path.value = path
            self.look()

    def _on_looked(self, found: _FileContents) -> None:
        if self._stale:
            return
        self._found = found
        self.picker.show(found.series)

    def _on_series(self) -> None:
        series = self.picker.current
        known = None if series is None else series.voxel_size
        self.controls["voxel_size"].value = known or (None, None, None)
        self.allow_missing.value = False
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
        typed = self.controls["voxel_size"].value
        voxel_size: VoxelSize | None = None
        if series.voxel_size is None and any(typed):
            if not all(typed):
                raise ColloidsError("Type the voxel size along all three axes (µm), or leave all three unknown.")
            voxel_size = typed
        choice, depth = self.picker.choice(), self.controls["depth_factor"].value
        allow_missing = bool(self.allow_missing.value)
        return call(lambda: _described(found.path, choice, voxel_size, depth, allow_missing=allow_missing))

    def _on_loaded(self, loaded: tuple[list[layers.LayerData], tuple[str, ...]]) -> None:
        described, notices = loaded
        added = [add_layer(self._viewer, one) for one in described]
        self._viewer.layers.selection.active = added[0]
        true = sum(len(layer.data) for layer in added if isinstance(layer, Points))
        said = f"Loaded {added[0].name}" + (f" with {true} true particles." if true else ".")
        said = " ".join([html.escape(said, quote=False), *map(notice, notices)]) if notices else said
        self.status.say(said, added[0])


@dataclass(frozen=True)
class _FileContents:
    """The series of a file, a folder or a pattern, and when the files were written last."""

    path: Path
    series: list[Series]
    written: tuple[int, ...]

    def is_still(self, path: Path) -> bool:
        """Whether a path leads to that file, and nothing was written to it since."""
        try:
            return path == self.path and _written(path) == self.written
        except (OSError, ColloidsError):
            return False


def _path_of(text: str) -> Path | None:
    """Return the path that was typed or pasted, which may be quoted, a file:// address, or begin with ~."""
    text = text.strip().strip("\"'")
    if text.startswith("file://"):
        text = QUrl(text).toLocalFile()
    return Path(text).expanduser() if text else None


def _series_summary(found: list[Series], series: Series | None) -> str:
    """Summarise the series that is chosen, or say why there is none."""
    if series is None:
        return found[0].problem
    if series.problem:
        labels = "does not say what" if set(series.axes) == {UNLABELLED} else f"says '{series.axes}' for what"
        what = f"The file {labels} the dimensions {series.shape} are. Check the suggested axes before loading."
        return " ".join([*series.notices, what])
    shape = " x ".join(map(str, series.shape))
    known = "voxel size from the file" if series.voxel_size else "no voxel size in the file: type it, if known"
    interval = "" if series.frame_interval is None else f"; a frame every {series.frame_interval:.4g} s"
    said = " ".join([*series.notices, f"{shape} ({axes_words(series.axes)}); {known}{interval}."])
    return f"{html.escape(said, quote=False)} {notice(series.gaps)}" if series.gaps else said


def _look(path: Path) -> _FileContents:
    from napari_colloids.io import list_series

    series = list_series(path)
    return _FileContents(path, series, _written(path))


def _written(path: Path) -> tuple[int, ...]:
    """Return when the files were written last."""
    from napari_colloids.io.many_files import several_files

    return tuple(file.stat().st_mtime_ns for file in several_files(path) or [path])


def _described(
    path: Path, choice: SeriesChoice, voxel_size: VoxelSize | None, depth: float, *, allow_missing: bool
) -> tuple[list[layers.LayerData], tuple[str, ...]]:
    stack, truth = reader.load(path, voxel_size=voxel_size, allow_missing=allow_missing, **choice)
    return reader.layers_of(stack if depth == 1 else stack.scaled_along_z(depth), truth), stack.notices
