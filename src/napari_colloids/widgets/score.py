"""The Score widget: detections against the truth, in the challenge's figures and in more honest ones."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari.layers import Points
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QCheckBox, QGridLayout, QPushButton

from napari_colloids.errors import ColloidsError
from napari_colloids.widgets import layers, places
from napari_colloids.widgets.controls import LayerCombo, Panel, Status, form, number
from napari_colloids.widgets.plots import PrecisionRecallPlot
from napari_colloids.widgets.task import Task, call

if TYPE_CHECKING:
    import napari
    import pandas as pd

    from napari_colloids.scoring import Score

#: The three layers that show what was right and wrong, with what their check boxes say.
OUTCOMES = {
    "true positives": "Detections that match a true particle within half a diameter.",
    "false positives": "Detections that match no true particle.",
    "missed": "True particles that no detection matches.",
}


class ScoreWidget(Panel):
    """Compares the detections on show with the true particles, in the voxels of the image."""

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._task = Task(self, "Scoring")
        self._compared: _Compared | None = None
        self._outcomes: dict[str, Any] = {}

        def is_points(layer: Any) -> bool:
            return isinstance(layer, Points) and layer.ndim >= 3 and layers.note_of(layer).get("kind") not in OUTCOMES

        self.detections = LayerCombo(
            napari_viewer,
            lambda layer: is_points(layer) and layers.note_of(layer).get("kind") != "truth",
            "Points layer of the detections; only the points on show are scored.",
        )
        self.truth = LayerCombo(
            napari_viewer,
            lambda layer: is_points(layer) and layers.note_of(layer).get("kind") != "particles",
            "Points layer of the true particles.",
        )
        self.image = LayerCombo(
            napari_viewer,
            layers.is_stack,
            "The image: its voxels are the unit, its faces the border.",
        )
        self.diameter = number(
            12.0, 0.5, 1000.0, decimals=2, unit="px",
            tooltip="Diameter in lateral voxels (px): the yardstick of a match. Taken from the truth if it has radii.",
        )  # fmt: skip
        self.button = QPushButton("Score")
        self.button.setToolTip("Compare the detections on show with the truth.")
        self.status = Status()
        self.plot = PrecisionRecallPlot()
        self.toggles: dict[str, QCheckBox] = {}
        for kind, tip in OUTCOMES.items():
            box = QCheckBox(kind)
            box.setToolTip(tip)
            colour = QPixmap(10, 10)
            colour.fill(QColor(layers.COLOURS[kind]))
            box.setIcon(QIcon(colour))
            box.setEnabled(False)
            box.toggled.connect(lambda on, kind=kind: self._on_toggle(kind, on))
            self.toggles[kind] = box
        self._lay_out()
        self.truth.chosen.connect(self._on_truth)
        self.button.clicked.connect(self._on_button)
        self._task.succeeded.connect(self._on_scored)
        self._task.failed.connect(self.status.fail)
        self._task.ended.connect(self._refresh)
        for combo in (self.detections, self.truth, self.image):
            combo.chosen.connect(self._refresh)
        self._on_truth(self.truth.layer)
        self._refresh()

    @property
    def busy(self) -> bool:
        """Whether scoring is under way."""
        return self._task.running

    def _lay_out(self) -> None:
        rows = form()
        rows.addRow("Detections", self.detections)
        rows.addRow("Truth", self.truth)
        rows.addRow("Image", self.image)
        rows.addRow("Diameter", self.diameter)
        toggles = QGridLayout()
        for place, box in enumerate(self.toggles.values()):
            toggles.addWidget(box, *divmod(place, 2))
        self.column.addLayout(rows)
        self.column.addWidget(self.button)
        self.column.addWidget(self.status)
        self.column.addLayout(toggles)
        self.column.addWidget(self.plot)
        self.column.addStretch(1)

    def _refresh(self, _: Any = None) -> None:
        ready = all(combo.layer is not None for combo in (self.detections, self.truth, self.image))
        self.button.setEnabled(ready and not self._task.running)
        self.button.setText("Scoring…" if self._task.running else "Score")

    def _on_truth(self, truth: Any) -> None:
        if truth is not None and "radius" in truth.features and len(truth.features):
            self.diameter.setValue(2 * float(truth.features["radius"].median()))

    def _on_button(self) -> None:
        from napari_colloids.scoring import score

        image, detections, truth = self.image.layer, self.detections.layer, self.truth.layer
        if image is None or detections is None or truth is None:
            return
        try:
            index = places.index_of(image, self._viewer)
            stack = layers.stack_of(image, index)
            true, found = (layers.in_voxels(layer, image, index) for layer in (truth, detections))
            # The hidden points complete the curve beyond the threshold.
            every = layers.in_voxels(detections, image, index, shown_only=False)
            compared = _Compared(true, found, places.frame_of(image), index)
        except ColloidsError as error:
            self.status.fail(str(error))
            return
        diameter = self.diameter.value()

        def scored(prediction: pd.DataFrame) -> Score:
            return score(true, prediction, diameter=diameter, shape=stack.shape, voxel_size=stack.voxel_size)

        def work() -> tuple[_Compared, Score, Score]:
            shown = scored(found)
            return compared, shown, shown if len(every) == len(found) else scored(every)

        self._task.start(call(work))
        self.status.say("Scoring…")
        self._refresh()

    def _on_scored(self, result: tuple[_Compared, Score, Score]) -> None:
        compared, scored, every = result
        self._forget_outcomes()
        self._compared = compared
        compared.parts = parts_of(compared, scored)
        self.status.say(summary(scored, every.ap))
        self.plot.show_curve(every.curve.recall, every.curve.precision, (scored.recall, scored.precision))
        for kind, box in self.toggles.items():
            box.setEnabled(True)
            box.setToolTip(f"{OUTCOMES[kind]} {len(compared.parts[kind])} of them.")
            if box.isChecked():
                self._show(kind)

    def _on_toggle(self, kind: str, on: bool) -> None:
        layer = self._outcomes.get(kind)
        if layer is not None and layer in self._viewer.layers:
            layer.visible = on
        elif on:
            self._show(kind)

    def _show(self, kind: str) -> None:
        if self._compared is not None:
            self._outcomes[kind] = layers.add_layer(
                self._viewer,
                layers.particle_layer_data(
                    self._compared.parts[kind], self._compared.frame, name=kind, kind=kind, leading=self._compared.index
                ),
            )

    def _forget_outcomes(self) -> None:
        for layer in self._outcomes.values():
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
        self._outcomes = {}


@dataclass
class _Compared:
    """The tables that were compared, in image voxels, and where they belong in the world."""

    truth: pd.DataFrame
    found: pd.DataFrame
    frame: dict[str, Any]
    index: tuple[int, ...]
    parts: dict[str, pd.DataFrame] = field(default_factory=dict)


def parts_of(compared: _Compared, scored: Score) -> dict[str, pd.DataFrame]:
    """Sort particles into the three outcomes; those at the border may be in none."""
    return {
        "true positives": compared.found[scored.true_positive_mask],
        "false positives": compared.found[scored.false_positive_mask],
        "missed": compared.truth[scored.missed_mask],
    }


def summary(scored: Score, ranked_ap: float) -> str:
    """Lay the figures out as a small table; `ranked_ap` is the AP over all confidences."""
    rmse = ", ".join(f"{axis} {scored.rmse[axis]:.2f}" for axis in "zyx") if scored.true_positives else "none"
    rows = {
        "Challenge AP": f"{scored.challenge_ap:.3f}",
        "AP by confidence": f"{ranked_ap:.3f}",
        "Precision": f"{scored.precision:.3f}",
        "Recall": f"{scored.recall:.3f}",
        "F1": f"{scored.f1:.3f}",
        "RMSE (voxels)": rmse,
        "Right / false / missed": f"{scored.true_positives} / {scored.false_positives} / {scored.false_negatives}",
    }
    cells = "".join(
        f"<tr><td>{html.escape(name)}&nbsp;&nbsp;</td><td><b>{html.escape(value)}</b></td></tr>"
        for name, value in rows.items()
    )
    return f"<table>{cells}</table>"
