"""The Structure dock: g(r), S(q), volume fraction, and the order of each particle as its colour."""

from __future__ import annotations

import html
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING
from weakref import ref

from qtpy.QtCore import Qt

from napari_colloids.errors import ColloidsError
from napari_colloids.particles import COLUMNS
from napari_colloids.structure import LOCAL_COLUMNS
from napari_colloids.structure.settings import StructureSettings
from napari_colloids.widgets.layers import layers, order_colours, places
from napari_colloids.widgets.layers.origin import image_of
from napari_colloids.widgets.layers.writer import origin_of
from napari_colloids.widgets.parts.controls import Form, choice, controls_of
from napari_colloids.widgets.parts.export import Export, ExportButton
from napari_colloids.widgets.parts.layer_choice import LayerChoice
from napari_colloids.widgets.parts.own_control import wrapped
from napari_colloids.widgets.parts.panel import Panel
from napari_colloids.widgets.parts.plots import ResultPlot
from napari_colloids.widgets.parts.remembered import remember
from napari_colloids.widgets.parts.run_button import RunButton
from napari_colloids.widgets.parts.status import Status, notice
from napari_colloids.widgets.parts.task import call
from napari_colloids.widgets.score import is_points, like_detections
from napari_colloids.widgets.structure_plots import name_of, plot_histogram, plot_structure_factor

if TYPE_CHECKING:
    from collections.abc import Generator

    import napari
    import pandas as pd
    from magicgui.widgets import ComboBox
    from napari.layers import Points

    from napari_colloids.progress import Progress
    from napari_colloids.stack import VoxelSize
    from napari_colloids.structure import Structure
    from napari_colloids.widgets.parts.task import Work

_TIP = (
    "Measure g(r), S(q), the volume fraction, and bond order and Voronoi cell of each point on show. Frames are "
    "averaged."
)
_CHANGED = "The points have changed meanwhile: measure again to colour them."


class StructureWidget(Panel):
    """Measures the structure of the points on show, and colours them by it."""

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__(napari_viewer)
        self._done: _Measured | None = None
        self.points = LayerChoice(
            self._viewer,
            is_points,
            "Points layer of the particles; only the points on show are measured. The window is the image that they "
            "were found in, else the box that they fill.",
            rank=like_detections,
            label="Points",
        )
        self.controls = controls_of(StructureSettings)
        self.status = Status()
        self.button = RunButton(
            "Measure",
            self.status,
            doing="Measuring the structure",
            prepare=self._asked_for,
            cancel_tip="Stop after the frame, or the function, that is at work.",
        )
        self.show_what = _columns(
            {"g": "g(r)", "s": "S(q)"},
            "g",
            name="show",
            label="Show",
            tooltip="g(r) and S(q), with that of a fluid of hard spheres below their freezing; or how a column is "
            "distributed over the particles inside, in the colours that it gives to them.",
        )
        self.colour_by = _columns({"": "none"}, "", name="colour_by", label="Colour by", tooltip="")
        self.plot = ResultPlot(
            190,
            "g(r) and S(q) with their errors. Shaded: waves too long for the window, where S(q) is not to be trusted.",
            xlabel="r",
            ylabel="g(r)",
        )
        self.export = ExportButton(self.status, self._collect)
        self.add(
            Form([self.points, *self.controls.values()]),
            self.button,
            self.button.bar.native,
            self.status,
            Form([self.show_what]),
            self.plot,
            Form([self.colour_by]),
            self.export,
        )
        remember("structure", (self.controls["neighbours"], self.show_what))
        self.points.changed.connect(self._refresh)
        self.show_what.changed.connect(self._draw)
        self.colour_by.changed.connect(self._colour)
        self.button.succeeded.connect(self._on_measured)
        self._refresh()

    def _refresh(self) -> None:
        points = self.points.value
        self.button.offer(
            points is not None, _TIP if points is not None else "Detect particles, or open a table, first."
        )
        measured = order_colours.has_columns(points)
        with self.colour_by.changed.blocked():
            self.colour_by.value = order_colours.column_of(points)
        self.colour_by.enabled = measured
        tip = "Colour the points by a column: grey where it is not that of the bulk, near the faces."
        self.colour_by.tooltip = wrapped(tip) if measured else "Measure the structure of these points first."
        self.export.offer(self._done is not None, "Write the points with the columns of their structure.")

    def _asked_for(self) -> Work | None:
        points = self.points.value
        if points is None:
            return None
        table = table_of(points)
        if len(table) < 2:
            raise ColloidsError(f"'{points.name}' has fewer than two points on show: a structure needs more.")
        shape = self._shape(points)
        if shape is not None and "settings" in table.attrs:  # they say whether all of it was searched
            table.attrs["shape"], shape = list(shape), None
        settings = StructureSettings(**{name: control.value for name, control in self.controls.items()})
        asked = _Asked(ref(points), table, shape, places.voxel_size_of(points), settings, origin_of(points))
        done = self._done
        if done is not None and asked.is_same_as(done.asked):
            return call(lambda: done)
        return lambda: _measure(asked)

    def _shape(self, points: Points) -> tuple[int, int, int] | None:
        """Return the shape of the image that the points were found in, where it is there."""
        image = image_of(points, self._viewer.layers)
        if image is None or not places.coincide(points, image):
            return None
        return layers.stack_of(image, places.index_of(image, self._viewer)).shape

    def _on_measured(self, measured: _Measured) -> None:
        self._done, points = measured, measured.asked.points()
        notices = list(measured.found.notices)
        if points is not None and table_of(points).equals(measured.asked.table):
            order_colours.add_columns(self._viewer, points, measured.found.particles)
        elif points is not None:
            notices.append(_CHANGED)
        self.status.say(structure_summary(measured.found, notices))
        self._draw()
        self._refresh()

    def _draw(self) -> None:
        if self._done is None:
            return
        found, what = self._done.found, self.show_what.value
        if what == "g":
            self.plot.show_result(found.g.plot)
        elif what == "s":
            self.plot.show_result(partial(plot_structure_factor, found))
        else:
            self.plot.show_result(partial(plot_histogram, found, what))

    def _colour(self, column: str) -> None:
        points = self.points.value
        if points is not None:
            order_colours.colour(self._viewer, points, column)

    def _collect(self) -> Export:
        if self._done is None:
            raise ColloidsError("There is no structure to export yet: measure it first.")
        found, asked = self._done.found, self._done.asked
        origin = {**asked.origin, "options": asdict(asked.settings), "structure": found.record()}
        name = f"{asked.origin['layer']} structure"
        return Export(found.particles, origin, f"{len(found.particles)} particles with their structure", name)


@dataclass(frozen=True, eq=False)
class _Asked:
    """What a structure depends on, and where it comes from; the layer may be changed or removed meanwhile."""

    points: ref[Points]
    table: pd.DataFrame
    shape: tuple[int, ...] | None
    voxel_size: VoxelSize | None
    settings: StructureSettings
    origin: dict[str, object]

    def is_same_as(self, other: _Asked) -> bool:
        """Whether nothing has changed, so that the result would be the same."""
        same = self.points() is other.points() and self.table.attrs == other.table.attrs
        key, its_key = ((one.shape, one.voxel_size, one.settings) for one in (self, other))
        return same and key == its_key and self.table.equals(other.table)


@dataclass(frozen=True)
class _Measured:
    """A structure, and what it was measured of."""

    asked: _Asked
    found: Structure


def _measure(asked: _Asked) -> Generator[Progress, None, _Measured]:
    from napari_colloids.structure import iter_structure

    steps = iter_structure(asked.table, shape=asked.shape, voxel_size=asked.voxel_size, **asdict(asked.settings))
    return _Measured(asked, (yield from steps))


def table_of(points: Points) -> pd.DataFrame:
    """Return the points on show without the columns of an earlier structure; ``attrs`` says what was searched."""
    table = layers.table_of(points).drop(columns=list(LOCAL_COLUMNS), errors="ignore")
    note = layers.note_of(points)
    table.attrs = {name: note[name] for name in ("shape", "settings", "region") if name in note}
    return table


def _columns(first: dict[str, str], value: str, *, name: str, label: str, tooltip: str) -> ComboBox:
    """Make a combo box of something and the columns of the structure, which say what they are in their tooltips."""
    names = [column for column in LOCAL_COLUMNS if column != "interior"]
    labels = {**first, **{column: name_of(column) for column in names}}
    box = choice(labels, value, name=name, label=label, tooltip=wrapped(tooltip))
    for index, column in enumerate(labels):
        if column in COLUMNS:
            box.native.setItemData(index, wrapped(COLUMNS[column].doc), Qt.ItemDataRole.ToolTipRole)
    return box


def structure_summary(found: Structure, notices: list[str]) -> str:
    """Summarise a structure in words."""
    first, *others = map(html.escape, found.lines())
    return "<br>".join([f"<b>{first}</b>", *others, *map(notice, notices)])
