"""Parallel threads: blocks of particles, and within a block chunks of compiled loops, which release the lock."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

Result = TypeVar("Result", NDArray[np.float64], None)
Item = TypeVar("Item")
Output = TypeVar("Output")

#: Spheres or pairs of spheres in a chunk at least: fewer are not worth a thread.
_MIN_CHUNK_SIZE = 32
#: How many threads the work that runs in this thread may use.
_share = threading.local()


class _SingleThreadedBLAS:
    """Limit of BLAS to one thread, which ends with the last of those who asked for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            if not self._users:
                self._limit = ThreadpoolController().limit(limits=1, user_api="blas")
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._limit.restore_original_limits()


#: Context in which BLAS, that of the whole process, keeps to one thread. The fit multiplies small matrices only, on
#: threads of its own: those of BLAS find nothing to do, and take cores from them while they wait for more.
single_threaded_blas = _SingleThreadedBLAS()


def threads_here() -> int:
    """Return how many threads work in this thread may use: all that torch may, or a share of these."""
    return getattr(_share, "count", 0) or torch.get_num_threads()


def iter_in_order(work: Callable[[Item], Output], items: Sequence[Item]) -> Generator[Output, None, None]:
    """Process items on parallel threads, and yield the results in the order of the items.

    What runs at a time is bounded by the number of threads, which they share. When the generator is closed, items that
    have not begun are left out.

    Parameters
    ----------
    work
        Called with each item.
    items
        All of them.
    """
    threads = threads_here()
    workers = max(min(threads, len(items)), 1)

    def in_share(item: Item) -> Output:
        _share.count = threads // workers
        try:
            return work(item)
        finally:
            _share.count = 0

    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(in_share, item) for item in items]
        try:
            for future in futures:
                yield future.result()
        finally:
            for future in futures:
                future.cancel()


def in_chunks(work: Callable[..., Result], count: int, *arguments: object) -> Result:
    """Process a range of numbers in chunks, on as many threads as may be used here.

    Parameters
    ----------
    work
        Called with the first number of a chunk, the one after the last, and the arguments.
    count
        Length of the range.
    arguments
        Further arguments of `work`.

    Returns
    -------
    numpy.ndarray or None
        What `work` returns for all chunks, concatenated; None where it returns nothing.
    """
    chunks = max(min(threads_here(), count // _MIN_CHUNK_SIZE), 1)
    if chunks == 1:
        return work(0, count, *arguments)
    ends = [count * chunk // chunks for chunk in range(chunks + 1)]
    with ThreadPoolExecutor(chunks) as pool:
        results = list(pool.map(lambda low, high: work(low, high, *arguments), ends[:-1], ends[1:]))
    return None if results[0] is None else np.concatenate(results)
