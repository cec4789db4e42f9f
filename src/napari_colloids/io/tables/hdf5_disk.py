"""A file for HDF5 to write to that never fails while the library uses it.

The HDF5 library cannot close a file when a write failed, say on a full disk: it brings the process down, at once or at
its end (h5py issues 914, 2160). Hence it writes to a file of ours, which tells of the failure later, and Ctrl-C must
wait while it does.
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from io import FileIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Disk(FileIO):
    """A new file that lets its user believe that all was stored, and tells afterwards that it was not.

    What could not be stored is kept in memory, because the library may read it again before it has closed the file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self._failure: OSError | None = None
        self._kept: list[tuple[int, bytes]] = []

    def check(self) -> None:
        """Raise what went wrong since the file was opened.

        Raises
        ------
        OSError
            What the system said then.
        """
        if self._failure is not None:
            raise self._failure

    def write(self, data: Any, /) -> int:
        """Store all bytes, or keep them where that fails."""
        start, content = self.tell(), memoryview(data).cast("B")
        done = 0
        try:
            while self._failure is None and done < len(content):
                done += super().write(content[done:])
        except OSError as error:
            self._failure = error
        if self._failure is not None:
            self._kept.append((start, bytes(content)))
        return len(content)

    def readinto(self, buffer: Any, /) -> int:
        """Read what was stored, and over it what was kept."""
        start, view = self.tell(), memoryview(buffer).cast("B")
        stored = super().readinto(view) or 0
        for place, content in self._kept:
            first, last = max(start, place), min(start + len(view), place + len(content))
            if first < last:
                view[first - start : last - start] = content[first - place : last - place]
        return len(view) if self._kept else stored

    def truncate(self, size: int | None = None, /) -> int:
        """Set the length, unless the file is a failure already."""
        length = self.tell() if size is None else size
        if self._failure is None:
            try:
                super().truncate(length)
            except OSError as error:
                self._failure = error
        return length


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait for the end of the ``with`` block; it comes to the main thread only, so that others may go on."""
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    came: list[tuple[int, Any]] = []
    signal.signal(signal.SIGINT, lambda number, frame: came.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
    if came:
        handler(*came[0])
