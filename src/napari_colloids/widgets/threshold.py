"""Threshold panel: hides points of low confidence without detecting again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from magicgui.widgets import PushButton
from qtpy.compat import isalive
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget
from superqt import QDoubleSlider
from superqt.utils import signals_blocked

from napari_colloids.detection.methods import DEFAULT_PRECISION, DEFAULT_THRESHOLD
from napari_colloids.errors import ColloidsError
from napari_colloids.widgets.edit_row import EditRow
from napari_colloids.widgets.layers import layers, writer
from napari_colloids.widgets.layers.spheres import watch
from napari_colloids.widgets.parts.export import Export, ExportButton
from napari_colloids.widgets.parts.layer_choice import LayerChoice
from napari_colloids.widgets.parts.number_box import NumberBox
from napari_colloids.widgets.parts.panel import across
from napari_colloids.widgets.parts.plots import ConfidenceHistogram
from napari_colloids.widgets.parts.wheel import leave_wheel_to_panel
from napari_colloids.widgets.refine_points import RefineButton
from napari_colloids.widgets.residual import ResidualButton

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Points
    from napari.utils.events import Event
    from qtpy.QtGui import QKeyEvent

    from napari_colloids.widgets.parts.status import Status

#: The threshold of a layer that brings none along (reloaded from a file: what was written was on show).
NO_THRESHOLD = 0.0


class _Slider(QDoubleSlider):
    """From 0 to 1; superqt's own slider leaves the keys to the window."""

    _STEP, _LONG_STEP = 0.01, 0.1

    def __init__(self, tooltip: str) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self.setRange(0.0, 1.0)
        self.setSingleStep(self._STEP)
        self.setPageStep(self._LONG_STEP)
        self.setToolTip(tooltip)
        leave_wheel_to_panel(self)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Move by a step (arrows), ten of them (page up and down), or to an end (home, end)."""
        if event is None:
            return
        moves = {
            **dict.fromkeys((Qt.Key.Key_Left, Qt.Key.Key_Down), -self._STEP),
            **dict.fromkeys((Qt.Key.Key_Right, Qt.Key.Key_Up), self._STEP),
            **{Qt.Key.Key_PageDown: -self._LONG_STEP, Qt.Key.Key_PageUp: self._LONG_STEP},
            **{Qt.Key.Key_Home: -1.0, Qt.Key.Key_End: 1.0},
        }
        move = moves.get(Qt.Key(event.key()))
        if move is None:
            super().keyPressEvent(event)
        else:
            self.setValue(min(max(self.value() + move, 0.0), 1.0))


class ThresholdPanel(QWidget):
    """Slider, live count, histogram, export, residual, edits and refinement of one Points layer.

    Follows the layer selected in napari wherever that has confidences, so it works on any result, old or reloaded.
    """

    #: Emitted when other points, or another number of them, are on show.
    counted = Signal()

    def __init__(self, viewer: ViewerModel, status: Status) -> None:
        super().__init__()
        self._viewer = viewer
        self.layers = LayerChoice(
            viewer, layers.is_result, "Points layer to filter and export: any that has a confidence per point."
        )
        tip = "Show the points with at least this confidence (probability of being a true particle)."
        self.slider = _Slider(tip)
        self.level = NumberBox(0.0, 0.0, 1.0, tooltip=tip)
        self.level.drop_buttons()  # the slider needs their room more
        self.level.max_width = 42
        self.default = PushButton(
            text=f"{DEFAULT_PRECISION:.0%} precision",
            tooltip=f"Back to the default threshold, {DEFAULT_THRESHOLD['network']:g}: there, in the hard scenes of "
            f"the benchmark, {DEFAULT_PRECISION:.0%} of the detections are particles.",
        )
        self.count = QLabel("no detections yet")
        self.histogram = ConfidenceHistogram()
        self.export = ExportButton(status, self._collect)
        self.export.offer(
            True, "Write the points on show: z, y, x and radius in voxels and, where known, in µm, with their errors."
        )
        self.residual = ResidualButton(viewer, status)
        self.refine = RefineButton(viewer, status)
        self.edits = EditRow(status)
        self._followed: Points | None = None
        self._counted = np.empty(0)

        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(across(QLabel("Points"), self.layers.native))
        column.addLayout(across(QLabel("Threshold"), self.slider, self.level.native, self.default.native))
        column.addWidget(self.histogram)
        self.count.setAlignment(Qt.AlignmentFlag.AlignRight)
        column.addWidget(self.count)  # a line of its own: there are hundreds of thousands of points
        column.addLayout(across(self.residual, self.export))
        edits = across(self.edits, self.refine)
        edits.setStretch(0, 1)
        column.addLayout(edits)

        self.layers.changed.connect(self._on_layer)
        self.slider.valueChanged.connect(self._on_threshold)
        self.level.changed.connect(lambda threshold: self.slider.setValue(threshold))
        self.histogram.picked.connect(self.slider.setValue)
        self.default.changed.connect(lambda _: self.slider.setValue(DEFAULT_THRESHOLD["network"]))
        viewer.layers.selection.events.active.connect(self._on_active)
        self._on_layer(self.layers.value)

    def _collect(self) -> Export:
        layer = self.layers.value
        if layer is None:
            raise ColloidsError("There is nothing to export yet: detect particles first.")
        table = layers.table_of(layer)  # a copy: the layer may change while it is written
        return Export(table, writer.origin_of(layer), f"{len(table)} particles", layer.name)

    def _on_active(self, event: Event) -> None:
        if isalive(self):
            self.layers.value = event.value

    def _on_layer(self, layer: Points | None) -> None:
        self._follow(layer)
        self.setEnabled(layer is not None)
        for part in (self.residual, self.refine, self.edits):
            part.follow(layer)
        if layer is None:
            self.count.setText("no detections yet")
            self.histogram.show_confidences(np.empty(0))
            return
        self.default.visible = layers.note_of(layer).get("method") == "network"
        with signals_blocked(self.slider):
            self.slider.setValue(float(layers.note_of(layer).get("threshold", NO_THRESHOLD)))
        self._show(layer)

    def _follow(self, layer: Points | None) -> None:
        """Follow the points that are added to this layer or deleted from it, and no other layer."""
        if self._followed is not None:
            self._followed.events.features.disconnect(self._on_points)
        if layer is not None:
            layer.events.features.connect(self._on_points)
        self._followed = layer

    def _on_points(self, event: Event | None = None) -> None:
        if not isalive(self) or not layers.is_result(self._followed):
            return
        if not np.array_equal(layers.confidences_of(self._followed), self._counted):
            self._show(self._followed)

    def _on_threshold(self, threshold: float) -> None:
        # Its features may be others since it was chosen.
        if layers.is_result(self.layers.value):
            self._apply(self.layers.value, threshold)

    def _show(self, layer: Points) -> None:
        self._counted = layers.confidences_of(layer)
        self.histogram.show_confidences(self._counted)
        if "threshold" in layers.note_of(layer):
            self._apply(layer, self.slider.value())
        else:  # what is hidden in a layer of others is its user's affair, until the threshold is moved
            self._tell(layer, self.slider.value())

    def _apply(self, layer: Points, threshold: float) -> None:
        # Kept with the layer, so that every layer has its own and the export can state it.
        layers.add_to_note(layer, threshold=threshold)
        watch(self._viewer).show_above(layer, threshold)
        self._tell(layer, threshold)

    def _tell(self, layer: Points, threshold: float) -> None:
        self.histogram.show_threshold(threshold)
        with self.level.changed.blocked():
            self.level.value = threshold
        self.count.setText(f"{int(layer.shown.sum())} of {len(layer.data)} shown")
        self.counted.emit()
