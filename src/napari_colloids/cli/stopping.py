"""Signals of batch systems and closed terminals, which end a command as Ctrl-C does."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stopped(KeyboardInterrupt):
    """The process was asked to end, which is handled as Ctrl-C is."""


#: Whether the process was asked to end.
_asked = threading.Event()


def stop_if_asked() -> None:
    """Raise again what Python has dropped: exceptions of signals are lost in callbacks, as while modules are imported.

    Raises
    ------
    Stopped
        If the process was asked to end.
    """
    if _asked.is_set():
        raise Stopped


@contextmanager
def stopping() -> Iterator[None]:
    """Turn the signals into exceptions."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        _asked.set()
        raise Stopped

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread gets signals
        return
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    handled = [number for number in numbers if signal.getsignal(number) == signal.SIG_DFL]  # nohup ignores one
    for number in handled:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, signal.SIG_DFL)
        _asked.clear()
