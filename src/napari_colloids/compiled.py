"""Loops over spheres and voxels, compiled by numba at their first use.

A scene or a fit takes thousands of small sums and products, each cheaper than a call from Python.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from numba import njit

if TYPE_CHECKING:
    from collections.abc import Callable


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let numba compile a function, and keep the result where a folder can be written; other threads may run beside."""
    compile_ = partial(njit, nogil=True, error_model="numpy", fastmath={"contract", "nsz", "reassoc"})
    try:
        return compile_(cache=True)(function)
    except RuntimeError:  # No folder can be written: compiled anew at every start.
        return compile_()(function)
