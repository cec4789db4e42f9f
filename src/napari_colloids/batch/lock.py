"""A file that says who is writing an output, so that no two runs do so at a time."""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import psutil

from napari_colloids.errors import ColloidsError
from napari_colloids.io.atomic import translating_write_errors

if TYPE_CHECKING:
    from pathlib import Path

#: Seconds after which what another run is doing to the lock at this moment is over.
_MOMENT = 0.1
#: Moments after which a lock that cannot be read is one that a power cut has left, and not one being written.
_PATIENCE = 10
#: Seconds by which the start of a process may seem to move as clocks are set. A greater difference is another process
#: with the same number, as they come round again, and soon so in containers.
_CLOCK = 5.0


class Holder(NamedTuple):
    """A process that holds a lock, and a word that tells this lock from others that it holds."""

    host: str
    pid: int
    started: float
    word: str

    @classmethod
    def this(cls) -> Holder:
        """Return this process, with a new word."""
        return cls(socket.gethostname(), os.getpid(), psutil.Process().create_time(), secrets.token_hex(6))

    def is_gone(self) -> bool:
        """Say whether it has surely ended; nobody knows this of a process of another machine."""
        if self.host != socket.gethostname():
            return False
        try:
            process = psutil.Process(self.pid)
            return process.status() == psutil.STATUS_ZOMBIE or abs(process.create_time() - self.started) > _CLOCK
        except psutil.NoSuchProcess:
            return True
        except psutil.AccessDenied:
            return False


class Lock:
    """Held from the start until `release`; that of a process that was killed is taken over.

    Parameters
    ----------
    file
        To be made, with its folder.
    output
        What must not be written by others, for the message.

    Raises
    ------
    ColloidsError
        If another process holds it, or it cannot be made.
    """

    def __init__(self, file: Path, output: Path) -> None:
        self._file = file
        self._holder = Holder.this()
        taken_over = False
        while not (self._made() and (not taken_over or self._still_ours())):
            holder = self._read()
            if holder is not None and not holder.is_gone():
                raise ColloidsError(
                    f"'{output}' is being written by another run (process {holder.pid} on {holder.host}): wait for it "
                    f"to end. If it is no longer running, delete '{file}'."
                )
            with translating_write_errors(file):
                file.unlink(missing_ok=True)
            taken_over = True

    def release(self) -> None:
        """Let others write."""
        with suppress(OSError):
            if self._read() == self._holder:
                self._file.unlink()

    def _made(self) -> bool:
        with translating_write_errors(self._file):
            self._file.parent.mkdir(exist_ok=True)
            try:
                with self._file.open("x", encoding="utf-8") as opened:
                    opened.write(json.dumps(self._holder._asdict()))
            except (FileExistsError, FileNotFoundError):  # the latter where a run that ended has removed the folder
                return False
        return True

    def _still_ours(self) -> bool:
        """Look again, as another run may have found the same dead lock and have removed ours in its place."""
        time.sleep(_MOMENT)
        return self._read() == self._holder

    def _read(self) -> Holder | None:
        """Return who holds the lock; None if nobody does, or if what is there says nothing for long."""
        for _ in range(_PATIENCE):
            try:
                return Holder(**json.loads(self._file.read_text(encoding="utf-8")))
            except FileNotFoundError:
                return None
            except (ValueError, TypeError):
                time.sleep(_MOMENT)
        return None
