"""A button that starts work in the background and, while that runs, cancels it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magicgui.widgets import ProgressBar
from qtpy.compat import isalive
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton

from napari_colloids.errors import ColloidsError
from napari_colloids.formatting import duration_words
from napari_colloids.progress import TimeLeft
from napari_colloids.widgets.parts.painting import painted_later
from napari_colloids.widgets.parts.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtGui import QMouseEvent

    from napari_colloids.widgets.parts.status import Status
    from napari_colloids.widgets.parts.task import Work


class RunButton(QPushButton):
    """Runs one piece of work at a time: "Detect", then "Cancel", then "Cancelling…".

    Parameters
    ----------
    label
        Text while nothing runs.
    status
        Where progress, errors and cancellation are reported.
    doing
        Name of the work: the first message, the entry in napari's activity dock, and, for work without steps, the
        text of the button meanwhile.
    prepare
        Returns the work when the button is clicked, or None where there is none. A `ColloidsError` is shown.
    cancel_tip
        Tooltip while the work runs; without one the work has no steps, and cannot be cancelled.
    kept
        Returns what is kept of work that was stopped, for the message; empty for nothing.
    """

    succeeded = Signal(object)
    progressed = Signal(int, int, str)
    began = Signal()
    #: Emitted last, however the work ended.
    ended = Signal()

    def __init__(
        self,
        label: str,
        status: Status,
        *,
        doing: str,
        prepare: Callable[[], Work | None],
        cancel_tip: str = "",
        kept: Callable[[], str] = lambda: "",
    ) -> None:
        super().__init__(label)
        self.label, self._status, self._doing, self._prepare = label, status, doing, prepare
        self._cancel_tip, self._kept = cancel_tip, kept
        self._left = TimeLeft()
        self._ready, self._tip = True, ""
        self._rivals: list[RunButton] = []
        self.bar = ProgressBar(visible=False)
        self.task = Task(self, doing)
        self.task.progressed.connect(self._on_progressed)
        self.task.succeeded.connect(self._on_succeeded)
        self.task.failed.connect(self._on_failed)
        self.task.cancelled.connect(self._on_cancelled)
        self.task.ended.connect(self._on_ended)
        self.clicked.connect(self._on_clicked)
        self._refresh()

    @property
    def busy(self) -> bool:
        """Whether work is under way."""
        return self.task.running

    def offer(self, ready: bool, tip: str) -> None:
        """Set whether work can be started, and the tooltip: what it does, or what is missing."""
        self._ready, self._tip = ready, tip
        self._refresh()

    def take_turns_with(self, other: RunButton) -> None:
        """Share a progress bar with another button: while one is at work the other is disabled.

        Of several, each pair has to.
        """
        other.bar = self.bar
        for one, its_rival in ((self, other), (other, self)):
            one._rivals.append(its_rival)
            its_rival.began.connect(one._refresh)
            its_rival.ended.connect(one._refresh)

    def run(self, prepare: Callable[[], Work | None]) -> None:
        """Prepare work and start it; ignored while other work is under way."""
        if self.busy:
            return
        try:
            work = prepare()
        except ColloidsError as error:
            self._status.fail(str(error))
            return
        if work is None:
            return
        self.task.start(work)
        self._left = TimeLeft()
        self.bar.max, self.bar.value = 1, 0
        self.bar.visible = bool(self._cancel_tip)
        self._status.say(f"{self._doing}…")
        self._refresh()
        self.began.emit()

    def cancel(self) -> None:
        """Ask the work to stop at its next step."""
        self.task.cancel()
        self._refresh()

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        """Ignore the second click of a double click, which would cancel what the first one started."""
        if event is not None:
            event.accept()

    def _refresh(self) -> None:
        if not isalive(self):
            return
        running, cancelling = self.busy, self.task.cancelling
        rival = next((one for one in self._rivals if isalive(one) and one.busy), None)
        if running:
            doing = "Cancelling…" if cancelling else "Cancel" if self._cancel_tip else f"{self._doing}…"
            tip = self._cancel_tip
        else:
            doing = self.label
            tip = f"Wait for '{rival.label}', or cancel it." if rival else self._tip
        self.setText(doing)
        self.setToolTip(tip)
        self.setEnabled(bool(self._cancel_tip) and not cancelling if running else self._ready and rival is None)

    def _on_clicked(self) -> None:
        if self.busy:
            self.cancel()
            return
        self.run(self._prepare)

    def _on_progressed(self, done: int, total: int, message: str) -> None:
        self.bar.max, self.bar.value = total, done
        self._status.say(_progress_words(done, total, message, self._left.after(done, total)))
        self.progressed.emit(done, total, message)

    def _on_succeeded(self, result: object) -> None:
        self._status.say("")  # of the last step
        with painted_later(self):
            self.succeeded.emit(result)

    def _on_failed(self, message: str) -> None:
        kept = self._kept()
        self._status.fail(f"{message} Stopped{kept}" if kept else message)

    def _on_cancelled(self) -> None:
        self._status.say(f"Cancelled{self._kept() or '; nothing was changed.'}")

    def _on_ended(self) -> None:
        self.bar.visible = False
        self._refresh()
        self.ended.emit()


def _progress_words(done: int, total: int, message: str, seconds: float | None) -> str:
    """Return what is being done, the share of all that is done, and the time left where it is known."""
    share = f"{message.rstrip('.')}: {done / max(total, 1):.0%}"
    return share if seconds is None else f"{share}, about {duration_words(seconds)} left"
