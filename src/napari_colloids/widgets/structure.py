"""The Structure dock: g(r), S(q), volume fraction, and the order of each particle as its colour; layers compared."""

from __future__ import annotations

import html
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, cast
from weakref import ref

import numpy as np
from qtpy.QtCore import Qt

from napari_colloids.errors import ColloidsError
from napari_colloids.particles import COLUMNS
from napari_colloids.plotting import unit_symbol
from napari_colloids.settings import settings_of
from napari_colloids.structure import LOCAL_COLUMNS
from napari_colloids.structure.frames import searched_shape
from napari_colloids.structure.settings import MeasurementSettings, StructureSettings
from napari_colloids.widgets.layers import layers, order_colours, places
from napari_colloids.widgets.layers.origin import image_shape_of
from napari_colloids.widgets.layers.writer import origin_of
from napari_colloids.widgets.parts.controls import Form, Row, choice, controls_of
from napari_colloids.widgets.parts.export import Export, ExportButton
from napari_colloids.widgets.parts.layer_choice import LayerChoice
from napari_colloids.widgets.parts.number_box import NumberBox
from napari_colloids.widgets.parts.own_control import wrapped
from napari_colloids.widgets.parts.panel import Fold, Panel
from napari_colloids.widgets.parts.plots import ResultPlot
from napari_colloids.widgets.parts.remembered import remember
from napari_colloids.widgets.parts.run_button import RunButton
from napari_colloids.widgets.parts.status import Status, notice
from napari_colloids.widgets.parts.task import call
from napari_colloids.widgets.score import is_points, like_detections
from napari_colloids.widgets.simulation_choice import SimulationChoice
from napari_colloids.widgets.structure_plots import (
    OVER_TIME,
    Shown,
    name_of,
    plot_histogram,
    plot_nothing,
    plot_over_time,
    plot_pair_correlation,
    plot_structure_factor,
)
from napari_colloids.widgets.structure_request import Asked, Measured, measure
from napari_colloids.widgets.structure_results import Comparison

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import napari
    import pandas as pd
    from magicgui.widgets import ComboBox
    from matplotlib.axes import Axes
    from napari.layers import Points

    from napari_colloids.stack import VoxelSize
    from napari_colloids.widgets.parts.task import Work

_TIP = (
    "Measure g(r), S(q), the volume fraction, and bond order and Voronoi cell of each point on show. Frames are "
    "averaged."
)
#: Largest depth that can be typed, and one that no stack reaches.
_MAX_DEPTH, _FAR = 1e5, 1e6
#: Entries of "Show" that change with time begin with this.
_TIMED = "time:"
_CURVES = {"g": plot_pair_correlation, "s": plot_structure_factor}
_CHANGED = "The points have changed meanwhile: measure again to colour them."


class StructureWidget(Panel):
    """Measures the structure of the points on show, and colours them by it."""

    guide = "structure.md#The dock"

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__(napari_viewer)
        self.points = LayerChoice(
            self._viewer,
            is_points,
            "Points layer of the particles; only the points on show are measured. The window is the image that they "
            "were found in, else the box that they fill.",
            rank=like_detections,
            follows=True,
            label="Points",
        )
        self.slab = _slab_control()
        self.controls = controls_of(MeasurementSettings)
        self.simulation = SimulationChoice(self._viewer)
        self.status = Status()
        self.button = RunButton(
            "Measure",
            self.status,
            doing="Measuring the structure",
            prepare=self._asked_for,
            cancel_tip="Stop after the frame, or the function, that is at work.",
        )
        self.show_what = _columns(
            {"g": "g(r)", "s": "S(q)", **{f"{_TIMED}{key}": f"{name} over time" for key, name in OVER_TIME.items()}},
            "g",
            name="show",
            label="Show",
            tooltip="g(r) and S(q), with a fluid of hard spheres below their freezing; what changes from frame to "
            "frame; or how a column is distributed over the particles inside, in the colours that it gives to them.",
        )
        self.colour_by = _columns({"": "none"}, "", name="colour_by", label="Colour by", tooltip="")
        self.comparison = Comparison(self._viewer)
        self.plot = ResultPlot(
            190,
            "g(r) and S(q) with their errors (paler: what errors of the positions leave); the theory is that of hard "
            "spheres of one size. Shaded: waves too long for the window, where S(q) is not to be trusted. Over time: "
            "standard errors, dashed the mean.",
            xlabel="r",
            ylabel="g(r)",
        )
        self.export = ExportButton(self.status, self._collect)
        basic = settings_of(StructureSettings)
        self.add(
            Form([self.points, self.slab, *(self.controls[name] for name in basic)]),
            Fold(
                Form(
                    [control for name, control in self.controls.items() if name not in basic] + self.simulation.controls
                ),
                "What is known of the detection, and a simulation with the same errors: those of the positions are "
                "taken from the points.",
                self.simulation.unusual,
            ),
            self.button,
            self.button.bar.native,
            self.status,
            Form([self.show_what]),
            self.plot,
            self.comparison,
            Form([self.colour_by]),
            self.export,
        )
        remember("structure", (self.controls["neighbours"], self.controls["bands"], self.show_what))
        self.points.changed.connect(self._on_points)
        self.show_what.changed.connect(self._draw)
        self.comparison.changed.connect(self._draw)
        self.colour_by.changed.connect(self._colour)
        self.button.succeeded.connect(self._on_measured)
        self._on_points()

    @property
    def _done(self) -> Measured | None:
        """What was measured of the chosen layer."""
        return self.comparison.of(self.points.value)

    def _on_points(self) -> None:
        points = self.points.value
        known = points is not None and places.voxel_size_of(points) is not None
        self._set_unit(unit_symbol("um") if known else "voxels")
        series = points is not None and points.ndim >= 4
        entries = self.show_what.native.model()
        for index, entry in enumerate(self.show_what.choices):
            if str(entry).startswith(_TIMED):
                entries.item(index).setEnabled(series)
        if points is not None and not series and self.show_what.value.startswith(_TIMED):
            self.show_what.value = "g"
        self._refresh()
        if not self.button.busy:
            self.status.say("")
        self.status.keep("" if self._done is None else structure_summary(self._done), points)
        self._draw()

    def _set_unit(self, unit: str) -> None:
        """Set the unit of the range of z; a range in another unit is dropped."""
        for box in self.slab.parts():
            if box.native.suffix().strip() != unit:
                box.set_unit(unit)
                box.value = None

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
        self.comparison.offer(points)
        self.export.offer(self._done is not None, "Write the points with the columns of their structure.")

    def _asked_for(self) -> Work | None:
        points = self.points.value
        if points is None:
            return None
        table = table_of(points)
        if len(table) < 2:
            raise ColloidsError(f"'{points.name}' has fewer than two points on show: a structure needs more.")
        shape = image_shape_of(points, self._viewer)
        window = shape or searched_shape(table)
        if shape is not None and "settings" in table.attrs:  # they say whether all of it was searched
            table.attrs["shape"], shape = list(shape), None
        settings = MeasurementSettings(**{name: control.value for name, control in self.controls.items()})
        voxel_size = places.voxel_size_of(points)
        slab = self._slab_of(table, 1.0 if voxel_size is None else voxel_size[0])
        simulation = self.simulation.chosen(points, window, voxel_size)
        asked = Asked(ref(points), table, shape, voxel_size, settings, slab, origin_of(points), simulation)
        done = self._done
        if done is not None and asked.is_same_as(done.asked):
            return call(lambda: done)
        return lambda: measure(asked)

    def _slab_of(self, table: pd.DataFrame, height: float) -> tuple[float, float] | None:
        """Return the ends of the slab in voxels of this height; None for all."""
        low, high = self.slab.value
        if low is None and high is None:
            return None
        low, high = -_FAR if low is None else low / height, _FAR if high is None else high / height
        if not low < high:
            raise ColloidsError("The range of z must end above where it begins.")
        if table["z"].between(low, high).sum() < 2:
            raise ColloidsError("Fewer than two of the points on show lie in this range of z: give a wider one.")
        return low, high

    def _on_measured(self, measured: Measured) -> None:
        asked, points = measured.asked, measured.asked.points()
        notices = []
        if points is None or points not in self._viewer.layers:
            self.status.say(notice("The points were removed meanwhile: nothing was kept."))
            return
        if table_of(points).equals(asked.table):
            inside = np.zeros(len(asked.table), dtype=bool)
            inside[measured.found.particles.index] = True
            order_colours.add_columns(self._viewer, points, measured.found.particles, inside)
        else:
            notices.append(_CHANGED)
        self.comparison.keep(points, measured)
        if points is not self.points.value:
            notices.append(f"This is '{points.name}', which is no longer the layer that is chosen.")
        self.status.keep(structure_summary(measured, *notices), points)
        self._refresh()
        self._draw()

    def _draw(self) -> None:
        shown = [
            Shown(layer.name, measured.found, cast("float | None", measured.asked.origin.get("frame_interval")))
            for layer in (self.points.value, *self.comparison.compared())
            if (measured := self.comparison.of(layer)) is not None and layer is not None
        ]
        if shown and self._done is not None:
            shown += simulated(self._done)
        what = self.show_what.value
        if what.startswith(_TIMED):
            shown = [one for one in shown if one.found.by_frame is not None] or shown[:1]
        if shown:
            self.plot.show_result(_plot_of(shown, what), curves=len(shown))
        else:
            self.plot.show_result(plot_nothing)

    def _colour(self, column: str) -> None:
        points = self.points.value
        if points is not None:
            order_colours.colour(self._viewer, points, column)

    def _collect(self) -> Export:
        if self._done is None:
            raise ColloidsError("There is no structure to export yet: measure it first.")
        found, asked = self._done.found, self._done.asked
        origin = {
            **asked.origin,
            "options": {**asdict(asked.settings), "slab": asked.slab},
            "structure": found.record(),
        }
        name = f"{asked.origin['layer']} structure"
        return Export(found.particles, origin, f"{len(found.particles)} particles with their structure", name)


def _slab_control() -> Row:
    """Make the two boxes of a range of z."""
    tooltip = wrapped(
        "Measure only between these two depths, as though the stack ended there: z as in the table, 0 at the middle of "
        "the first slice. In micrometres where the voxel size is known, else in voxels."
    )
    ends = {"z_from": "start", "z_to": "end"}
    boxes = [NumberBox(None, 0, _MAX_DEPTH, unset=words, name=name, tooltip=tooltip) for name, words in ends.items()]
    return Row(boxes, name="slab", label="Range of z", tooltip=tooltip)


def simulated(measured: Measured) -> list[Shown]:
    """Return what is drawn of a simulation beside a structure: with the errors of the points, and without."""
    compared, simulation = measured.compared, measured.asked.simulation
    if compared is None or simulation is None:
        return []
    return [
        Shown(f"{simulation.name}, with these errors", compared.degraded),
        Shown(f"{simulation.name}, exact", compared.exact),
    ]


def _plot_of(shown: Sequence[Shown], what: str) -> Callable[[Axes], object]:
    """Return what draws one of the entries of "Show"."""
    if what in _CURVES:
        return partial(_CURVES[what], shown)
    if what.startswith(_TIMED):
        return partial(plot_over_time, shown, what.removeprefix(_TIMED))
    return partial(plot_histogram, shown, what)


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


def structure_summary(measured: Measured, *more: str) -> str:
    """Summarise a structure in words, with more notices."""
    found, slab = measured.found, measured.asked.slab
    first, *others = map(html.escape, found.lines())
    if measured.compared is not None:
        others += map(html.escape, measured.compared.lines()[1:])  # the first is the structure itself
    notices = [*([] if slab is None else [_words_of(slab, measured.asked.voxel_size)]), *found.notices, *more]
    if measured.problem:
        notices.append(measured.problem)
    return "<br>".join([f"<b>{first}</b>", *others, *map(notice, notices)])


def _words_of(slab: tuple[float, float], voxel_size: VoxelSize | None) -> str:
    height, unit = (1.0, "voxels") if voxel_size is None else (voxel_size[0], unit_symbol("um"))
    low, high = (f"{height * end:.4g}" for end in slab)
    start = "the start" if slab[0] == -_FAR else low
    end = "the end" if slab[1] == _FAR else high
    return f"Only between z = {start} and {end} ({unit}): what lies beyond was left out, also as neighbours."
