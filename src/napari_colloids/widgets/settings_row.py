"""Settings of a search that are taken over: from presets, from results in the viewer, from files beside tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.compat import isalive
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QInputDialog, QPushButton, QWidget
from superqt.utils import signals_blocked

from napari_colloids.detection.record import settings_record
from napari_colloids.errors import ColloidsError
from napari_colloids.io.files import json_object
from napari_colloids.io.tables.note import note_path
from napari_colloids.widgets.layers import layers
from napari_colloids.widgets.parts.layer_choice import ElidedCombo
from napari_colloids.widgets.parts.remembered import recall, store
from napari_colloids.widgets.parts.wheel import leave_wheel_to_panel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari.components import ViewerModel
    from napari.utils.events import Event

    from napari_colloids.widgets.parts.status import Status
    from napari_colloids.widgets.search_form import SearchForm

#: Key of the presets among what outlives the session.
_PRESETS = "presets/detect"
_CHOOSE, _FILE = "load settings…", "from a table or its .json…"


class SettingsRow(QWidget):
    """A list of settings that the form can take over, and buttons that keep the present ones under a name."""

    def __init__(self, viewer: ViewerModel, form: SearchForm, status: Status) -> None:
        super().__init__()
        self._viewer, self._form, self._status = viewer, form, status
        self.choice = ElidedCombo()
        self.choice.setToolTip(
            "Take over settings: those kept under a name, those that a result here was found with, or those beside an "
            "exported table."
        )
        leave_wheel_to_panel(self.choice)
        self.save = QPushButton("Save…")
        self.save.setToolTip("Keep the settings above under a name, for this and later sessions.")
        self.delete = QPushButton("Delete")
        self.delete.setToolTip("Forget the settings of the name that was chosen last.")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        for part in (self.choice, self.save, self.delete):
            row.addWidget(part)
        row.setStretch(0, 1)
        #: The line chosen last, and the name if it is one.
        self._chosen = self._preset = ""
        for event in (viewer.layers.events.inserted, viewer.layers.events.removed):
            event.connect(self._refill)
        self.choice.activated.connect(self._on_chosen)
        self.save.clicked.connect(self._on_save)
        self.delete.clicked.connect(self._on_delete)
        self._refill()

    def _refill(self, event: Event | None = None) -> None:
        if not isalive(self):
            return
        with signals_blocked(self.choice):
            self.choice.clear()
            self.choice.addItem(_CHOOSE, None)
            for name in sorted(_presets()):
                self.choice.addItem(name, self._taking_preset(name))
            for layer in self._viewer.layers:
                if layers.is_result(layer) and "settings" in layers.note_of(layer):
                    note = layers.note_of(layer)
                    self.choice.addItem(f"as '{layer.name}'", self._taking(note, f"those of '{layer.name}'"))
            self.choice.addItem(_FILE, self._take_file)
            self.choice.setCurrentIndex(max(self.choice.findText(self._chosen), 0))
        self.delete.setEnabled(bool(self._preset))

    def _taking(self, record: Mapping[str, object], whose: str) -> Callable[[], None]:
        def take() -> None:
            lacking = self._form.take(record)
            self._status.say(f"The settings are {whose}.{''.join(f' {one}' for one in lacking)}")

        return take

    def _taking_preset(self, name: str) -> Callable[[], None]:
        def take() -> None:
            self._taking({"settings": _presets()[name]}, f"those kept as '{name}'")()
            self._preset = name

        return take

    def _take_file(self) -> None:
        typed, _ = QFileDialog.getOpenFileName(
            self, "Settings of a table", "", "Tables and what lies beside them (*.json *.csv *.xyz *.h5 *.parquet)"
        )
        if typed:
            self.take_file(Path(typed))

    def take_file(self, path: Path) -> None:
        """Take the settings that a table was found with over, from the table's name or that of the file beside it."""
        beside = path if path.suffix.lower() == ".json" else note_path(path)
        content = json_object(beside)
        if content is None:
            raise ColloidsError(f"There is no {beside.name}, which would say how the particles were found.")
        self._taking(content, f"those of {beside.name}")()

    def _on_chosen(self, index: int) -> None:
        take = self.choice.itemData(index)
        self._preset, self._chosen = "", "" if take == self._take_file else self.choice.itemText(index)
        try:
            if take is not None:
                take()
        except ColloidsError as error:
            self._status.fail(str(error))
        self._refill()

    def _on_save(self) -> None:
        name, sure = QInputDialog.getText(self, "Save settings", "Name of these settings:", text=self._preset)
        name = name.strip()
        if not sure or not name:
            return
        try:
            settings = settings_record(self._form.options(shown_only=True))
        except ColloidsError as error:
            self._status.fail(str(error))
            return
        store(_PRESETS, {**_presets(), name: settings})
        self._preset = self._chosen = name
        self._status.say(f"The settings are kept as '{name}'.")
        self._refill()

    def _on_delete(self) -> None:
        store(_PRESETS, {name: settings for name, settings in _presets().items() if name != self._preset})
        self._status.say(f"The settings '{self._preset}' are forgotten.")
        self._preset = ""
        self._refill()


def _presets() -> dict[str, dict[str, object]]:
    """Return what was kept, by name; what an older version wrote otherwise is left out."""
    found = recall(_PRESETS)
    return {str(n): s for n, s in found.items() if isinstance(s, dict)} if isinstance(found, dict) else {}
