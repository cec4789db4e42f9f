"""The note beside a table, ``<table>.json``: where it comes from, and how many rows it has."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from napari_colloids.errors import ColloidsError
from napari_colloids.io.files import AnyPath, json_object, to_json
from napari_colloids.stack import checked_voxel_size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_colloids.stack import VoxelSize

#: Key of the number of rows; `napari_colloids.detect` on the command line also writes ``particles``.
_ROWS = "table_rows"
_TEXT_ENDINGS = (".csv", ".xyz")


def note_path(path: AnyPath) -> Path:
    """Return the path of the note beside a table."""
    return Path(f"{Path(path)}.json")


def note_text(metadata: Mapping[str, object], rows: int) -> str:
    """Return the text of a note."""
    return to_json({**metadata, _ROWS: rows})


class Note:
    """The note of a table as it is on the disk; empty where there is none.

    Attributes
    ----------
    content
        What was written about the table.
    problem
        Why a note that is there cannot be used; empty otherwise.
    """

    def __init__(self, table: Path) -> None:
        self._table = table
        self.content: dict[str, object] = {}
        self.problem = ""
        self._rows: int | None = None
        path = note_path(table)
        try:
            self.content = json_object(path) or {}
        except ColloidsError:
            self.problem = f"the note beside it, {path.name}, is damaged and was ignored"
        rows = self.content.pop(_ROWS, None)
        # Of a batch, for a later run of it: many, and pandas copies what is in ``attrs`` with every operation.
        self.content.pop("volumes", None)
        if rows is None and {"fingerprint", "options"} <= self.content.keys():
            rows = self.content.get("particles")
        if isinstance(rows, int) and not isinstance(rows, bool):
            self._rows = rows

    @property
    def voxel_size(self) -> VoxelSize | None:
        """Micrometres ``(z, y, x)``; None where the note does not say it."""
        size = self.content.get("voxel_size")
        try:
            return checked_voxel_size(size if isinstance(size, list) else None)
        except ColloidsError:
            return None

    def check(self, rows: int) -> None:
        """Refuse a table that is not as long as when it was written.

        Raises
        ------
        ColloidsError
            If rows, or the end of the last line, are missing.
        """
        if self._rows is None:
            return
        if rows != self._rows:
            raise ColloidsError(
                f"'{self._table}' has {rows} rows, but {self._rows} were written: it was cut short, so copy it again; "
                f"or changed on purpose, then remove {note_path(self._table).name}."
            )
        if self._table.suffix.lower() in _TEXT_ENDINGS and not has_line_end(self._table):
            raise ColloidsError(f"'{self._table}' was cut short in its last line; copy it again.")


def has_line_end(path: Path) -> bool:
    """Whether a text ends with the end of a line, in any encoding."""
    with path.open("rb") as file:
        file.seek(-min(4, path.stat().st_size), os.SEEK_END)
        return file.read().rstrip(b"\0").endswith((b"\n", b"\r"))
