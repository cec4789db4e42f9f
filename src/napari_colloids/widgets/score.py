"""The Score dock: detections against the true particles, by the challenge's metric and by standard ones, or others."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, NamedTuple
from weakref import ref

from napari.layers import Points

from napari_colloids.errors import ColloidsError
from napari_colloids.formatting import error_words
from napari_colloids.settings import Setting
from napari_colloids.widgets.layers import layers, places
from napari_colloids.widgets.outcomes import OF_A_COMPARISON, OF_A_SCORE, Compared, Outcomes
from napari_colloids.widgets.parts.controls import Form, controls_of
from napari_colloids.widgets.parts.layer_choice import LayerChoice
from napari_colloids.widgets.parts.panel import Panel
from napari_colloids.widgets.parts.plots import ResultPlot
from napari_colloids.widgets.parts.run_button import RunButton
from napari_colloids.widgets.parts.status import Status
from napari_colloids.widgets.parts.task import call

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import napari
    import pandas as pd
    from matplotlib.axes import Axes
    from napari.layers import Layer

    from napari_colloids.scoring import Comparison, Score
    from napari_colloids.stack import VoxelSize
    from napari_colloids.widgets.parts.task import Work


@dataclass(frozen=True)
class Matching:
    """What detections are matched with, and the criterion of a match."""

    against: Annotated[
        str,
        Setting(
            label="Against",
            help="The truth, where it is known, for precision and recall; or other detections (method, threshold, half "
            "of the light): what both have, what one alone has, and how far apart they are.",
            choices={"truth": "true particles", "other": "other detections"},
        ),
    ] = "truth"
    #: Taken from the truth if that has radii.
    diameter: Annotated[
        float, Setting(label="Diameter", help="A match lies within half a diameter.", unit="px", low=0.5, high=1000)
    ] = 12.0


class ScoreWidget(Panel):
    """Compares the detections on show with the true particles, or with others, in the voxels of the image."""

    guide = "tutorial.md#Score"

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__(napari_viewer)
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
        self.other = LayerChoice(
            self._viewer,
            is_points,
            "Points layer of the other detections; only the points on show are compared.",
            rank=lambda layer: like_detections(layer) - (layer is self.detections.value) * 9,
            label="Others",
        )
        self.image = LayerChoice(
            self._viewer, layers.is_stack, "The image: its voxels are the unit, its faces the border.", label="Image"
        )
        self.controls = controls_of(Matching)
        self.status = Status()
        self.button = RunButton("Score", self.status, doing="Scoring", prepare=self._asked_for)
        self.plot = ResultPlot(
            150,
            "Against the truth: precision against recall when points are taken in order of falling confidence. Against "
            "other detections: displacements along each axis.",
            xlabel="recall",
            ylabel="precision",
            xlim=(0, 1.02),
            ylim=(0, 1.05),
        )
        self.outcomes = {
            "truth": Outcomes(self._viewer, OF_A_SCORE),
            "other": Outcomes(self._viewer, OF_A_COMPARISON),
        }
        against, diameter = (self.controls[name] for name in ("against", "diameter"))
        self._form = Form([self.detections, against, self.truth, self.other, self.image, diameter])
        self.add(self._form, self.button, self.status, *self.outcomes.values(), self.plot)
        for choice in (self.truth, self.image):
            choice.changed.connect(self._take_diameter)
        for control in (self.detections, self.truth, self.other, self.image, against):
            control.changed.connect(self._refresh)
        self.button.succeeded.connect(self._on_compared)
        self._take_diameter()
        self._refresh()

    @property
    def _against_truth(self) -> bool:
        return bool(self.controls["against"].value == "truth")

    def _refresh(self) -> None:
        for choice, shown in ((self.truth, self._against_truth), (self.other, not self._against_truth)):
            self._form.show_row(choice, shown)
        for kind, outcomes in self.outcomes.items():
            outcomes.setVisible(kind == self.controls["against"].value)
        second = "true particles (open a table of them)" if self._against_truth else "other detections"
        names = ("detections (run Detect, or open a table)", second, "a 3D image")
        choices = (self.detections, self._second, self.image)
        missing = [name for name, choice in zip(names, choices, strict=True) if choice.value is None]
        with_what = "the truth" if self._against_truth else "the others"
        tip = f"Missing: {', '.join(missing)}." if missing else f"Compare the detections on show with {with_what}."
        self.button.offer(not missing, tip)

    @property
    def _second(self) -> LayerChoice:
        """What the detections are compared with."""
        return self.truth if self._against_truth else self.other

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
        image, detections, second = self.image.value, self.detections.value, self._second.value
        if image is None or detections is None or second is None:
            return None
        against_truth = self._against_truth
        if detections is second:
            role = "the truth" if against_truth else "the others"
            raise ColloidsError(f"'{second.name}' is chosen as the detections and as {role}: choose another for one.")
        index = places.index_of(image, self._viewer)
        stack = layers.stack_of(image, index)
        reference, found = (layers.in_voxels(layer, image, index) for layer in (second, detections))
        # The hidden points complete the curve beyond the threshold.
        every = layers.in_voxels(detections, image, index, shown_only=False) if against_truth else found
        where = image.name, ref(image), places.place_of(image), index
        diameter, shape, size = self.controls["diameter"].value, stack.shape, stack.voxel_size

        def work() -> tuple[str, Compared, _Answer]:
            if against_truth:
                answer = _scored(reference, found, every, diameter=diameter, shape=shape, voxel_size=size)
            else:
                answer = _compared(found, reference, diameter=diameter, voxel_size=size)
            return ("truth" if against_truth else "other"), Compared(answer.parts, *where), answer

        return call(work)

    def _on_compared(self, result: tuple[str, Compared, _Answer]) -> None:
        against, compared, answer = result
        self.outcomes[against].offer(compared)
        self.status.keep(answer.summary, self.detections.value, self._second.value)
        self.plot.show_result(answer.plot)


class _Answer(NamedTuple):
    """The particles of each outcome, the figures as a table, and what draws the plot."""

    parts: dict[str, pd.DataFrame]
    summary: str
    plot: Callable[[Axes], object]


def _scored(
    truth: pd.DataFrame,
    found: pd.DataFrame,
    every: pd.DataFrame,
    *,
    diameter: float,
    shape: tuple[int, int, int],
    voxel_size: VoxelSize | None,
) -> _Answer:
    """Score the detections on show against the truth, and draw the curve of all of them."""
    from napari_colloids.scoring import score

    def scored(prediction: pd.DataFrame) -> Score:
        return score(truth, prediction, diameter=diameter, shape=shape, voxel_size=voxel_size)

    shown = scored(found)
    whole = shown if len(every) == len(found) else scored(every)
    parts = {
        "true positives": found[shown.true_positive_mask],
        "false positives": found[shown.false_positive_mask],
        "missed": truth[shown.missed_mask],
    }

    def plot(axes: Axes) -> object:
        return whole.curve.plot(axes).plot(shown.recall, shown.precision, "o", markersize=5)

    return _Answer(parts, score_summary(shown, whole.ap, voxel_size), plot)


def _compared(first: pd.DataFrame, second: pd.DataFrame, *, diameter: float, voxel_size: VoxelSize | None) -> _Answer:
    """Compare the detections on show with others."""
    from napari_colloids.scoring import compare

    result = compare(first, second, diameter=diameter, voxel_size=voxel_size)
    parts = {
        "in both": first.iloc[result.first_index],
        "only in the first": first[result.only_first],
        "only in the second": second[result.only_second],
    }
    return _Answer(parts, comparison_summary(result, voxel_size), result.plot)


def kind_of(layer: Layer) -> object:
    """Return the kind of a layer of this plugin; None for other layers."""
    return layers.note_of(layer).get("kind")


def is_points(layer: Layer) -> bool:
    """Whether a layer may hold particles: 3D points that are no outcome of scoring."""
    return isinstance(layer, Points) and layer.ndim >= 3 and kind_of(layer) not in {**OF_A_SCORE, **OF_A_COMPARISON}


def like_detections(layer: Layer) -> int:
    """Rank of a layer as detections: those of Detect have confidences."""
    return (kind_of(layer) == "particles") + layers.is_result(layer)


def like_truth(layer: Layer) -> int:
    """Rank of a layer as true particles: noted as such, or else a table without confidences."""
    kind = kind_of(layer)
    return 2 if kind == "truth" else int(kind == "particles" and not layers.is_result(layer))


def score_summary(scored: Score, ranked_ap: float, voxel_size: VoxelSize | None) -> str:
    """Format the metrics as a small table; `ranked_ap` is the average precision over all confidences.

    Lengths are in nanometres where the voxel size (micrometres) is known.
    """
    return _table(
        {
            "Challenge AP": f"{scored.challenge_ap:.3f}",
            "AP by confidence": f"{ranked_ap:.3f}",
            "Precision": f"{scored.precision:.3f}",
            "Recall": f"{scored.recall:.3f}",
            "F1": f"{scored.f1:.3f}",
            "RMSE": error_words(scored.rmse, voxel_size) if scored.true_positives else "none",
            "Right / false / missed": f"{scored.true_positives} / {scored.false_positives} / {scored.false_negatives}",
            "Not counted": f"{scored.ignored_predictions} detections, {scored.ignored_truths} true",
        }
    ) + _border_words(scored, voxel_size)


def _border_words(scored: Score, voxel_size: VoxelSize | None) -> str:
    """Return why some particles are not counted; empty where all are."""
    if not scored.ignored_predictions and not scored.ignored_truths:
        return ""
    border = scored.diameter / 2
    length = f"{border:.3g} px" if voxel_size is None else f"{border * voxel_size[2]:.3g} µm"
    return (
        f"Not counted: particles less than half a diameter ({length}) from a face of the image, where they are cut off."
    )


def comparison_summary(result: Comparison, voxel_size: VoxelSize | None) -> str:
    """Format the figures of a comparison as a small table, in nanometres where the voxel size is known."""
    return _table(
        {
            "In both": f"{result.common}",
            "Only first / second": f"{result.only_first.sum()} / {result.only_second.sum()}",
            "Share of the first": f"{result.share_of_first:.3f}",
            "Share of the second": f"{result.share_of_second:.3f}",
            "Offset": error_words(result.offset, voxel_size) if result.common else "none",
            "Spread": error_words(result.spread, voxel_size) if result.common else "none",
        }
    )


def _table(rows: Mapping[str, str]) -> str:
    cells = "".join(
        f"<tr><td>{html.escape(name)}&nbsp;&nbsp;</td><td><b>{html.escape(value)}</b></td></tr>"
        for name, value in rows.items()
    )
    return f"<table>{cells}</table>"
