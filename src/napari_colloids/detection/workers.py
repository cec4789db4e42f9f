"""Threads that share the work on a CPU, in each of which torch has one thread of its own.

Where torch itself spreads an operation over threads, these spin until the last of them is done. Where other programs
keep a core busy, one of them is late in every operation, and a search takes ten times as long. Threads that take one
part of the work after another wait only at the end of a layer, and asleep.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

Item = TypeVar("Item")
Result = TypeVar("Result")


class Workers:
    """As many threads as torch may use where they are made; a context, at whose end they end.

    With one, the work is done by the thread that asks for it. What they do needs no gradients.

    Examples
    --------
    >>> with Workers() as workers:
    ...     workers.each(abs, [-1, 2, -3])
    [1, 2, 3]
    """

    def __init__(self) -> None:
        #: Number of threads.
        self.count = torch.get_num_threads()
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Workers:
        if self.count > 1:
            started = Barrier(self.count + 1)
            self._pool = ThreadPoolExecutor(self.count)
            for _ in range(self.count):
                self._pool.submit(_begin, started)
            started.wait()
            # The number is one of each thread, but those to come begin with the last one that was set anywhere.
            torch.set_num_threads(self.count)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def each(self, job: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Return what a job returns for each item, in order; what one of them raises is raised here."""

        def without_gradients(item: Item) -> Result:
            with torch.inference_mode():
                return job(item)

        if self._pool is None:
            return [without_gradients(item) for item in items]
        return list(self._pool.map(without_gradients, items))


def _begin(started: Barrier) -> None:
    torch.get_num_threads()  # with its first call in a thread torch sets that number, in place of any set before
    torch.set_num_threads(1)
    started.wait()
