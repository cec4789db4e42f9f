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
from qtpy.QtCore import QObject, Signal

from napari_colloids.errors import ColloidsError

if TYPE_CHECKING:
    from superqt.utils import GeneratorWorker

    from napari_colloids.progress import Progress

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
        #: Whether the end of what is under way was told.
        self._told = False
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
        worker = thread_worker(_guarded)(work, self._run.stopping)
        self._run.worker, self._run.bar = worker, progress(total=0, desc=self._name)
        self._told = False
        worker.yielded.connect(self._on_yielded)
        worker.returned.connect(self._on_returned)
        worker.finished.connect(self._on_finished)
        worker.start()

    def cancel(self) -> None:
        """Ask the work to stop at its next step."""
        self._run.stopping.set()

    def _on_yielded(self, step: Progress) -> None:
        self.progressed.emit(int(step.done), int(step.total), str(step.message))
        self._run.show(step)

    def _on_returned(self, outcome: _Outcome | None) -> None:
        if outcome is None:
            return
        self._told = True
        if outcome.error is not None:
            self.failed.emit(outcome.error)
        else:
            self.succeeded.emit(outcome.value)

    def _on_finished(self) -> None:
        self._run.stop()
        if not self._told:
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


def _words(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
