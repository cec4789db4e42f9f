"""Arrays that stay in their files until a part of them is needed, in whatever process."""

from __future__ import annotations

import itertools
import math
import os
import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_colloids.errors import ColloidsError
from napari_colloids.io.files import reading

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

#: More bytes than these are left in the file until they are needed.
LAZY_ABOVE = 512_000_000
#: Bytes of a dask chunk, about: large enough for few tasks, small enough for many in memory at once.
CHUNK = 32_000_000


@dataclass(frozen=True)
class FileArray:
    """An array in a file; pickles as the path, and opens the file again wherever it is read.

    Attributes
    ----------
    opener
        A function of a module, called as ``opener(path, key)``; returns what can be indexed by integers and slices.
    path
        The file, absolute.
    key
        Which of the arrays in the file; hashable and picklable.
    shape, dtype
        Of the array.
    native
        Shape of the pieces that the file stores in one; 1 where it can be cut anywhere.
    kind
        What the file should be, for messages.
    parallel
        Whether several threads may read at the same time.
    """

    opener: Callable[[str, Any], Any]
    path: str
    key: Any
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    native: tuple[int, ...]
    kind: str
    parallel: bool = False

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Size of the whole in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """Read a part (integers and slices).

        Raises
        ------
        ColloidsError
            If the file is no longer there, or damaged.
        """
        with reading(self.path, self.kind):
            version = Path(self.path).stat().st_mtime_ns
            opened, lock = _opened(os.getpid(), self.opener, self.path, self.key, version)
            if self.parallel:
                return np.asarray(opened[index])
            with lock:
                return np.asarray(opened[index])

    def read(self) -> NDArray[Any]:
        """Read all of it, and let go of the file.

        Raises
        ------
        ColloidsError
            If the file is damaged.
        """
        with reading(self.path, self.kind):
            return np.array(self.opener(self.path, self.key)[(slice(None),) * self.ndim])

    def dask(self, axes: str) -> Any:
        """Return a dask array whose chunks are parts of one volume.

        Parameters
        ----------
        axes
            What the dimensions are.
        """
        import dask.array

        chunks = chunk_shape(self.shape, axes, self.native, self.dtype.itemsize)
        empty = np.empty((0,) * self.ndim, self.dtype)
        return dask.array.from_array(self, chunks=chunks, lock=False, asarray=True, fancy=False, meta=empty)

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        """Name the dask array by what is read, so that the same part of the same file is the same task."""
        version = Path(self.path).stat().st_mtime_ns
        return (self.opener.__module__, self.opener.__qualname__, self.path, repr(self.key), version)


@lru_cache(maxsize=16)
def _opened(process: int, opener: Callable[[str, Any], Any], path: str, key: Any, version: int) -> Any:
    """Open an array, once a process and version of the file."""
    return opener(path, key), threading.Lock()


def chunk_shape(shape: tuple[int, ...], axes: str, native: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Return the shape of dask chunks: one frame and channel, and multiples of the native pieces in space.

    Parameters
    ----------
    shape, axes
        Of the array.
    native
        Shape of the pieces in the file.
    itemsize
        Bytes of a voxel.
    """
    space = [k for k, letter in enumerate(axes.lower()) if letter in "zyx"]
    chunk = [min(n, piece) if k in space else 1 for k, (n, piece) in enumerate(zip(shape, native, strict=True))]
    while True:
        growing = [k for k in space if chunk[k] < shape[k]]
        if not growing:
            return tuple(chunk)
        k = min(growing, key=lambda k: chunk[k])
        larger = min(2 * chunk[k], shape[k])
        if math.prod(chunk) // chunk[k] * larger * itemsize > CHUNK:
            return tuple(chunk)
        chunk[k] = larger


class Assembled:
    """An array that is stored in parts, such as one plane or volume each.

    Parameters
    ----------
    shape, dtype
        Of the whole.
    part
        Called with the index along the leading dimensions; returns an array of the others.
    leading
        How many dimensions are leading ones.
    """

    def __init__(
        self, shape: tuple[int, ...], dtype: Any, part: Callable[[tuple[int, ...]], Any], leading: int
    ) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self._part = part
        self._leading = leading

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """Read a box (integers and slices)."""
        index = index if isinstance(index, tuple) else (index,)
        index += (slice(None),) * (len(self.shape) - len(index))
        ranges = [
            range(*wanted.indices(n)) if isinstance(wanted, slice) else range(wanted, wanted + 1)
            for wanted, n in zip(index, self.shape, strict=True)
        ]
        inner = index[self._leading :]
        outer = ranges[: self._leading]
        size = [len(one) for one in outer] + [
            len(one) for one, wanted in zip(ranges[self._leading :], inner, strict=True) if isinstance(wanted, slice)
        ]
        out = np.empty(size, self.dtype)
        for place, where in zip(np.ndindex(*size[: self._leading]), itertools.product(*outer), strict=True):
            out[place] = self._part(where)[inner]
        single = tuple(0 if not isinstance(wanted, slice) else slice(None) for wanted in index[: self._leading])
        return out[single]


def checked_extent(path: str, needed: int) -> None:
    """Raise unless a file is so many bytes long.

    Raises
    ------
    ColloidsError
        If it is shorter.
    """
    size = os.path.getsize(path)
    if size < needed:
        raise ColloidsError(f"'{path}' is cut short: it has {size} bytes of {needed}; copy it again from its origin.")
