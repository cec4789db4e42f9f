"""The Track dock: trajectories of a time series, how their particles move, export."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast
from weakref import ref

from magicgui.widgets import PushButton
from napari.layers import Points, Tracks
from qtpy.compat import isalive
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFileDialog

from napari_colloids.dynamics import LinkSettings
from napari_colloids.dynamics.link_settings import Timing
from napari_colloids.errors import ColloidsError
from napari_colloids.plotting import unit_symbol
from napari_colloids.settings import settings_of
from napari_colloids.widgets.layers import layers, places
from napari_colloids.widgets.layers.origin import is_child_of
from napari_colloids.widgets.layers.spheres import add_layer
from napari_colloids.widgets.parts.controls import Form, beside, control, controls_of
from napari_colloids.widgets.parts.export import Export, ExportButton
from napari_colloids.widgets.parts.layer_choice import LayerChoice
from napari_colloids.widgets.parts.panel import Panel
from napari_colloids.widgets.parts.remembered import remember
from napari_colloids.widgets.parts.run_button import RunButton
from napari_colloids.widgets.parts.saving import READ_FILTER
from napari_colloids.widgets.parts.status import Status, notice
from napari_colloids.widgets.parts.task import Task, call
from napari_colloids.widgets.track_curves import TrackCurves, Trajectories

if TYPE_CHECKING:
    from collections.abc import Generator

    import napari
    import pandas as pd
    from napari.layers import Layer

    from napari_colloids.dynamics import Diffusion
    from napari_colloids.progress import Progress
    from napari_colloids.stack import VoxelSize
    from napari_colloids.widgets.parts.controls import Controls
    from napari_colloids.widgets.parts.number_box import NumberBox
    from napari_colloids.widgets.parts.task import Work


#: Search range that the box begins with.
_SEARCH_RANGE_PX = 5.0


class TrackWidget(Panel):
    """Links the points on show of a series into a Tracks layer.

    The search range is measured in g(r) of the chosen layer, until another is typed.
    """

    guide = "dynamics.md"

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__(napari_viewer)
        self._measuring = Task(self, "Measuring g(r)")
        self._result: _Trajectories | None = None
        #: The layer of the result.
        self._shown: tuple[Layer, ...] = ()
        #: Between the frames of the result.
        self._seconds: float | None = None
        #: Whether the search range was typed; else it is measured in what is linked.
        self._typed = False
        #: Whether it is still to be measured: other work was under way when the layer was chosen.
        self._due = False
        self.points = LayerChoice(
            self._viewer,
            lambda layer: isinstance(layer, Points) and layer.ndim >= 4,
            "Points layer with a time axis (t, z, y, x); only the points on show are linked.",
            follows=True,
            label="Points",
        )
        self.open = PushButton(text="Open…", tooltip="Open a particle table with a column 'frame' as points.")
        self.suggest = PushButton(text="Suggest", tooltip="Measure the search range in g(r) of the points on show.")
        self.controls = {**_link_controls(), **controls_of(Timing)}
        self.status = Status()
        self.button = RunButton(
            "Link",
            self.status,
            doing="Linking particles",
            prepare=self._asked_for,
            cancel_tip="Stop after the frame that is being linked.",
        )
        self.export = ExportButton(self.status, self._collect, "Export tracks…")
        self._offer_export(False)
        self.curves = TrackCurves(self.status, self.button, self.export)
        search_range, *others = self.controls.values()
        form = Form([beside(self.points, self.open), beside(search_range, self.suggest), *others])
        self.add(form, self.button, self.button.bar.native, self.status, self.curves)
        self._connect()
        kept = ("memory", "min_length", "subtract_drift", "predict_motion")
        remember("track", (self.controls[name] for name in kept))
        self._on_points(self.points.value)

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

    def _connect(self) -> None:
        self.points.changed.connect(self._on_points)
        self.open.changed.connect(self._on_open)
        self.suggest.changed.connect(self._measure)
        self.controls["search_range"].changed.connect(self._on_typed)
        self.controls["frame_interval"].changed.connect(self._show)
        self._measuring.succeeded.connect(self._on_measured)
        self._measuring.failed.connect(self.status.fail)
        self._measuring.ended.connect(self._on_ended)
        self.button.began.connect(self._refresh)
        self.button.succeeded.connect(self._on_linked)
        self.button.ended.connect(self._on_ended)
        self.curves.evaluated.connect(self._say)

    def _refresh(self) -> None:
        ready = self.points.value is not None
        self.suggest.enabled = ready and not self.busy
        missing = "Detect the particles of a time series, or open a table, first."
        self.button.offer(ready, "Link the points on show into trajectories." if ready else missing)

    def _on_points(self, points: Points | None) -> None:
        self._refresh()
        # What was typed holds for the points it was typed for, in their unit.
        self._typed = self._due = False
        if points is None:
            return
        cast("NumberBox", self.controls["search_range"]).set_unit(
            unit_symbol("um" if places.voxel_size_of(points) else "px")
        )
        # What was linked before keeps its own interval.
        with self.controls["frame_interval"].changed.blocked():
            self.controls["frame_interval"].value = places.interval_of(points)
        # Later: a layer that has just been added gets its threshold after this.
        QTimer.singleShot(0, lambda: self._measure() if isalive(self) else None)

    def _measure(self) -> None:
        from napari_colloids.structure import suggest_search_range

        points = self.points.value
        self._due = points is not None and self.busy
        if points is None or self.busy:
            return
        table, voxel_size = layers.table_of(points), places.voxel_size_of(points)
        self._typed = False

        def work() -> tuple[Points, float | None]:
            try:
                return points, suggest_search_range(table, voxel_size=voxel_size)
            except ColloidsError:  # nothing to measure, which is said once it is to be linked
                return points, None

        self._measuring.start(call(work))
        self._refresh()

    def _on_measured(self, measured: tuple[Points, float | None]) -> None:
        points, suggested = measured
        if points is self.points.value and suggested is not None and not self._typed:
            self._show_search_range(suggested * _pixel(places.voxel_size_of(points)))

    def _show_search_range(self, value: float) -> None:
        with self.controls["search_range"].changed.blocked():
            self.controls["search_range"].value = value

    def _on_typed(self, _: float) -> None:
        self._typed, self._due = True, False

    def _on_ended(self) -> None:
        self._refresh()
        if self._due:
            self._measure()

    def _asked_for(self) -> Work | None:
        points = self.points.value
        if points is None:
            return None
        voxel_size = places.voxel_size_of(points)
        table, place = layers.table_of(points), places.place_of(points)
        if table["frame"].nunique() < 2:
            raise ColloidsError(f"'{points.name}' holds points of one frame only: trajectories need two or more.")
        chosen = {name: self.controls[name].value for name in settings_of(LinkSettings)}
        # Unless it was typed, in the unit of the voxel size, it is measured in what is linked.
        chosen["search_range"] = chosen["search_range"] / _pixel(voxel_size) if self._typed else None
        seconds = self.controls["frame_interval"].value
        request = _LinkRequest(ref(points), points.name, place, voxel_size, LinkSettings(**chosen), seconds)
        return lambda: _link(table, request)

    def _on_linked(self, result: _Trajectories) -> None:
        self._result, request = result, result.request
        points = request.points()
        if points is self.points.value and not self._typed:
            self._show_search_range(result.search_range)
        for layer in self._viewer.layers:
            if points is not None and isinstance(layer, Tracks) and is_child_of(layer, points):
                layer.visible = False
        self._shown = ()
        if len(result.tracks):
            name, note = request.layer_name, result.note
            described = layers.tracks_layer_data(result.tracks, request.place, name=name, note=note)
            self._shown = (add_layer(self._viewer, described, points),)
        self.curves.take(Trajectories(result.tracks, request.voxel_size, request.layer_name, result.note))
        self._show(request.frame_interval)
        self._offer_export(len(result.tracks) > 0)

    def _show(self, seconds: float | None) -> None:
        """Show the result in seconds, or in frames where their interval is unknown."""
        if self._result is None:
            return
        self._seconds = seconds
        self.curves.show_motion(seconds, self._result.diffusion(seconds))
        self._say()

    def _say(self) -> None:
        if self._result is not None:
            summary = tracks_summary(self._result, self._result.diffusion(self._seconds))
            self.status.keep("<br>".join([summary, *self.curves.lines()]), *self._shown)

    def _on_open(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open a particle table", "", READ_FILTER)
        if path:
            self.open_table(Path(path))

    def open_table(self, path: Path) -> None:
        """Open a particle table as a Points layer and choose it."""
        from napari_colloids.widgets.layers.reader import table_in, table_layer

        try:
            table = table_in(path, self._viewer)
            described = table_layer(table, path.stem)
        except (ColloidsError, OSError) as error:
            self.status.fail(str(error))
            return
        layer = add_layer(self._viewer, described)
        if layer.ndim < 4:
            self.status.fail(f"'{path.name}' has no column 'frame': trajectories need a time series.")
        self.points.value = layer


@dataclass(frozen=True)
class _LinkRequest:
    """Points to link and the parameters; the layer may be moved or removed meanwhile."""

    points: ref[Points]
    name: str
    place: places.Place
    voxel_size: VoxelSize | None
    settings: LinkSettings
    frame_interval: float | None

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
    def note(self) -> dict[str, object]:
        """Parameters to keep with the layer and the file; the search range in lateral voxels."""
        request = self.request
        return {
            "points": request.name,
            "voxel_size": request.voxel_size,
            **asdict(request.settings),
            **{name: self.tracks.attrs[name] for name in ("search_range", "common_motion", "notices")},
        }

    def diffusion(self, seconds: float | None) -> Diffusion | None:
        """Return the diffusion coefficient, in seconds where these are known; None of too few frames."""
        from napari_colloids.dynamics import diffusion_coefficient

        msd = self.msd if seconds is None else self.msd.assign(lag_s=self.msd["lag"] * seconds)
        try:
            return diffusion_coefficient(msd)
        except ColloidsError:
            return None


def _link(table: pd.DataFrame, request: _LinkRequest) -> Generator[Progress, None, _Trajectories]:
    from napari_colloids.dynamics import iter_link, mean_squared_displacement

    tracks = yield from iter_link(table, voxel_size=request.voxel_size, **asdict(request.settings))
    return _Trajectories(request, tracks, mean_squared_displacement(tracks, voxel_size=request.voxel_size))


def _link_controls() -> Controls:
    """Make the controls of linking; the search range is a number, as it is suggested where it is not typed."""
    search_range = replace(settings_of(LinkSettings)["search_range"], type=float, default=_SEARCH_RANGE_PX)
    return {"search_range": control(search_range), **controls_of(LinkSettings, but=["search_range"])}


def _pixel(voxel_size: VoxelSize | None) -> float:
    """Return the width of a voxel in the unit of the search range."""
    return 1.0 if voxel_size is None else voxel_size[2]


def tracks_summary(result: _Trajectories, diffusion: Diffusion | None) -> str:
    """Summarise the trajectories."""
    tracks = result.tracks
    count = int(tracks["particle"].nunique())
    if count == 0:
        return "No trajectory is as long as the minimal length."
    unit = unit_symbol(result.msd.attrs["unit"])
    lines = [
        f"<b>{count} trajectories</b>, mean length {len(tracks) / count:.1f} frames; "
        f"search range {result.search_range:.3g} {unit}."
    ]
    if diffusion is not None:
        lines.append(
            f"D = {diffusion.coefficient:.3g} {unit_symbol(diffusion.unit)}; localisation error at most "
            f"{diffusion.localisation_error:.2g} {unit} (crowding adds to it)."
        )
    lines += [notice(text) for text in tracks.attrs["notices"]]
    return "<br>".join(lines)
