"""The Export button: writes a particle table in the background and says how it went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QPushButton

from napari_colloids.io.atomic import translating_write_errors
from napari_colloids.widgets.layers.writer import write_table
from napari_colloids.widgets.parts.task import Task, call

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from napari_colloids.widgets.parts.controls import Status


class ExportButton(QPushButton):
    """Writes one table at a time: half a million rows of CSV take seconds, for which the window must not stand still.

    Parameters
    ----------
    status
        Where to say how it went.
    tooltip
        What is written.
    """

    def __init__(self, status: Status, tooltip: str) -> None:
        super().__init__()
        self.setToolTip(tooltip)
        self._status = status
        self._allowed = True
        self._task = Task(self, "Exporting")
        self._task.succeeded.connect(status.say)
        self._task.failed.connect(status.fail)
        self._task.ended.connect(self._refresh)
        self._refresh()

    @property
    def busy(self) -> bool:
        """Whether a table is being written."""
        return self._task.running

    def allow(self, allowed: bool) -> None:
        """Say whether there is anything to export."""
        self._allowed = allowed
        self._refresh()

    def write(self, path: Path, table: pd.DataFrame, origin: dict[str, Any], what: str) -> None:
        """Write a table; ignored while another is being written.

        Once begun it is written to the end, also if the widget is closed meanwhile.

        Parameters
        ----------
        path
            Where to; the ending chooses the format.
        table
            A particle table that nothing changes any more: a copy of what a layer holds.
        origin
            Where it comes from, kept beside it.
        what
            What it holds, to be said.
        """
        if self.busy:
            return

        def work() -> str:
            with translating_write_errors(path):
                write_table(path, table, origin)
            return f"Wrote {what} to {path}."

        self._task.start(call(work))
        self._status.say(f"Writing {what}…")
        self._refresh()

    def _refresh(self) -> None:
        self.setText("Exporting…" if self.busy else "Export CSV…")
        self.setEnabled(self._allowed and not self.busy)
