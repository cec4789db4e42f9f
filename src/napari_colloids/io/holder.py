"""Processes that hold a file: a lock, or one that is being written."""

from __future__ import annotations

import os
import secrets
import socket
from typing import TYPE_CHECKING, NamedTuple, cast

import psutil

from napari_colloids.settings import check_value

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Largest difference of start times, in seconds, of one and the same process: clocks are adjusted. With a larger one it
#: is another process that was given the same number, which soon happens in containers.
_MAX_CLOCK_SHIFT_SECONDS = 5.0
#: No process has a larger number.
_MAX_PID = 1 << 31


class Holder(NamedTuple):
    """A process that holds a file, and a random word that distinguishes this file from others that it holds."""

    host: str
    pid: int
    started: float
    word: str

    @classmethod
    def this(cls) -> Holder:
        """Return this process, with a new word."""
        return cls(socket.gethostname(), os.getpid(), psutil.Process().create_time(), secrets.token_hex(6))

    @classmethod
    def of(cls, content: Mapping[str, object]) -> Holder:
        """Return the process that a file names.

        Raises
        ------
        ColloidsError
            If it names none.
        """
        host, pid, started, word = (content.get(name) for name in cls._fields)
        check_value("pid", pid, int, low=1, high=_MAX_PID)
        check_value("started", started, float)
        check_value("host", host, str)
        check_value("word", word, str)
        return cls(cast("str", host), cast("int", pid), cast("float", started), cast("str", word))

    def is_gone(self) -> bool:
        """Return whether it has certainly ended, which cannot be known of a process of another machine."""
        if self.host != socket.gethostname():
            return False
        try:
            process = psutil.Process(self.pid)
            return (
                process.status() == psutil.STATUS_ZOMBIE
                or abs(process.create_time() - self.started) > _MAX_CLOCK_SHIFT_SECONDS
            )
        except psutil.NoSuchProcess:
            return True
        except psutil.AccessDenied:
            return False
