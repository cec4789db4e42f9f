"""The Export button: asks for a file and writes a particle table to it in the background."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_colloids.io.atomic import translating_write_errors
from napari_colloids.widgets.layers.writer import write_table
from napari_colloids.widgets.parts.run_button import RunButton
from napari_colloids.widgets.parts.saving import ask_for_table
from napari_colloids.widgets.parts.task import call

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd

    from napari_colloids.widgets.parts.status import Status
    from napari_colloids.widgets.parts.task import Work


@dataclass(frozen=True)
class Export:
    """A table that nothing changes any more, its origin, what it holds, and a name for the file, without an ending."""

    table: pd.DataFrame
    origin: dict[str, object]
    content: str
    name: str


class ExportButton(RunButton):
    """Writes one table at a time: half a million rows of CSV take seconds, for which the window must not stand still.

    Once begun it is written to the end, also if the widget is closed meanwhile.
    """

    def __init__(self, status: Status, collect: Callable[[], Export], label: str = "Export CSV…") -> None:
        super().__init__(label, status, doing="Exporting", prepare=self._ask)
        self._collect = collect
        self.succeeded.connect(status.say)

    def write(self, path: Path) -> None:
        """Export to a file; its ending chooses the format."""
        self.run(lambda: _writing(self._collect(), path))

    def _ask(self) -> Work | None:
        export = self._collect()
        path = ask_for_table(self, "Export", export.name)
        return None if path is None else _writing(export, path)


def _writing(export: Export, path: Path) -> Work:
    def write() -> str:
        with translating_write_errors(path):
            write_table(path, export.table, export.origin)
        return f"Wrote {export.content} to {path}."

    return call(write)
