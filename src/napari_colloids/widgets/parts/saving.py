"""File dialogs for what is written: particle tables, plots."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog, QMessageBox, QWidget

from napari_colloids.io import PARTICLE_ENDINGS
from napari_colloids.io.format import dialog_filter
from napari_colloids.io.tables.registry import READ_FORMATS, TABLE_FORMATS
from napari_colloids.widgets.parts.remembered import recall, store

if TYPE_CHECKING:
    from collections.abc import Collection

#: The kinds of table that a file dialog offers to write, and to read.
FILTER, READ_FILTER = dialog_filter(TABLE_FORMATS), dialog_filter((*TABLE_FORMATS, *READ_FORMATS))
#: Key of the folder that a file was written to last.
_FOLDER = "files/folder"


def file_name(name: str) -> str:
    """Return a name without what cannot be part of a file's name."""
    return re.sub(r'[\\/:*?"<>|]', "_", name)


def ask_for_table(parent: QWidget | None, title: str, name: str) -> Path | None:
    """Ask for the file to write a table to; None if the user decides against it."""
    return ask_for_file(parent, title, name, FILTER, PARTICLE_ENDINGS)


def ask_for_file(parent: QWidget | None, title: str, name: str, filters: str, endings: Collection[str]) -> Path | None:
    """Ask for the file to write to; None if the user decides against it.

    Parameters
    ----------
    parent, title
        Of the dialog, which opens in the folder of the last file.
    name
        A proposal without an ending; what cannot be part of a file's name is replaced.
    filters
        Kinds of file that are offered, as Qt has them; the first one is proposed.
    endings
        In lower case, each with its dot: those that may be typed.
    """
    proposal = file_name(name) + _ending_in(filters)
    folder = recall(_FOLDER)
    if isinstance(folder, str) and Path(folder).is_dir():
        proposal = str(Path(folder) / proposal)
    typed, kind = QFileDialog.getSaveFileName(parent, title, proposal, filters)
    if not typed:
        return None
    path = Path(typed)
    # A dot in a name, as in beads_0.5um, does not make an ending.
    if path.suffix.lower() not in endings:
        path = Path(typed + _ending_in(kind or filters))
        # The dialog has asked for the name without the ending.
        if path.exists() and not _may_replace(parent, path):
            return None
    store(_FOLDER, str(path.parent))
    return path


def _ending_in(filters: str) -> str:
    """Return the first ending of file dialog filters."""
    found = re.search(r"\*(\.\w+)", filters)
    return found[1] if found else ""


def _may_replace(parent: QWidget | None, path: Path) -> bool:
    answer = QMessageBox.question(parent, "Replace the file?", f"{path.name} is there already. Replace it?")
    return answer == QMessageBox.StandardButton.Yes
