"""File dialog for particle tables."""

from __future__ import annotations

import re
from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QMessageBox, QWidget

from napari_colloids.io import PARTICLE_ENDINGS
from napari_colloids.io.format import dialog_filter
from napari_colloids.io.tables.registry import READ_FORMATS, TABLE_FORMATS

#: The kinds of table that a file dialog offers to write, and to read.
FILTER, READ_FILTER = dialog_filter(TABLE_FORMATS), dialog_filter((*TABLE_FORMATS, *READ_FORMATS))


def file_name(name: str) -> str:
    """Return a name without what cannot be part of a file's name."""
    return re.sub(r'[\\/:*?"<>|]', "_", name)


def ask_for_table(parent: QWidget | None, title: str, name: str) -> Path | None:
    """Ask for the file to write a table to; None if the user decides against it.

    The name is a proposal without an ending; what cannot be part of a file's name is replaced.
    """
    path, kind = QFileDialog.getSaveFileName(parent, title, file_name(name) + ".csv", FILTER)
    if not path:
        return None
    # A dot in a name, as in beads_0.5um, does not make an ending.
    if Path(path).suffix.lower() in PARTICLE_ENDINGS:
        return Path(path)
    chosen = re.search(r"\*(\.\w+)", kind)
    whole = Path(path + (chosen[1] if chosen else ".csv"))
    # The dialog has asked for the name without the ending.
    return whole if not whole.exists() or _may_replace(parent, whole) else None


def _may_replace(parent: QWidget | None, path: Path) -> bool:
    answer = QMessageBox.question(parent, "Replace the file?", f"{path.name} is there already. Replace it?")
    return answer == QMessageBox.StandardButton.Yes
