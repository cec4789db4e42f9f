"""A lock file beside an output, so that no two runs write it at a time.

The soft lock of ``filelock`` takes a zombie for alive and an emptied file (after a power cut) for locked: both block.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from napari_colloids.errors import ColloidsError
from napari_colloids.io.atomic import translating_write_errors
from napari_colloids.io.files import json_object
from napari_colloids.io.holder import Holder

if TYPE_CHECKING:
    from pathlib import Path

#: Seconds within which another run has finished what it does to the lock file.
_WRITE_SECONDS = 0.1
#: Number of attempts after which a lock file that cannot be read is one that a power cut has left, not one being
#: written.
_READ_ATTEMPTS = 10


class Lock:
    """A lock that is held until `release`; that of a process that was killed is taken over.

    Parameters
    ----------
    file
        Lock file, which is created with its folder.
    output
        File that is protected, for the message.

    Raises
    ------
    ColloidsError
        If another process holds it, or it cannot be created.
    """

    def __init__(self, file: Path, output: Path) -> None:
        self._file = file
        self._holder = Holder.this()
        taken_over = False
        while not (self._created() and (not taken_over or self._still_ours())):
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
        """Let other runs write the output."""
        with suppress(OSError):
            if self._read() == self._holder:
                self._file.unlink()

    def _created(self) -> bool:
        with translating_write_errors(self._file):
            self._file.parent.mkdir(exist_ok=True)
            try:
                with self._file.open("x", encoding="utf-8") as opened:
                    opened.write(json.dumps(self._holder._asdict()))
            except (FileExistsError, FileNotFoundError):  # the latter where a run that ended has removed the folder
                return False
        return True

    def _still_ours(self) -> bool:
        """Read the file again: another run may have found the same stale lock, and have removed ours instead."""
        time.sleep(_WRITE_SECONDS)
        return self._read() == self._holder

    def _read(self) -> Holder | None:
        """Return who holds the lock; None if nobody does, or the file stays unreadable."""
        for _ in range(_READ_ATTEMPTS):
            try:
                content = json_object(self._file)
                return None if content is None else Holder.of(content)
            except ColloidsError:
                time.sleep(_WRITE_SECONDS)
        return None
