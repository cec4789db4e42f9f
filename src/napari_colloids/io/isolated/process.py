"""Functions that read files are run in another process, which a damaged file may end or stop."""

from __future__ import annotations

import atexit
import math
import multiprocessing.spawn
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple, cast

from napari_colloids.errors import ColloidsError
from napari_colloids.io.isolated.child import Answer, Request, is_child
from napari_colloids.io.isolated.pipe import receive, send
from napari_colloids.io.isolated.watch import COPY_AGAIN, Limits, Watch

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import FileIO
    from os import PathLike

_Result = TypeVar("_Result")
_Arguments = TypeVarTuple("_Arguments")

#: Seconds of computing, and of waiting for a disk or a network, without a sign of progress.
COMPUTING_SECONDS, WAITING_SECONDS = 5.0, 300.0
#: Bytes of pixels for each of which more time is allowed: the slowest codec on a slow machine, a slow network.
_COMPUTED_BYTES_PER_SECOND, _SENT_BYTES_PER_SECOND = 1e7, 1e6
#: Memory that a function may take in bytes, and more for each byte of pixels: codecs and filters copy them.
_MEMORY_BYTES, _MEMORY_PER_BYTE = 2**30, 4
#: What the process may take until it is ready.
_STARTING = Limits(60.0, 600.0, math.inf)
#: Of a pipe: with fewer, two processes on a busy machine wait for each other all the time.
_PIPE_BYTES = 2**20
#: What the process runs, with the paths of modules as arguments: this program may be found by a path that only the
#: process that asks knows.
_CODE = "import sys; sys.path[:] = sys.argv[1:]; from napari_colloids.io.isolated.child import main; main()"


class EndedError(ColloidsError):
    """Error that a file ended the process that read it, or stopped it so that it had to be ended."""


def run_isolated(
    path: str | PathLike[str], function: Callable[[*_Arguments], _Result], *arguments: *_Arguments, nbytes: int = 0
) -> _Result:
    """Run a function that reads a file in the process for it, which is started for the first file.

    Several threads, and processes that were forked, may call this; one function runs at a time.

    Parameters
    ----------
    path
        The file, for messages.
    function
        Of a module; arguments and result are data, see `codec`.
    arguments
        What it is called with.
    nbytes
        Bytes of pixels that it decodes, for each of which it may take time and memory.

    Raises
    ------
    EndedError
        If the process ended, did not get on, or took far more memory than `nbytes`.
    Exception
        Whatever the function raised.
    """
    if is_child():
        return function(*arguments)
    limits = Limits(
        COMPUTING_SECONDS + nbytes / _COMPUTED_BYTES_PER_SECOND,
        WAITING_SECONDS + nbytes / _SENT_BYTES_PER_SECOND,
        _MEMORY_BYTES + _MEMORY_PER_BYTE * nbytes,
    )
    folder = None
    with suppress(OSError):  # it was removed
        folder = os.getcwd()
    request = Request(function, arguments, folder, 2 * limits.computing, 2 * limits.waiting)
    try:
        answer = _current.answer(request, limits)
    except _Ended as first:
        if first.verdict:
            raise EndedError(f"'{path}' {first.verdict}") from first
        try:  # again, as someone else may have ended it
            answer = _current.answer(request, limits)
        except _Ended as again:
            verdict = again.verdict or f"is damaged: to read it ends the process ({again.how}); {COPY_AGAIN}"
            raise EndedError(f"'{path}' {verdict}") from again
    if answer.error is not None:
        answer.error.add_note(answer.came_from)
        raise answer.error
    return cast("_Result", answer.value)


class _Ended(Exception):
    """The process has ended.

    Attributes
    ----------
    verdict
        Why it was ended, as in `Watch`; empty where it ended by itself.
    how
        The signal or the exit status.
    """

    def __init__(self, verdict: str, how: str) -> None:
        super().__init__(verdict or how)
        self.verdict = verdict
        self.how = how


class _Process:
    """The process in which files are read, as seen from the one that asks.

    Raises
    ------
    ColloidsError
        If it cannot be started.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.ended = False
        try:
            self._process = subprocess.Popen(  # noqa: S603 (of this Python)
                [multiprocessing.spawn.get_executable(), "-c", _CODE, *sys.path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                pipesize=_PIPE_BYTES,  # of Linux
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # of Windows
            )
        except OSError as error:
            raise ColloidsError(f"The process that reads files could not be started ({error}).") from error
        self._requests, self._answers = cast("FileIO", self._process.stdin), cast("FileIO", self._process.stdout)
        self._watch = Watch(self._process)
        self._started = False

    def answer(self, request: Request, limits: Limits) -> Answer | None:
        """Run a function; None where the process has ended since the last one.

        Raises
        ------
        _Ended
            If it ends meanwhile.
        ColloidsError
            If it ends before it could do anything.
        """
        with self._lock:
            if self.ended:
                return None
            answered = False
            try:
                if not self._started:
                    with self._watch.working(_STARTING):
                        receive(self._answers)
                    self._started = True
                with self._watch.working(limits):
                    answer = self._exchange(request)
                answered = True
            except Exception as error:  # a pipe without an end, or an answer that is none
                how = self._end()
                if not self._started:
                    raise ColloidsError(f"The process that reads files does not start ({how}).") from error
                raise _Ended(self._watch.verdict, how) from error
            finally:
                if not answered:  # Ctrl-C: its answer must not be taken for that to the next request
                    self._end()
            return answer

    def _exchange(self, request: Request) -> Answer:
        send(self._requests, request)
        answer: Answer | None
        while (answer := receive(self._answers)) is None:
            self._watch.sign()
        return answer

    def _end(self) -> str:
        """End it, and return how it ended."""
        self.ended = True
        self._watch.end()
        code = self._process.wait()
        self.close()
        with suppress(ValueError):  # exit statuses, of which those of Windows are no signals
            return signal.Signals(-code).name
        return f"exit status {code}"

    def close(self) -> None:
        """Close the pipes, upon which it ends as soon as it is idle."""
        self._requests.close()
        self._answers.close()

    def leave(self) -> None:
        """Let it end as this process does: at once, if it is busy with what nobody waits for."""
        if self._lock.locked():
            self._process.kill()


class _Current:
    """The process that is running, if any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: _Process | None = None

    def answer(self, request: Request, limits: Limits) -> Answer:
        """Run a function in it, or in a new one where it has ended."""
        while True:
            with self._lock:
                if self._process is None or self._process.ended:
                    self._process = _Process()
                process = self._process
            answer = process.answer(request, limits)
            if answer is not None:  # another thread has ended it before it was our turn
                return answer

    def forget(self) -> None:
        """Leave it to the process that this one was forked from."""
        if self._process is not None:
            self._process.close()
        self.__init__()  # type: ignore[misc]

    def leave(self) -> None:
        """Let it end as this process does."""
        if self._process is not None:
            self._process.leave()


_current = _Current()
atexit.register(_current.leave)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_current.forget)
