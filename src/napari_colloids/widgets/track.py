"""The Track widget: link the particles of a time series, look at their paths and how far they move, export."""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import ref

from napari.layers import Points, Tracks
from qtpy.compat import isalive
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QCheckBox, QFileDialog, QHBoxLayout, QProgressBar, QPushButton

from napari_colloids.errors import ColloidsError
from napari_colloids.widgets.layers import layers, places
from napari_colloids.widgets.layers.origin import is_child_of, set_parent
from napari_colloids.widgets.layers.spheres import add_layer
from napari_colloids.widgets.parts.controls import LayerCombo, Panel, Status, form, number, whole
from napari_colloids.widgets.parts.export import ExportButton
from napari_colloids.widgets.parts.remembered import remember
from napari_colloids.widgets.parts.saving import FILTER, ask_for_table
from napari_colloids.widgets.parts.task import Task, call
from napari_colloids.widgets.tracks import SYMBOLS, MsdPlot, tracks_layer_data

if TYPE_CHECKING:
    from collections.abc import Generator

    import napari
    import pandas as pd

    from napari_colloids.stack import VoxelSize
    from napari_colloids.structure import Diffusion


class TrackWidget(Panel):
    """Links the points on show of a series into a Tracks layer.

    The search range is measured in g(r) of the chosen layer, until another is typed.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__(napari_viewer)
        self._task = Task(self, "Linking particles")
        self._measuring = Task(self, "Measuring g(r)")
        self._result: _Result | None = None
        #: Between the frames of the result.
        self._seconds: float | None = None
        #: Whether the search range was typed; else it is measured in what is linked.
        self._typed = False
        #: Whether it is still to be measured: other work was under way when the layer was chosen.
        self._due = False
        self.points = LayerCombo(
            self._viewer,
            lambda layer: isinstance(layer, Points) and layer.ndim >= 4,
            "Points layer with a time axis (t, z, y, x); only the points on show are linked.",
        )
        self.open = QPushButton("Open…")
        self.open.setToolTip("Open a particle table with a column 'frame' (CSV, XYZ, HDF5, Parquet) as points.")
        self.search_range = number(
            5.0, 0.001, 10_000.0, decimals=3, unit="px",
            tooltip="Longest way of a particle from one frame to the next. Suggested: half the distance between "
            "neighbours, which the first minimum of g(r) tells apart from the rest.",
        )  # fmt: skip
        self.suggest = QPushButton("Suggest")
        self.suggest.setToolTip("Measure the search range in g(r) of the points on show.")
        self.memory = whole(0, 0, 1000, unit="frames", tooltip="For how many frames a particle may go unseen (frames).")
        self.min_length = whole(
            1, 1, 100_000, unit="frames", tooltip="Drop trajectories of fewer positions than this (frames)."
        )
        self.drift = QCheckBox("Subtract drift")
        self.drift.setToolTip(
            "Take the mean motion of all particles (of the stage, mostly) off the positions. The tracks are then drawn "
            "as if the sample stood still."
        )
        self.interval = number(
            0.0, 0.0, 1e6, decimals=6, unit="s", tooltip="Time from one frame to the next in seconds (s)."
        )
        self.interval.setSpecialValueText("unknown")
        self.button = QPushButton("Link")
        self.bar = QProgressBar()
        self.bar.setVisible(False)
        self.status = Status()
        self.plot = MsdPlot()
        self.export = ExportButton(
            self.status, "Write the linked points with the number of their trajectory ('particle')."
        )
        self.export.allow(False)
        self._lay_out()
        self._connect()
        remember("track", {"memory": self.memory, "min_length": self.min_length, "drift": self.drift})
        self._on_points(self.points.layer)

    @property
    def busy(self) -> bool:
        """Whether linking, or measuring the search range, is under way."""
        return self._task.running or self._measuring.running

    def export_to(self, path: Path) -> None:
        """Write the trajectories in the background, and say how many there were."""
        if self._result is None:
            self.status.fail("There are no trajectories to export yet: link particles first.")
            return
        tracks, note = self._result.tracks, self._result.note
        if self._seconds is not None:
            note["frame_interval"] = self._seconds
        count = f"{tracks['particle'].nunique()} trajectories ({len(tracks)} points)"
        self.export.write(path, tracks, note, count)

    def _lay_out(self) -> None:
        points, searching = QHBoxLayout(), QHBoxLayout()
        for row, parts in ((points, (self.points, self.open)), (searching, (self.search_range, self.suggest))):
            row.addWidget(parts[0], stretch=1)
            row.addWidget(parts[1])
        rows = form()
        rows.addRow("Points", points)
        rows.addRow("Search range", searching)
        rows.addRow("Memory", self.memory)
        rows.addRow("Minimal length", self.min_length)
        rows.addRow("Frame interval", self.interval)
        rows.addRow("", self.drift)
        self.column.addLayout(rows)
        for part in (self.button, self.bar, self.status, self.plot, self.export):
            self.column.addWidget(part)
        self.column.addStretch(1)

    def _connect(self) -> None:
        self.points.chosen.connect(self._on_points)
        self.open.clicked.connect(self._on_open)
        self.suggest.clicked.connect(self._measure)
        self.search_range.valueChanged.connect(self._on_typed)
        self.interval.valueChanged.connect(self._on_interval)
        self.button.clicked.connect(self._on_button)
        self.export.clicked.connect(self._on_export)
        self._measuring.succeeded.connect(self._on_measured)
        self._measuring.failed.connect(self.status.fail)
        self._measuring.ended.connect(self._on_ended)
        self._task.progressed.connect(self._on_progress)
        self._task.succeeded.connect(self._on_linked)
        self._task.failed.connect(self.status.fail)
        self._task.cancelled.connect(lambda: self.status.say("Cancelled; nothing was changed."))
        self._task.ended.connect(self._on_ended)

    def _refresh(self) -> None:
        running, cancelling = self._task.running, self._task.cancelling
        self.bar.setVisible(running)
        self.button.setText("Cancelling…" if cancelling else "Cancel" if running else "Link")
        self.button.setEnabled(not cancelling and (running or self.points.layer is not None))
        self.suggest.setEnabled(self.points.layer is not None and not self.busy)
        if running:
            tip = "Stop after the frame that is being linked."
        elif self.points.layer is None:
            tip = "Detect the particles of a time series, or open a table, first."
        else:
            tip = "Link the points on show into trajectories."
        self.button.setToolTip(tip)

    def _on_points(self, points: Any) -> None:
        self._refresh()
        # What was typed holds for the points it was typed for, in their unit.
        self._typed = self._due = False
        if points is None:
            return
        self.search_range.setSuffix(f" {SYMBOLS['um' if places.voxel_size_of(points) else 'px']}")
        # What was linked before keeps its own interval.
        self.interval.blockSignals(True)
        self.interval.setValue(places.interval_of(points) or 0.0)
        self.interval.blockSignals(False)
        # Later: a layer that has just been added gets its threshold after this.
        QTimer.singleShot(0, lambda: self._measure() if isalive(self) else None)

    def _measure(self) -> None:
        from napari_colloids.structure import suggest_search_range

        points = self.points.layer
        self._due = points is not None and self.busy
        if points is None or self.busy:
            return
        table, voxel_size = layers.table_of(points), places.voxel_size_of(points)
        self._typed = False

        def work() -> tuple[Any, float | None]:
            try:
                return points, suggest_search_range(table, voxel_size=voxel_size)
            except ColloidsError:  # nothing to measure, which is said once it is to be linked
                return points, None

        self._measuring.start(call(work))
        self._refresh()

    def _on_measured(self, measured: tuple[Any, float | None]) -> None:
        points, suggested = measured
        if points is self.points.layer and suggested is not None and not self._typed:
            self._show_search_range(suggested * _pixel(places.voxel_size_of(points)))

    def _show_search_range(self, value: float) -> None:
        self.search_range.blockSignals(True)
        self.search_range.setValue(value)
        self.search_range.blockSignals(False)

    def _on_typed(self, _: float) -> None:
        self._typed, self._due = True, False

    def _on_ended(self) -> None:
        self._refresh()
        if self._due:
            self._measure()

    def _on_button(self) -> None:
        if self._task.running:
            self._task.cancel()
            self._refresh()
            return
        points = self.points.layer
        if points is None:
            return
        voxel_size = places.voxel_size_of(points)
        try:
            table, place = layers.table_of(points), places.frame_of(points)
        except ColloidsError as error:
            self.status.fail(str(error))
            return
        if table["frame"].nunique() < 2:
            self.status.fail(f"'{points.name}' holds points of one frame only: trajectories need two or more.")
            return
        request = _Request(
            points=ref(points),
            name=points.name,
            place=place,
            voxel_size=voxel_size,
            interval=self.interval.value() or None,
            options={
                "search_range": self.search_range.value() / _pixel(voxel_size) if self._typed else None,
                "memory": self.memory.value(),
                "subtract_drift": self.drift.isChecked(),
                "min_length": self.min_length.value(),
            },
        )
        self._task.start(lambda: _link(table, request))
        self.bar.setRange(0, 0)
        self.status.say("Linking…")
        self._refresh()

    def _on_progress(self, done: int, total: int, message: str) -> None:
        self.bar.setRange(0, total)
        self.bar.setValue(done)
        self.status.say(message)

    def _on_linked(self, result: _Result) -> None:
        self._result = result
        points = result.request.points()
        if points is self.points.layer and not self._typed:
            self._show_search_range(result.search_range)
        for layer in self._viewer.layers:
            if points is not None and isinstance(layer, Tracks) and is_child_of(layer, points):
                layer.visible = False
        self._show(result.request.interval)
        self.export.allow(len(result.tracks) > 0)
        if len(result.tracks):
            request = result.request
            name = f"{request.name.removesuffix(' particles')} tracks"
            described = tracks_layer_data(result.tracks, request.place, name=name, note=result.note)
            tracks = add_layer(self._viewer, described)
            if points is not None:
                set_parent(tracks, points)

    def _on_interval(self, typed: float) -> None:
        self._show(typed or None)

    def _show(self, seconds: float | None) -> None:
        """Say and draw the result in seconds, or in frames where their interval is unknown."""
        if self._result is None:
            return
        self._seconds = seconds
        msd, diffusion = self._result.motion(seconds)
        self.plot.show_msd(msd, diffusion)
        self.status.say(summary(self._result, diffusion))

    def _on_open(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open a particle table", "", FILTER)
        if path:
            self.open_table(Path(path))

    def open_table(self, path: Path) -> None:
        """Open a particle table as a Points layer and choose it."""
        from napari_colloids.io import read_particles
        from napari_colloids.widgets.layers.reader import table_layer

        try:
            described = table_layer(read_particles(path), path.stem)
        except (ColloidsError, OSError) as error:
            self.status.fail(str(error))
            return
        layer = add_layer(self._viewer, described)
        if layer.ndim < 4:
            self.status.fail(f"'{path.name}' has no column 'frame': trajectories need a time series.")
        self.points.choose(layer)

    def _on_export(self) -> None:
        name = f"{self._result.request.name.removesuffix(' particles')} tracks" if self._result else "tracks"
        path = ask_for_table(self, "Export the trajectories", name)
        if path is not None:
            self.export_to(path)


@dataclass(frozen=True)
class _Request:
    """What was asked for, should the layer be moved or removed meanwhile."""

    points: ref[Points]
    name: str
    place: dict[str, Any]
    voxel_size: VoxelSize | None
    interval: float | None
    options: dict[str, Any]


@dataclass(frozen=True)
class _Result:
    """Trajectories, and their mean squared displacement in frames."""

    request: _Request
    tracks: pd.DataFrame
    msd: pd.DataFrame

    @property
    def search_range(self) -> float:
        """The search range that was used, in micrometres where the voxel size is known."""
        return float(self.tracks.attrs["search_range"]) * _pixel(self.request.voxel_size)

    @property
    def note(self) -> dict[str, Any]:
        """What to keep with the layer and the file; the search range in lateral voxels."""
        used = {"search_range": self.tracks.attrs["search_range"]}
        return {"points": self.request.name, "voxel_size": self.request.voxel_size, **self.request.options, **used}

    def motion(self, seconds: float | None) -> tuple[pd.DataFrame, Diffusion | None]:
        """Return the mean squared displacement and the diffusion coefficient, in seconds where these are known."""
        from napari_colloids.structure import diffusion_coefficient

        msd = self.msd if seconds is None else self.msd.assign(lag_s=self.msd["lag"] * seconds)
        try:
            return msd, diffusion_coefficient(msd)
        except ColloidsError:  # too few frames
            return msd, None


def _link(table: pd.DataFrame, request: _Request) -> Generator[Any, None, _Result]:
    from napari_colloids.structure import iter_link, mean_squared_displacement

    tracks = yield from iter_link(table, voxel_size=request.voxel_size, **request.options)
    return _Result(request, tracks, mean_squared_displacement(tracks, voxel_size=request.voxel_size))


def _pixel(voxel_size: VoxelSize | None) -> float:
    """Return the width of a voxel in the unit of the search range."""
    return 1.0 if voxel_size is None else voxel_size[2]


def summary(result: _Result, diffusion: Diffusion | None) -> str:
    """Say in a few words what was linked."""
    tracks = result.tracks
    count = int(tracks["particle"].nunique())
    if count == 0:
        return "No trajectory is as long as the minimal length."
    unit = SYMBOLS[result.msd.attrs["unit"]]
    lines = [
        f"<b>{count} trajectories</b>, mean length {len(tracks) / count:.1f} frames; "
        f"search range {result.search_range:.3g} {unit}."
    ]
    if diffusion is not None:
        per = html.escape(diffusion.unit.replace("um", "µm").replace("^2", "²"))
        lines.append(
            f"D = {diffusion.coefficient:.3g} {per}; localisation error at most {diffusion.localisation_error:.2g} "
            f"{unit} (crowding adds to it)."
        )
    return "<br>".join(lines)
