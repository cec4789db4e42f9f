"""Ends a process that does not get on with its work, or takes far more memory than this needs."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

import psutil

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

#: What a user can do about a damaged file.
COPY_AGAIN = "copy it again from its origin."
#: Seconds between two looks at the process.
_LOOK_SECONDS = 0.1


class Limits(NamedTuple):
    """What a process may take without a sign of progress.

    Attributes
    ----------
    computing, waiting
        Seconds of processor time, and seconds in all: a slow disk or network is waited for longer.
    memory
        Bytes, on top of what it keeps of earlier work.
    """

    computing: float
    waiting: float
    memory: float


class Watch(threading.Thread):
    """A thread that looks after a process while it works.

    Parameters
    ----------
    process
        The process.

    Attributes
    ----------
    verdict
        Why the process was ended: what follows the name of the file in a message; empty where it was not.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        super().__init__(daemon=True, name="watch over the reading of files")
        self.verdict = ""
        self._process = process
        self._changed = threading.Condition()
        self._limits: Limits | None = None
        self._signs = 0
        self.start()

    @contextmanager
    def working(self, limits: Limits) -> Iterator[None]:
        """Look after the process during the ``with`` block."""
        with self._changed:
            self._limits = limits
            self._signs += 1
            self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._limits = None

    def sign(self) -> None:
        """Note a sign of progress."""
        with self._changed:
            self._signs += 1

    def end(self) -> None:
        """End the process."""
        with self._changed:
            self._process.kill()
            self._limits = Limits(0, 0, 0)  # wakes the thread, which finds that the process is gone
            self._changed.notify()

    def run(self) -> None:
        """Look after the process until it has ended."""
        limits: Limits | None = None
        signs, used, since, kept = -1, 0.0, 0.0, 0
        with suppress(psutil.Error):  # it has ended
            process = psutil.Process(self._process.pid)
            while self._process.poll() is None:
                with self._changed:
                    self._changed.wait_for(lambda: self._limits is not None)
                    if self._limits is not limits:
                        limits, kept = self._limits, process.memory_info().rss
                    if self._signs != signs:
                        signs, used, since = self._signs, _used(process), time.monotonic()
                time.sleep(_LOOK_SECONDS)
                with self._changed:
                    if limits is not None and self._limits is limits and self._signs == signs:
                        took = _used(process) - used, time.monotonic() - since, process.memory_info().rss - kept
                        self.verdict = _verdict(limits, *took)
                        if self.verdict:
                            self._process.kill()
                            return


def _used(process: psutil.Process) -> float:
    """Return the processor time of a process in seconds."""
    times = process.cpu_times()
    return float(times.user + times.system)


def _verdict(limits: Limits, computing: float, waiting: float, memory: float) -> str:
    if computing > limits.computing:
        return f"is damaged: reading it does not end (nothing came in {computing:.0f} s of computing); {COPY_AGAIN}"
    if waiting > limits.waiting:
        return f"does not answer (nothing came for {waiting:.0f} s): is its disk or network in order?"
    if memory > limits.memory:
        return f"is damaged: to read it takes more than {limits.memory / 1e9:.1f} GB of memory; {COPY_AGAIN}"
    return ""
