"""The Score dock: detections against the true particles, by the challenge's metric and by standard ones."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated
from weakref import ref

from magicgui.widgets import CheckBox
from napari.layers import Points
from qtpy.compat import isalive
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QGridLayout, QWidget

from napari_colloids.errors import ColloidsError
from napari_colloids.settings import Setting
from napari_colloids.widgets.layers import layers, places
from napari_colloids.widgets.layers.spheres import add_layer
from napari_colloids.widgets.parts.controls import Form, controls_of
from napari_colloids.widgets.parts.layer_choice import LayerChoice
from napari_colloids.widgets.parts.panel import Panel
from napari_colloids.widgets.parts.plots import ResultPlot
from napari_colloids.widgets.parts.run_button import RunButton
from napari_colloids.widgets.parts.status import Status
from napari_colloids.widgets.parts.task import call

if TYPE_CHECKING:
    import napari
    import pandas as pd
    from napari.layers import Image, Layer
    from napari.utils.events import Event

    from napari_colloids.scoring import Score
    from napari_colloids.widgets.parts.task import Work

#: The three layers that show what was right and wrong, with what their check boxes say.
OUTCOMES = {
    "true positives": "Detections that match a true particle within half a diameter.",
    "false positives": "Detections that match no true particle.",
    "missed": "True particles that no detection matches.",
}


@dataclass(frozen=True)
class Matching:
    """Criterion of a match between a detection and a true particle."""

    #: Taken from the truth if that has radii.
    diameter: Annotated[
        float, Setting(label="Diameter", help="A match lies within half a diameter.", unit="px", low=0.5, high=1000)
    ] = 12.0


class ScoreWidget(Panel):
    """Compares the detections on show with the true particles, in the voxels of the image."""

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__(napari_viewer)
        self._compared: _Compared | None = None
        self._outcomes: dict[str, Points] = {}
        self.detections = LayerChoice(
            self._viewer,
            lambda layer: is_points(layer) and kind_of(layer) != "truth",
            "Points layer of the detections; only the points on show are scored.",
            rank=like_detections,
            label="Detections",
        )
        self.truth = LayerChoice(
            self._viewer,
            is_points,  # a table from a file does not say whether it holds the truth
            "Points layer of the true particles.",
            rank=like_truth,
            label="Truth",
        )
        self.image = LayerChoice(
            self._viewer, layers.is_stack, "The image: its voxels are the unit, its faces the border.", label="Image"
        )
        self.controls = controls_of(Matching)
        self.status = Status()
        self.button = RunButton("Score", self.status, doing="Scoring", prepare=self._asked_for)
        self.plot = ResultPlot(
            150,
            "Precision against recall when points are taken in order of falling confidence.",
            xlabel="recall",
            ylabel="precision",
            xlim=(0, 1.02),
            ylim=(0, 1.05),
        )
        self.toggles = {kind: self._toggle(kind, tip) for kind, tip in OUTCOMES.items()}
        toggles = QWidget()
        grid = QGridLayout(toggles)
        grid.setContentsMargins(0, 0, 0, 0)
        for number, box in enumerate(self.toggles.values()):
            grid.addWidget(box.native, *divmod(number, 2))
        form = Form([self.detections, self.truth, self.image, *self.controls.values()])
        self.add(form, self.button, self.status, toggles, self.plot)
        for choice in (self.truth, self.image):
            choice.changed.connect(self._take_diameter)
        for choice in (self.detections, self.truth, self.image):
            choice.changed.connect(self._refresh)
        self._viewer.layers.events.removed.connect(self._on_outcome)
        self.button.succeeded.connect(self._on_scored)
        self._take_diameter()
        self._refresh()

    def _toggle(self, kind: str, tip: str) -> CheckBox:
        box = CheckBox(text=kind, tooltip=tip, enabled=False)
        colour = QPixmap(10, 10)
        colour.fill(QColor(layers.COLOURS[kind]))
        box.native.setIcon(QIcon(colour))
        box.changed.connect(lambda on: self._on_toggle(kind, on))
        return box

    def _refresh(self) -> None:
        names = ("detections (run Detect, or open a table)", "true particles (open a table of them)", "a 3D image")
        choices = (self.detections, self.truth, self.image)
        missing = [name for name, choice in zip(names, choices, strict=True) if choice.value is None]
        tip = f"Missing: {', '.join(missing)}." if missing else "Compare the detections on show with the truth."
        self.button.offer(not missing, tip)

    def _take_diameter(self) -> None:
        """Set the diameter to that of the true particles, in voxels of the image."""
        truth, image = self.truth.value, self.image.value
        if truth is None or "radius" not in truth.features or not len(truth.features):
            return
        try:
            pixel = 1.0 if image is None else abs(float(places.into_voxels(truth, image)[0][-1]))
        except ColloidsError:  # one of them does not lie straight, which is said once they are to be scored
            return
        self.controls["diameter"].value = 2 * float(truth.features["radius"].median()) * pixel

    def _asked_for(self) -> Work | None:
        from napari_colloids.scoring import score

        image, detections, truth = self.image.value, self.detections.value, self.truth.value
        if image is None or detections is None or truth is None:
            return None
        if detections is truth:
            raise ColloidsError(f"'{truth.name}' is chosen as the detections and as the truth: choose another for one.")
        index = places.index_of(image, self._viewer)
        stack = layers.stack_of(image, index)
        true, found = (layers.in_voxels(layer, image, index) for layer in (truth, detections))
        # The hidden points complete the curve beyond the threshold.
        every = layers.in_voxels(detections, image, index, shown_only=False)
        compared = _Compared(true, found, image.name, ref(image), places.place_of(image), index)
        diameter = self.controls["diameter"].value

        def scored(prediction: pd.DataFrame) -> Score:
            return score(true, prediction, diameter=diameter, shape=stack.shape, voxel_size=stack.voxel_size)

        def work() -> tuple[_Compared, Score, Score]:
            shown = scored(found)
            return compared, shown, shown if len(every) == len(found) else scored(every)

        return call(work)

    def _on_scored(self, result: tuple[_Compared, Score, Score]) -> None:
        compared, scored, every = result
        self._forget_outcomes()
        self._compared = compared
        compared.parts = outcomes_of(compared, scored)
        self.status.say(score_summary(scored, every.ap))
        self.plot.show_result(
            lambda axes: every.curve.plot(axes).plot(scored.recall, scored.precision, "o", markersize=5)
        )
        for kind, box in self.toggles.items():
            box.enabled = True
            box.tooltip = f"{OUTCOMES[kind]} {len(compared.parts[kind])} of them."
            if box.value:
                self._show(kind)

    def _on_toggle(self, kind: str, on: bool) -> None:
        layer = self._outcomes.get(kind)
        if layer is not None:
            layer.visible = on
        elif on:
            self._show(kind)

    def _show(self, kind: str) -> None:
        compared = self._compared
        if compared is None:
            return
        table, note = compared.parts[kind], {"image": compared.name}
        described = layers.particle_layer_data(
            table, compared.place, name=kind, kind=kind, leading=compared.index, note=note
        )
        layer = self._outcomes[kind] = add_layer(self._viewer, described, compared.image())
        layer.events.visible.connect(self._on_outcome)

    def _on_outcome(self, event: Event | None = None) -> None:
        """Check the boxes of the outcomes that are on show, and no others."""
        if not isalive(self):
            return
        for kind, layer in list(self._outcomes.items()):
            here = layer in self._viewer.layers
            if not here:
                del self._outcomes[kind]
            self.toggles[kind].value = here and layer.visible

    def _forget_outcomes(self) -> None:
        outcomes, self._outcomes = self._outcomes, {}
        for layer in outcomes.values():
            self._viewer.layers.remove(layer)


@dataclass
class _Compared:
    """The tables that were compared, in voxels of the image, and the place of the image."""

    truth: pd.DataFrame
    found: pd.DataFrame
    #: Of the image, and the image itself if it is still there.
    name: str
    image: ref[Image]
    place: places.Place
    index: tuple[int, ...]
    parts: dict[str, pd.DataFrame] = field(default_factory=dict)


def kind_of(layer: Layer) -> object:
    """Return the kind of a layer of this plugin; None for other layers."""
    return layers.note_of(layer).get("kind")


def is_points(layer: Layer) -> bool:
    """Whether a layer may hold particles: 3D points that are no outcome of scoring."""
    return isinstance(layer, Points) and layer.ndim >= 3 and kind_of(layer) not in OUTCOMES


def like_detections(layer: Layer) -> int:
    """Rank of a layer as detections: those of Detect have confidences."""
    return (kind_of(layer) == "particles") + layers.is_result(layer)


def like_truth(layer: Layer) -> int:
    """Rank of a layer as true particles: noted as such, or else a table without confidences."""
    kind = kind_of(layer)
    return 2 if kind == "truth" else int(kind == "particles" and not layers.is_result(layer))


def outcomes_of(compared: _Compared, scored: Score) -> dict[str, pd.DataFrame]:
    """Sort particles into the three outcomes; those at the border may be in none."""
    return {
        "true positives": compared.found[scored.true_positive_mask],
        "false positives": compared.found[scored.false_positive_mask],
        "missed": compared.truth[scored.missed_mask],
    }


def score_summary(scored: Score, ranked_ap: float) -> str:
    """Format the metrics as a small table; `ranked_ap` is the average precision over all confidences."""
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
