"""The process in which files are read: it runs one function after the other and sends what they return."""

from __future__ import annotations

import faulthandler
import os
import pickle
import signal
import sys
import time
import traceback
import warnings
from contextlib import chdir, nullcontext
from dataclasses import dataclass
from io import FileIO
from typing import TYPE_CHECKING

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
    seconds
        After which this process ends itself, where the one that asked can no longer end it.
    """

    function: Callable[..., object]
    arguments: tuple[object, ...]
    folder: str | None
    seconds: float


@dataclass(frozen=True)
class Answer:
    """What a function returned, or the error that it raised and the text of its traceback."""

    value: object = None
    error: Exception | None = None
    came_from: str = ""


class _Signs:
    """Sends signs of progress to the process that asked; in any other process there is nobody to send them to."""

    def __init__(self) -> None:
        self.pipe: FileIO | None = None
        self._last = 0.0

    def send(self) -> None:
        """Send one, unless the last one was sent just now."""
        now = time.monotonic()
        if self.pipe is not None and now - self._last > _SIGN_SECONDS:
            self._last = now
            send(self.pipe, None)


_signs = _Signs()
#: To be called for each of the many parts of a file that a function goes through: without a sign of progress for some
#: time it counts as endless.
show_progress = _signs.send


def is_child() -> bool:
    """Return whether this is the process in which files are read."""
    return _signs.pipe is not None


def main() -> None:
    """Answer requests from standard input on standard output until the asking process is gone."""
    requests, answers = FileIO(os.dup(0), "rb"), FileIO(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):  # what libraries print must not get among the messages
        os.dup2(nothing, stream)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asked
    warnings.simplefilter("ignore")
    _without_crash_reports()
    _signs.pipe = answers
    send(answers, None)
    try:
        while True:
            request: Request = receive(requests)
            faulthandler.dump_traceback_later(request.seconds, exit=True, file=nothing)
            _reply(answers, _answer(request))
            faulthandler.cancel_dump_traceback_later()
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
    except Exception as error:  # of what cannot be pickled
        send(answers, _refusal(error))


def _refusal(error: Exception) -> Answer:
    came_from = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 (whether it can be sent)
    except Exception:  # classes of libraries whose arguments are not those of their __init__
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
