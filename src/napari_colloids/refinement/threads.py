"""Threads: compiled loops let others run beside them, so that each may take a part of the spheres."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable

#: Spheres or pairs that are worth a thread.
_ENOUGH = 32


def in_parts(work: Callable[..., Any], count: int, *given: Any) -> Any:
    """Let as many threads as torch may use work at parts of something.

    Parameters
    ----------
    work
        Called with the number of the first and of the one after the last, and what is given.
    count
        How many there are.
    given
        What else `work` needs.

    Returns
    -------
    numpy.ndarray or None
        What `work` returns for all, one after another; None where it returns nothing.
    """
    parts = max(min(torch.get_num_threads(), count // _ENOUGH), 1)
    ends = [count * part // parts for part in range(parts + 1)]
    with ThreadPoolExecutor(parts) as pool:
        found = list(pool.map(lambda low, high: work(low, high, *given), ends[:-1], ends[1:]))
    return None if found[0] is None else np.concatenate(found)
