"""The process in which files are read: it runs one function after the other and sends what they return."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import time
import traceback
import warnings
from contextlib import chdir, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from io import FileIO
from typing import TYPE_CHECKING

from napari_colloids.io.isolated.codec import CodecError, decoded, encoded
from napari_colloids.io.isolated.pipe import receive, send

if TYPE_CHECKING:
    from collections.abc import Callable

#: Least time between two signs of progress, in seconds.
_SIGN_SECONDS = 0.2


@dataclass(frozen=True)
class Request:
    """A function to run.

    Attributes
    ----------
    function, arguments
        The function, of a module, and what it is called with.
    folder
        In which it runs, so that relative paths mean the same; None where the one of the asking process is gone.
    computing, waiting
        Seconds without a sign of progress after which this process ends itself, as the one that asked is gone: of
        processor time, and in all.
    """

    function: Callable[..., object]
    arguments: tuple[object, ...]
    folder: str | None
    computing: float
    waiting: float


@dataclass(frozen=True)
class Answer:
    """What a function returned, or the error that it raised and the text of its traceback."""

    value: object = None
    error: Exception | None = None
    came_from: str = ""


class _Work:
    """The work of this process: signs of progress to the one that asked, and an end where this one is gone."""

    def __init__(self) -> None:
        self.pipe: FileIO | None = None
        self._request: Request | None = None
        self._last_sign = 0.0

    def show_progress(self) -> None:
        """Send a sign of progress, unless one was sent just now; in other processes there is nobody to send it to.

        To be called for each of the many parts of a file that a function goes through: without it for some time the
        function counts as endless.
        """
        now = time.monotonic()
        if self.pipe is not None and self._request is not None and now - self._last_sign > _SIGN_SECONDS:
            self._last_sign = now
            send(self.pipe, None)
            self.begin(self._request)

    def begin(self, request: Request) -> None:
        """Set the alarms, which also end a library that gives Python no chance to."""
        self._request = request
        faulthandler.dump_traceback_later(request.waiting, exit=True, file=_nowhere())
        if sys.platform != "win32":
            signal.setitimer(signal.ITIMER_PROF, request.computing)

    def end(self) -> None:
        """Take back the alarms."""
        self._request = None
        faulthandler.cancel_dump_traceback_later()
        if sys.platform != "win32":
            signal.setitimer(signal.ITIMER_PROF, 0)


_work = _Work()
show_progress = _work.show_progress


def is_child() -> bool:
    """Return whether this is the process in which files are read."""
    return _work.pipe is not None


@lru_cache(maxsize=1)
def _nowhere() -> int:
    """Return a file that holds nothing and forgets what is written to it."""
    return os.open(os.devnull, os.O_RDWR)


def main() -> None:
    """Answer requests from standard input on standard output until the asking process is gone."""
    requests, answers = FileIO(os.dup(0), "rb"), FileIO(os.dup(1), "wb")
    for stream in (0, 1):  # what libraries print must not get among the messages
        os.dup2(_nowhere(), stream)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asked
    warnings.simplefilter("ignore")
    _without_crash_reports()
    _work.pipe = answers
    send(answers, None)
    try:
        while True:
            request: Request = receive(requests, trusted=True)
            _work.begin(request)
            _reply(answers, _answer(request))
            _work.end()
    except (EOFError, BrokenPipeError):
        return


def _answer(request: Request) -> Answer:
    try:
        with nullcontext() if request.folder is None else chdir(request.folder):
            return Answer(request.function(*request.arguments))
    except Exception as error:
        return _refusal(error)


def _reply(answers: FileIO, answer: Answer) -> None:
    try:
        send(answers, answer)
    except OSError:
        raise
    except CodecError as error:
        send(answers, _refusal(error))


def _refusal(error: Exception) -> Answer:
    came_from = "".join(traceback.format_exception(error))
    try:
        decoded(encoded(error)[0], (), trusted=False)
    except CodecError:  # its arguments are no data
        error = RuntimeError(f"{type(error).__name__}: {error}")
    return Answer(None, error, came_from)


def _without_crash_reports() -> None:
    """Let the system write no image of the memory of this process, and show no dialog, where it ends."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.SetErrorMode(msvcrt.SEM_NOGPFAULTERRORBOX | msvcrt.SEM_FAILCRITICALERRORS)
    else:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
