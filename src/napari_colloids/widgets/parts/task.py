"""Background work with progress, cancellation and one message on errors."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING

from napari.qt.threading import thread_worker
from napari.utils import progress
from qtpy.QtCore import QObject, QTimer, Signal
from superqt.utils import QSignalThrottler

from napari_colloids.errors import ColloidsError
from napari_colloids.widgets.parts.free_memory import give_back_free_memory

if TYPE_CHECKING:
    from superqt.utils import GeneratorWorker

    from napari_colloids.progress import Progress

#: Least time between two steps that are told: each has the window drawn anew, which takes time from the work.
_STEPS_APART_MS = 200

#: Work that is done by then has no entry in napari's activity dock: while it has one, napari turns a wheel, and each of
#: its pictures has the whole window drawn anew.
_SHORT_MS = 1000

_log = logging.getLogger(__name__)

#: A generator that yields objects with ``done``, ``total`` and ``message``, and returns the result.
Work = Callable[[], "Generator[Progress, None, object]"]


@dataclass(frozen=True)
class _Outcome:
    value: object = None
    error: str | None = None


class Task(QObject):
    """Runs generators in a worker thread.

    Errors come back as a message rather than through the worker: a generator worker drops every ``RuntimeError``
    without a sound, and shows all others as a traceback.
    """

    #: Steps, of those that follow each other quickly only some.
    progressed = Signal(int, int, str)
    succeeded = Signal(object)
    failed = Signal(str)
    cancelled = Signal()
    #: Emitted last, whichever way it went.
    ended = Signal()

    def __init__(self, parent: QObject, name: str) -> None:
        super().__init__(parent)
        self._name = name
        self._run = _Run()
        #: How what is under way has ended; None where it was stopped.
        self._outcome: _Outcome | None = None
        self._step: Progress | None = None
        self._pace = QSignalThrottler(parent=self)
        self._pace.setTimeout(_STEPS_APART_MS)
        self._pace.triggered.connect(self._tell)
        self._long = QTimer(self)
        self._long.setSingleShot(True)
        self._long.setInterval(_SHORT_MS)
        self._long.timeout.connect(self._on_long)
        # A window that closes takes its task along; the thread then stops at its next step.
        self.destroyed.connect(self._run.stop)

    @property
    def running(self) -> bool:
        """Whether work is under way."""
        return self._run.worker is not None

    @property
    def cancelling(self) -> bool:
        """Whether what is under way was asked to stop, and has not yet."""
        return self.running and self._run.stopping.is_set()

    def start(self, work: Work) -> None:
        """Start; ignored while other work of this task is under way."""
        if self.running:
            return
        self._run.stopping = Event()
        self._run.worker = worker = thread_worker(_guarded)(work, self._run.stopping)
        self._long.start()
        self._outcome = self._step = None
        worker.yielded.connect(self._on_yielded)
        worker.returned.connect(self._on_returned)
        worker.finished.connect(self._on_finished)
        worker.start()

    def cancel(self) -> None:
        """Ask the work to stop at its next step."""
        self._run.stopping.set()

    def _on_yielded(self, step: Progress) -> None:
        self._step = step
        self._pace.throttle()

    def _tell(self) -> None:
        """Tell the latest step."""
        if self._step is not None and self.running:
            self.progressed.emit(int(self._step.done), int(self._step.total), str(self._step.message))
            self._run.show(self._step)

    def _on_long(self) -> None:
        self._run.open(self._name)
        if self._step is not None:
            self._run.show(self._step)

    def _on_returned(self, outcome: _Outcome | None) -> None:
        self._outcome = outcome

    def _on_finished(self) -> None:
        # In a turn of its own: a large result takes its time, and so does drawing the window before and after it.
        QTimer.singleShot(0, self._conclude)

    def _conclude(self) -> None:
        self._pace.flush(restart_timer=False)
        self._long.stop()
        outcome, self._outcome = self._outcome, None
        if outcome is not None and outcome.error is None:
            self.succeeded.emit(outcome.value)
        elif outcome is not None:
            self.failed.emit(outcome.error)
        self._run.stop()
        if outcome is None:
            self.cancelled.emit()
        self.ended.emit()


class _Run:
    """The worker and its progress bar, apart from the task, which cannot stop them once it is destroyed."""

    def __init__(self) -> None:
        self.worker: GeneratorWorker | None = None
        self.bar: progress | None = None
        #: Asks the work to stop at its next step.
        self.stopping = Event()
        self._latest: Progress | None = None
        self._showing = False

    def open(self, name: str) -> None:
        """Begin an entry in napari's activity dock."""
        if self.worker is not None:
            self.bar = progress(total=0, desc=name)

    def show(self, step: Progress) -> None:
        """Move the bar in napari's activity dock to a step.

        napari handles events meanwhile, with further steps among them: of these only the last is shown, afterwards.
        """
        self._latest = step
        if self._showing:
            return
        self._showing = True
        try:
            while self.bar is not None and self._latest is not None:
                latest, self._latest = self._latest, None
                if self.bar.total != latest.total:
                    self.bar.total = latest.total
                self.bar.update(latest.done - self.bar.n)
        finally:
            self._showing = False

    def stop(self) -> None:
        """Stop the worker at its next step and release it; harmless after its end."""
        self.stopping.set()
        if self.bar is not None:
            self.bar.close()
        self.worker = self.bar = None


def call(function: Callable[[], object]) -> Work:
    """Make work of a function that takes no steps."""

    def work() -> Generator[Progress, None, object]:
        yield from ()
        return function()

    return work


def _guarded(work: Work, stopping: Event) -> Generator[Progress, None, _Outcome | None]:
    """Do the work, and return None where it was asked to stop.

    Where a worker is aborted, its generator stays as it was, and napari keeps all workers: here it ends, and lets go of
    the image and what was made of it.
    """
    try:
        with closing(work()) as steps:
            while not stopping.is_set():
                try:
                    step = next(steps)
                except StopIteration as end:
                    return None if stopping.is_set() else _Outcome(end.value)
                yield step
        return None
    except ColloidsError as error:
        return _Outcome(error=str(error))
    except OSError as error:  # a lazy image is read here, maybe over a network
        return _Outcome(error=f"The image could not be read: {_words(error)}.")
    except Exception as error:
        _log.exception("Unexpected error in a worker")
        return _Outcome(error=f"Unexpected error ({type(error).__name__}): {_words(error)}.")
    finally:
        give_back_free_memory()


def _words(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
