"""Chunks of compiled loops on parallel threads, which is of use because these release the interpreter lock."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result", NDArray[np.float64], None)

#: Spheres or pairs of spheres in a chunk at least: fewer are not worth a thread.
_MIN_CHUNK_SIZE = 32


def in_chunks(work: Callable[..., Result], count: int, *arguments: object) -> Result:
    """Process a range of numbers in chunks, on as many threads as torch may use.

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
    chunks = max(min(torch.get_num_threads(), count // _MIN_CHUNK_SIZE), 1)
    ends = [count * chunk // chunks for chunk in range(chunks + 1)]
    with ThreadPoolExecutor(chunks) as pool:
        results = list(pool.map(lambda low, high: work(low, high, *arguments), ends[:-1], ends[1:]))
    return None if results[0] is None else np.concatenate(results)
