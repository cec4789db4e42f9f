"""The Assess dock: what a detection is worth without ground truth, predicted from stacks simulated like the image."""

from __future__ import annotations

import html
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_colloids.detection import Record
from napari_colloids.errors import ColloidsError
from napari_colloids.formatting import error_words
from napari_colloids.widgets.layers import layers, places
from napari_colloids.widgets.layers.origin import image_of
from napari_colloids.widgets.parts.controls import Form
from napari_colloids.widgets.parts.layer_choice import LayerChoice
from napari_colloids.widgets.parts.panel import Panel
from napari_colloids.widgets.parts.plots import ResultPlot
from napari_colloids.widgets.parts.run_button import RunButton
from napari_colloids.widgets.parts.saving import ask_for_file
from napari_colloids.widgets.parts.status import Status, notice
from napari_colloids.widgets.parts.task import call

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    import napari
    from napari.layers import Image, Points
    from napari.utils.events import Event

    from napari_colloids.assessment import Assessment
    from napari_colloids.detection import Options
    from napari_colloids.progress import Progress
    from napari_colloids.stack import Stack
    from napari_colloids.widgets.parts.task import Work

_TIP = (
    "Measure image and particles, simulate stacks like them, search these with the same settings, and predict "
    "precision and recall; takes a minute or two. Where no simulation describes the image there is no prediction."
)
_FILTER = "Web page (*.html)"


class AssessWidget(Panel):
    """Predicts precision, recall and localisation error of the points on show, without any truth."""

    guide = "assessment.md"

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__(napari_viewer)
        self._done: _Assessed | None = None
        self.points = LayerChoice(
            self._viewer,
            layers.is_result,
            "Points that were detected here: their image and settings are taken, and the threshold on show.",
            follows=True,
            label="Points",
        )
        self.status = Status()
        self.button = RunButton(
            "Assess",
            self.status,
            doing="Simulating stacks",
            prepare=self._asked_for,
            cancel_tip="Stop after the stack that is at work.",
        )
        self.plot = ResultPlot(
            170,
            "Predicted precision (first line) and recall for every threshold; the dotted line is the one in use.",
            xlabel="threshold",
            ylabel="predicted precision, recall",
        )
        self.save = RunButton("Save report…", self.status, doing="Writing the report", prepare=self._ask)
        self.add(Form([self.points]), self.button, self.button.bar.native, self.status, self.plot, self.save)
        self.points.changed.connect(self._refresh)
        for event in (self._viewer.layers.events.inserted, self._viewer.layers.events.removed):
            event.connect(self._refresh)
        self.button.succeeded.connect(self._on_done)
        self.save.succeeded.connect(self.status.say)
        self._refresh()

    def write(self, path: Path) -> None:
        """Write the report of the last assessment to a file."""
        self.save.run(lambda: None if self._done is None else _writing(self._done, path))

    def _image(self) -> Image | None:
        return image_of(self.points.value, self._viewer.layers)

    def _refresh(self, event: Event | None = None) -> None:
        ready = self._image() is not None
        self.button.offer(ready, _TIP if ready else "Needs points that were detected here, and their image.")
        self.save.offer(self._done is not None, "Write figures and pictures as one web page.")

    def _asked_for(self) -> Work | None:
        points, image = self.points.value, self._image()
        if points is None or image is None:
            return None
        index = places.index_of(image, self._viewer)
        asked = _Asked(points, image.data, index, _options_of(points))
        done = self._done
        if done is not None and asked.is_same_as(done.asked):
            return call(lambda: done)
        stack = layers.stack_of(image, index)
        return lambda: _assess(stack, image.name, asked)

    def _on_done(self, assessed: _Assessed) -> None:
        self._done, found = assessed, assessed.assessment
        layers.add_to_note(assessed.asked.points, assessment=found.as_dict())
        self.status.keep(assessment_summary(found), assessed.asked.points)
        if found.prediction is None:
            self.plot.show_result(lambda axes: axes.set(xlabel="threshold", ylabel="no prediction"))
        else:
            self.plot.show_result(found.plot)
        self._refresh()

    def _ask(self) -> Work | None:
        if self._done is None:
            return None
        path = ask_for_file(self, "Save the report", f"{self._done.name} report", _FILTER, [".html", ".htm"])
        return None if path is None else _writing(self._done, path)


@dataclass(frozen=True)
class _Assessed:
    """An assessment, and the name of the image; the layer may be renamed or removed meanwhile."""

    name: str
    assessment: Assessment
    asked: _Asked


@dataclass(frozen=True, eq=False)
class _Asked:
    """What an assessment depends on, beside the twins."""

    points: Points
    data: object
    index: tuple[int, ...]
    options: Options

    def is_same_as(self, other: _Asked) -> bool:
        """Whether nothing has changed, so that the result would be the same."""
        same = self.points is other.points and self.data is other.data
        return same and (self.index, self.options) == (other.index, other.options)


def _options_of(points: Points) -> Options:
    """Return the settings that points were found with, and the threshold that they are shown with.

    Raises
    ------
    ColloidsError
        If the layer does not say.
    """
    note = layers.note_of(points)
    try:
        record = Record.from_attrs({str(name): value for name, value in note.items()})
    except ColloidsError as error:
        raise ColloidsError(f"'{points.name}' does not say how it was found: detect the particles again.") from error
    threshold = float(note.get("threshold", record.threshold))
    return replace(record.options(), diameter=record.diameter, diameter_um=None, threshold=threshold)


def _assess(stack: Stack, name: str, asked: _Asked) -> Generator[Progress, None, _Assessed]:
    from napari_colloids.assessment import iter_assess

    return _Assessed(name, (yield from iter_assess(stack, asked.options)), asked)


def _writing(assessed: _Assessed, path: Path) -> Work:
    from napari_colloids.assessment.report import report
    from napari_colloids.io import atomic_write

    def write() -> str:
        with atomic_write(path) as temporary:
            temporary.write_text(report(assessed.assessment, assessed.name), encoding="utf-8")
        return f"Wrote the report to {html.escape(str(path))}."

    return call(write)


def assessment_summary(found: Assessment) -> str:
    """Summarise an assessment: prediction or refusal, then the verdicts on the image."""
    predicted = found.prediction
    if predicted is None:
        lines = ["<b>No prediction</b>: no model here describes this image.", *map(notice, found.reasons)]
    else:
        lines = [
            f"<b>Precision {predicted.precision!r}, recall {predicted.recall!r}</b>, predicted from {found.n_twins} "
            f"simulated stacks at a threshold of {found.threshold:.2f}.",
            f"Localisation error: {error_words(predicted.rmse, found.sample.voxel_size)}.",
        ]
        lowest = found.threshold_for_95
        if lowest is not None:
            lines.append(f"Predicted precision is 95 % from a threshold of {lowest:.2f} on.")
    lines += [f"{name}: {html.escape(words)}" for name, words in found.checks.words().items()]
    lines += map(notice, found.checks.disagreements)
    if found.arranged_as_found:
        lines.append("Not a random packing of one kind: the simulated stacks are arranged as what was found.")
    if found.quality is not None:
        lines += [f"{name}: {html.escape(words)}" for name, words in found.quality.verdicts().items()]
    return "<br>".join(lines)
