"""The Detect dock: choose an image, click Detect, move the threshold, export."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.compat import isalive

from napari_colloids.detection.warm_up import warm_up
from napari_colloids.widgets.layers import layers
from napari_colloids.widgets.parts.panel import Panel
from napari_colloids.widgets.parts.run_button import RunButton
from napari_colloids.widgets.parts.status import Status, notice
from napari_colloids.widgets.results import Partial, detection_summary, show
from napari_colloids.widgets.search_form import SearchForm
from napari_colloids.widgets.settings_row import SettingsRow
from napari_colloids.widgets.threshold import ThresholdPanel

if TYPE_CHECKING:
    import napari
    import pandas as pd
    from napari.layers import Points
    from napari.utils.events import Event

    from napari_colloids.widgets.parts.task import Work
    from napari_colloids.widgets.search import Search


class DetectWidget(Panel):
    """Finds the particles of an image layer.

    Every run adds a layer of its own, ``<image> particles``, in the place of the image; the result before it is kept,
    hidden, so that two settings can be compared. Controls begin as they were left last time, if it `remembers`.
    """

    guide = "tutorial.md#Detect"

    def __init__(self, napari_viewer: napari.viewer.Viewer, *, remembers: bool = True) -> None:
        super().__init__(napari_viewer)
        self._search: Search | None = None
        self._partial: Partial | None = None
        #: Of the last search that came to its end, with its layer.
        self._found: tuple[pd.DataFrame, Points] | None = None
        self.form = SearchForm(self._viewer, remembers=remembers)
        self.controls = self.form.controls
        self.status = Status()
        self.settings = SettingsRow(self._viewer, self.form, self.status)
        self.button = RunButton(
            "Detect",
            self.status,
            doing="Detecting particles",
            prepare=self._asked_for,
            cancel_tip="Stop after the tile or the block of particles that is at work; frames that are done are kept.",
            kept=self._keep_done,
        )
        self.threshold = ThresholdPanel(self._viewer, self.status)
        self.button.take_turns_with(self.threshold.residual)
        self.button.take_turns_with(self.threshold.refine)
        self.threshold.residual.take_turns_with(self.threshold.refine)
        self.button.succeeded.connect(self._on_found)
        self.threshold.counted.connect(self._sum_up)
        self.form.image.changed.connect(self._on_image)
        self._viewer.layers.selection.events.active.connect(self._on_active)
        self.add(self.form, self.settings, self.button, self.button.bar.native, self.status, self.threshold)
        self._on_image()
        warm_up()

    def _on_image(self) -> None:
        ready = self.form.image.value is not None
        self.button.offer(ready, "Find the particles of the image." if ready else "Load a 3D image first.")
        if not self.button.busy:
            self.status.say("")  # what was said was about the image before

    def _on_active(self, event: Event) -> None:
        """Say why an image that was added or selected cannot be searched."""
        refused = layers.refusal(event.value) if isalive(self) else ""
        if refused and not self.button.busy:
            self.status.say(notice(refused), event.value)

    def _asked_for(self) -> Work | None:
        search = self.form.search()
        if search is None:
            return None
        if not search.goes_on_with(self._search):
            self._partial = None
        self._search = search
        return search.run

    def _on_found(self, search: Search) -> None:
        table = search.table()
        layer = self._show(search, table)
        self._search = self._partial = None
        self._found = table, layer
        self._sum_up()

    def _sum_up(self) -> None:
        """Say what was found, with the number of points on show now."""
        if self._found is not None and self._found[1] in self._viewer.layers:
            table, layer = self._found
            self.status.keep(detection_summary(table, int(layer.shown.sum())), layer)

    def _keep_done(self) -> str:
        """Show the frames that a search has done before it was stopped, and say so; empty where there are none."""
        search = self._search
        if search is None or not search.found_any:
            return ""
        self._partial = Partial(self._show(search, search.table()))
        return (
            f": {len(search.tables)} of {len(search.parts)} frames are done and on show. Detect goes on from there, "
            "unless a setting is changed."
        )

    def _show(self, search: Search, table: pd.DataFrame) -> Points:
        layer = show(self._viewer, search, table, self._partial if search.went_on else None)
        self.threshold.layers.value = layer
        return layer
