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
from qtpy.QtWidgets import QCheckBox, QFileDialog, QHBoxLayout, QPushButton
from superqt.utils import signals_blocked

from napari_colloids.errors import ColloidsError
from napari_colloids.widgets.layers import layers, places
from napari_colloids.widgets.layers.origin import is_child_of, set_parent
from napari_colloids.widgets.layers.spheres import add_layer
from napari_colloids.widgets.parts.controls import LayerCombo, Panel, Status, form, number, whole
from napari_colloids.widgets.parts.export import Export, ExportButton
from napari_colloids.widgets.parts.remembered import remember
from napari_colloids.widgets.parts.run_button import RunButton
from napari_colloids.widgets.parts.saving import FILTER
from napari_colloids.widgets.parts.task import Task, call
from napari_colloids.widgets.tracks import SYMBOLS, MsdPlot, tracks_layer_data

if TYPE_CHECKING:
    from collections.abc import Generator

    import napari
    import pandas as pd

    from napari_colloids.stack import VoxelSize
    from napari_colloids.structure import Diffusion
    from napari_colloids.widgets.parts.task import Work


class TrackWidget(Panel):
    """Links the points on show of a series into a Tracks layer.

    The search range is measured in g(r) of the chosen layer, until another is typed.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__(napari_viewer)
        self._measuring = Task(self, "Measuring g(r)")
        self._result: _Trajectories | None = None
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
        self.status = Status()
        self.button = RunButton(
            "Link",
            self.status,
            doing="Linking particles",
            prepare=self._asked_for,
            cancel_tip="Stop after the frame that is being linked.",
            begin="Linking…",
        )
        self.plot = MsdPlot()
        self.export = ExportButton(self.status, self._collect)
        self._offer_export(False)
        self._lay_out()
        self._connect()
        remember("track", {"memory": self.memory, "min_length": self.min_length, "drift": self.drift})
        self._on_points(self.points.layer)

    @property
    def busy(self) -> bool:
        """Whether linking, or measuring the search range, is under way."""
        return self.button.busy or self._measuring.running

    def _offer_export(self, ready: bool) -> None:
        self.export.offer(ready, "Write the linked points with the number of their trajectory ('particle').")

    def _collect(self) -> Export:
        result = self._result
        if result is None:
            raise ColloidsError("There are no trajectories to export yet: link particles first.")
        tracks, note = result.tracks, result.note
        if self._seconds is not None:
            note["frame_interval"] = self._seconds
        content = f"{tracks['particle'].nunique()} trajectories ({len(tracks)} points)"
        return Export(tracks, note, content, result.request.layer_name)

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
        for part in (self.button, self.button.bar, self.status, self.plot, self.export):
            self.column.addWidget(part)
        self.column.addStretch(1)

    def _connect(self) -> None:
        self.points.chosen.connect(self._on_points)
        self.open.clicked.connect(self._on_open)
        self.suggest.clicked.connect(self._measure)
        self.search_range.valueChanged.connect(self._on_typed)
        self.interval.valueChanged.connect(self._on_interval)
        self._measuring.succeeded.connect(self._on_measured)
        self._measuring.failed.connect(self.status.fail)
        self._measuring.ended.connect(self._on_ended)
        self.button.began.connect(self._refresh)
        self.button.succeeded.connect(self._on_linked)
        self.button.ended.connect(self._on_ended)

    def _refresh(self) -> None:
        ready = self.points.layer is not None
        self.suggest.setEnabled(ready and not self.busy)
        missing = "Detect the particles of a time series, or open a table, first."
        self.button.offer(ready, "Link the points on show into trajectories." if ready else missing)

    def _on_points(self, points: Any) -> None:
        self._refresh()
        # What was typed holds for the points it was typed for, in their unit.
        self._typed = self._due = False
        if points is None:
            return
        self.search_range.setSuffix(f" {SYMBOLS['um' if places.voxel_size_of(points) else 'px']}")
        # What was linked before keeps its own interval.
        with signals_blocked(self.interval):
            self.interval.setValue(places.interval_of(points) or 0.0)
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
        with signals_blocked(self.search_range):
            self.search_range.setValue(value)

    def _on_typed(self, _: float) -> None:
        self._typed, self._due = True, False

    def _on_ended(self) -> None:
        self._refresh()
        if self._due:
            self._measure()

    def _asked_for(self) -> Work | None:
        points = self.points.layer
        if points is None:
            return None
        voxel_size = places.voxel_size_of(points)
        table, place = layers.table_of(points), places.frame_of(points)
        if table["frame"].nunique() < 2:
            raise ColloidsError(f"'{points.name}' holds points of one frame only: trajectories need two or more.")
        request = _LinkRequest(
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
        return lambda: _link(table, request)

    def _on_linked(self, result: _Trajectories) -> None:
        self._result = result
        points = result.request.points()
        if points is self.points.layer and not self._typed:
            self._show_search_range(result.search_range)
        for layer in self._viewer.layers:
            if points is not None and isinstance(layer, Tracks) and is_child_of(layer, points):
                layer.visible = False
        self._show(result.request.interval)
        self._offer_export(len(result.tracks) > 0)
        if len(result.tracks):
            request = result.request
            described = tracks_layer_data(result.tracks, request.place, name=request.layer_name, note=result.note)
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
        self.status.say(tracks_summary(self._result, diffusion))

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


@dataclass(frozen=True)
class _LinkRequest:
    """What was asked for, should the layer be moved or removed meanwhile."""

    points: ref[Points]
    name: str
    place: dict[str, Any]
    voxel_size: VoxelSize | None
    interval: float | None
    options: dict[str, Any]

    @property
    def layer_name(self) -> str:
        """Name of the layer of the trajectories."""
        return f"{self.name.removesuffix(' particles')} tracks"


@dataclass(frozen=True)
class _Trajectories:
    """Trajectories, and their mean squared displacement in frames."""

    request: _LinkRequest
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


def _link(table: pd.DataFrame, request: _LinkRequest) -> Generator[Any, None, _Trajectories]:
    from napari_colloids.structure import iter_link, mean_squared_displacement

    tracks = yield from iter_link(table, voxel_size=request.voxel_size, **request.options)
    return _Trajectories(request, tracks, mean_squared_displacement(tracks, voxel_size=request.voxel_size))


def _pixel(voxel_size: VoxelSize | None) -> float:
    """Return the width of a voxel in the unit of the search range."""
    return 1.0 if voxel_size is None else voxel_size[2]


def tracks_summary(result: _Trajectories, diffusion: Diffusion | None) -> str:
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
