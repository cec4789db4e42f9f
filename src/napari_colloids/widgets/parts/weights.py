"""A control for the network's weights: the bundled ones, or those of a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from magicgui.widgets import ComboBox
from qtpy.QtWidgets import QFileDialog

from napari_colloids.widgets.parts.controls import about_of, shaped

if TYPE_CHECKING:
    from napari_colloids.settings import Field

#: What a file dialog shows.
FILTER = "Weights (*.safetensors)"
_ASK = ""


class WeightsChoice(ComboBox):
    """The path of a file that the user chose, or None for the bundled weights."""

    null_string = "bundled"

    def __init__(self, field: Field) -> None:
        self._files: list[str] = []
        super().__init__(choices=self._choices, nullable=True, **about_of(field))
        shaped(self)
        self._last = self.value
        self.native.activated.connect(self._on_activated)

    def _choices(self, _: object) -> list[tuple[str, str]]:
        return [*((Path(file).name, file) for file in self._files), ("a file…", _ASK)]

    def _on_activated(self, _: int) -> None:
        if self.value == _ASK:
            path, _filter = QFileDialog.getOpenFileName(self.native, "Open the network's weights", "", FILTER)
            if path and path not in self._files:
                self._files.append(path)
                self.reset_choices()
            self.value = path or self._last
        self._last = self.value
