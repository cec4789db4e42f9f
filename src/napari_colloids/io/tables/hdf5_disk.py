"""A file for HDF5 whose write errors are raised after the library has closed it.

The HDF5 library cannot close a file when a write failed, say on a full disk: it brings the process down, at once or at
its end (h5py issues 914, 2160). Hence it writes to a file object that raises the error later, and Ctrl-C is delayed
meanwhile.
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from io import FileIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import FrameType

    from _typeshed import ReadableBuffer, WriteableBuffer


#: Signals that ask a process to end.
_TO_END = [signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP") if name in signal.Signals.__members__]


class DeferredErrorFile(FileIO):
    """A new file that never fails to be written, and raises its errors on request.

    Bytes that could not be stored are kept in memory, because the library may read them again before it has closed the
    file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self._error: OSError | None = None
        self._unstored: list[tuple[int, bytes]] = []

    def check(self) -> None:
        """Raise the first error since the file was opened.

        Raises
        ------
        OSError
            If bytes could not be stored.
        """
        if self._error is not None:
            raise self._error

    def write(self, data: ReadableBuffer, /) -> int:
        """Store all bytes, or keep them in memory where that fails."""
        start, content = self.tell(), memoryview(data).cast("B")
        done = 0
        try:
            while self._error is None and done < len(content):
                done += super().write(content[done:])
        except OSError as error:
            self._error = error
        if self._error is not None:
            self._unstored.append((start, bytes(content)))
        return len(content)

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read the stored bytes, overlaid with those in memory."""
        start, view = self.tell(), memoryview(buffer).cast("B")
        stored = super().readinto(view) or 0
        for place, content in self._unstored:
            first, last = max(start, place), min(start + len(view), place + len(content))
            if first < last:
                view[first - start : last - start] = content[first - place : last - place]
        return len(view) if self._unstored else stored

    def truncate(self, size: int | None = None, /) -> int:
        """Set the length, unless an error has occurred."""
        length = self.tell() if size is None else size
        if self._error is None:
            try:
                super().truncate(length)
            except OSError as error:
                self._error = error
        return length


@contextmanager
def delayed_interrupt() -> Iterator[None]:
    """Delay Ctrl-C, and where they raise an exception other signals to end, until the end of the ``with`` block.

    Only the main thread receives them, so others need no delay.
    """
    handlers = {number: signal.getsignal(number) for number in _TO_END}
    delayed = {number: handler for number, handler in handlers.items() if callable(handler)}
    if threading.current_thread() is not threading.main_thread() or not delayed:
        yield
        return
    received: list[tuple[int, FrameType | None]] = []
    try:
        for number in delayed:
            signal.signal(number, lambda number, frame: received.append((number, frame)))
        yield
    finally:
        for number, handler in delayed.items():
            signal.signal(number, handler)
    for first, frame in received[:1]:
        delayed[signal.Signals(first)](first, frame)
