"""Just-in-time compilation of loops over spheres and voxels with numba.

A scene or a fit takes thousands of small sums and products, each cheaper than a call from Python.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from numba import njit

if TYPE_CHECKING:
    from collections.abc import Callable

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def compiled(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Compile a function with numba at its first call.

    The machine code is cached on disk where a folder can be written, and the compiled function releases the global
    interpreter lock, so that other threads run beside it.
    """
    compile_ = partial(njit, nogil=True, error_model="numpy", fastmath={"contract", "nsz", "reassoc"})
    try:
        return compile_(cache=True)(function)
    except RuntimeError:  # No folder can be written: compiled anew at every start.
        return compile_()(function)
