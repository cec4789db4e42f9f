"""Gives memory that is no longer in use back to the system."""

from __future__ import annotations

import ctypes
import sys


def give_back_free_memory() -> None:
    """Have the C library give back what it keeps of memory that was freed; nothing happens where it keeps little.

    That of Linux (glibc) keeps what is free between pieces in use, in an area for each thread: tens of megabytes after
    a search, and more with every one.
    """
    if not sys.platform.startswith("linux"):
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries have none
    if trim is not None:
        trim(0)
