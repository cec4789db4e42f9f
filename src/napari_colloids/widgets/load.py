"""The Load widget: a file, which of its volumes, and the voxel size where the file has none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QPushButton

from napari_colloids.widgets import layers, reader
from napari_colloids.widgets.controls import Panel, Status, form, number, whole
from napari_colloids.widgets.task import Task, call

if TYPE_CHECKING:
    import napari

    from napari_colloids.stack import VoxelSize

FILTER = "Stacks (*.tif *.tiff *.h5 *.hdf5 *.npy);;All files (*)"


class LoadWidget(Panel):
    """Opens a stack, to scale, with its true particles where the file has them."""

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._looking = Task(self, "Looking at the file")
        self._loading = Task(self, "Loading")
        self._stale = False
        self._found: _Found | None = None
        self.path = QLineEdit()
        self.path.setPlaceholderText("TIFF, HDF5 or NumPy file")
        self.path.setToolTip("Stack to load: .tif, .tiff, .h5, .hdf5 or .npy.")
        self.browse = QPushButton("Browse…")
        self.index = whole(
            0, 0, 0, unit="", tooltip="Which volume of the file (from 0); challenge HDF5 files hold many."
        )
        tip = "Edge of a voxel along {} in micrometres (µm). Type it where the file does not say."
        self.voxel_size = [
            number(0.0, 0.0, 1000.0, decimals=4, unit="µm", tooltip=tip.format(axis)) for axis in ("z", "y", "x")
        ]
        for box in self.voxel_size:
            box.setSpecialValueText("unknown")
        self.button = QPushButton("Load")
        self.button.setToolTip("Add the volume, and its true particles where the file has them, to the viewer.")
        self.status = Status()
        self._lay_out()
        self.browse.clicked.connect(self._on_browse)
        self.path.editingFinished.connect(self.look)
        self.button.clicked.connect(self._on_load)
        self._looking.succeeded.connect(self._on_looked)
        self._looking.failed.connect(self._on_look_failed)
        self._looking.ended.connect(self._on_look_ended)
        self._loading.succeeded.connect(self._on_loaded)
        self._loading.failed.connect(self.status.fail)
        self._loading.ended.connect(self._refresh)
        self._refresh()

    def look(self) -> None:
        """Find out how many volumes the file holds and what it says about the voxel size."""
        path = Path(self.path.text())
        if not self.path.text() or (self._found is not None and self._found.path == path):
            return
        self._found = None
        # A path that was changed while another was being looked at is looked at next.
        self._stale = self._looking.running
        self._looking.start(call(lambda: _look(path)))
        self._refresh()

    def _lay_out(self) -> None:
        file = QHBoxLayout()
        file.addWidget(self.path)
        file.addWidget(self.browse)
        rows = form()
        rows.addRow("File", file)
        rows.addRow("Volume", self.index)
        for axis, box in zip("zyx", self.voxel_size, strict=True):
            rows.addRow(f"Voxel size {axis}", box)
        self.column.addLayout(rows)
        self.column.addWidget(self.button)
        self.column.addWidget(self.status)
        self.column.addStretch(1)

    def _refresh(self) -> None:
        found = self._found
        self.button.setEnabled(found is not None and not self._loading.running)
        self.button.setText("Loading…" if self._loading.running else "Load")
        self.index.setEnabled(found is not None and found.count > 1)
        for box in self.voxel_size:
            box.setEnabled(found is not None and found.voxel_size is None)

    def _on_browse(self) -> None:
        start = str(Path(self.path.text()).parent) if self.path.text() else ""
        path, _ = QFileDialog.getOpenFileName(self, "Load a stack", start, FILTER)
        if path:
            self.path.setText(path)
            self.look()

    def _on_looked(self, found: _Found) -> None:
        if self._stale:
            return
        self._found = found
        self.index.setMaximum(found.count - 1)
        self.index.setSuffix(f" of {found.count}")
        self.index.setValue(0)
        for box, size in zip(self.voxel_size, found.voxel_size or (0.0, 0.0, 0.0), strict=True):
            box.setValue(size)
        known = "voxel size from the file" if found.voxel_size else "no voxel size in the file: type it, if known"
        self.status.say(f"{found.shape[0]} x {found.shape[1]} x {found.shape[2]} voxels (z, y, x); {known}.")

    def _on_look_failed(self, message: str) -> None:
        if not self._stale:
            self.status.fail(message)

    def _on_look_ended(self) -> None:
        if self._stale:
            self.look()
        self._refresh()

    def _on_load(self) -> None:
        found = self._found
        if found is None:
            return
        typed = tuple(box.value() for box in self.voxel_size)
        voxel_size: Any = None
        if found.voxel_size is None and any(typed):
            if not all(typed):
                self.status.fail("Type the voxel size along all three axes (µm), or leave all three unknown.")
                return
            voxel_size = typed
        index = self.index.value()
        self._loading.start(call(lambda: _describe(found, index, voxel_size)))
        self.status.say("Loading…")
        self._refresh()

    def _on_loaded(self, described: list[layers.LayerData]) -> None:
        added = [layers.add_layer(self._viewer, one) for one in described]
        self._viewer.layers.selection.active = added[0]
        true = sum(len(layer.data) for layer in added if layer._type_string == "points")
        self.status.say(f"Loaded {added[0].name}" + (f" with {true} true particles." if true else "."))


@dataclass(frozen=True)
class _Found:
    """What a first look at a file tells."""

    path: Path
    count: int
    shape: tuple[int, int, int]
    voxel_size: VoxelSize | None


def _look(path: Path) -> _Found:
    from napari_colloids.io import count_volumes, read_stack

    count = count_volumes(path)
    stack = read_stack(path)
    return _Found(path, count, stack.shape, stack.voxel_size)


def _describe(found: _Found, index: int, voxel_size: VoxelSize | None) -> list[layers.LayerData]:
    stack, truth = reader.load(found.path, index=index, voxel_size=voxel_size)
    return reader.layers_of(stack, truth)
