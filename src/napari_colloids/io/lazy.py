"""Lazy arrays: their pixels stay in the file until a part of them is read, in this process or in another."""

from __future__ import annotations

import itertools
import math
import os
import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_colloids.errors import ColloidsError
from napari_colloids.io.files import reading

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from dask.array import Array
    from numpy.typing import ArrayLike, DTypeLike, NDArray

#: Arrays of more bytes are left in the file until they are needed.
LAZY_ABOVE_BYTES = 512_000_000
#: Approximate size of a dask chunk: large enough for few tasks, small enough for many in memory at once.
CHUNK_BYTES = 32_000_000
#: Largest number of dask chunks; more are promised by damaged headers only.
_MAX_DASK_CHUNKS = 5_000_000

#: Index of a box: an integer or a slice per dimension.
Box = tuple[int | slice, ...]


class Sliceable(Protocol):
    """An array in memory or in a file, of which a box can be read."""

    def __getitem__(self, index: Box, /) -> ArrayLike:
        """Read a box."""


@dataclass(frozen=True)
class FileArray:
    """An array in a file, which is pickled as a path and opens the file in the process that reads it.

    Attributes
    ----------
    opener
        A function of a module, called as ``opener(path, key)``; returns an array that can be sliced.
    path
        The file, absolute.
    key
        Identifies the array in the file; hashable and picklable.
    shape, dtype
        Of the array.
    native
        Shape of the chunks in the file; 1 where it can be cut anywhere.
    kind
        What the file should be, for messages.
    parallel
        Whether several threads may read at the same time.
    """

    opener: Callable[[str, Any], Sliceable]
    path: str
    key: Hashable
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    native: tuple[int, ...]
    kind: str
    parallel: bool = False

    def __post_init__(self) -> None:
        """Check the numbers, which come from the headers of files.

        Raises
        ------
        ValueError
            If a length is no whole number, negative, or 0 for a chunk.
        """
        for lengths, smallest in ((self.shape, 0), (self.native, 1)):
            if not all(isinstance(n, int | np.integer) and n >= smallest for n in lengths):
                raise ValueError(f"a length is no whole number from {smallest} on")

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Size of the whole in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __getitem__(self, index: Box) -> NDArray[np.generic]:
        """Read a box.

        Raises
        ------
        ColloidsError
            If the file has disappeared or is damaged.
        """
        with reading(self.path, self.kind):
            version = Path(self.path).stat().st_mtime_ns
            opened, lock = _opened(os.getpid(), self.opener, self.path, self.key, version)
            if isinstance(opened, np.memmap):  # to read a map beyond the end of its file ends the process
                check_length(str(opened.filename or self.path), opened.offset + opened.nbytes)
            if self.parallel:
                return np.asarray(opened[index])
            with lock:
                return np.asarray(opened[index])

    def open(self) -> Sliceable:
        """Open the array, outside the cache of open files."""
        return self.opener(self.path, self.key)

    def read(self) -> NDArray[np.generic]:
        """Read all of it and close the file.

        Raises
        ------
        ColloidsError
            If the file is damaged.
        """
        with reading(self.path, self.kind):
            return np.array(self.open()[tuple(slice(n) for n in self.shape)])

    def dask(self, axes: str) -> Array:
        """Return a dask array whose chunks are parts of one volume.

        Parameters
        ----------
        axes
            One letter per dimension.

        Raises
        ------
        ColloidsError
            If it promises more parts than any file has.
        """
        import dask.array

        chunks = chunk_shape(self.shape, axes, self.native, self.dtype.itemsize)
        parts = math.prod(-(-n // length) for n, length in zip(self.shape, chunks, strict=True))
        if parts > _MAX_DASK_CHUNKS:
            raise ColloidsError(f"'{self.path}' is damaged, or too large: its header promises the shape {self.shape}.")
        empty = np.empty((0,) * self.ndim, self.dtype)
        return dask.array.from_array(self, chunks=chunks, lock=False, asarray=True, fancy=False, meta=empty)

    def __dask_tokenize__(self) -> tuple[object, ...]:
        """Identify the array by its file, so that the same part of the same file is the same task."""
        version = Path(self.path).stat().st_mtime_ns
        return (self._opener_name, self.path, repr(self.key), version)

    @property
    def _opener_name(self) -> str:
        return f"{self.opener.__module__}.{self.opener.__qualname__}"


@lru_cache(maxsize=16)
def _opened(
    process: int, opener: Callable[[str, Any], Sliceable], path: str, key: Hashable, version: int
) -> tuple[Sliceable, threading.Lock]:
    """Open an array, once per process and version of the file."""
    return opener(path, key), threading.Lock()


def chunk_shape(shape: tuple[int, ...], axes: str, native: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Return the shape of dask chunks: one frame and channel, and multiples of the native chunks in space.

    Parameters
    ----------
    shape, axes
        Of the array.
    native
        Shape of the chunks in the file.
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
        if math.prod(chunk) // chunk[k] * larger * itemsize > CHUNK_BYTES:
            return tuple(chunk)
        chunk[k] = larger


class Assembled:
    """An array that is assembled from parts, such as planes or volumes.

    Parameters
    ----------
    shape, dtype
        Of the whole.
    part
        Called with the index along the leading dimensions; returns an array of the other dimensions.
    leading
        Number of leading dimensions.
    """

    def __init__(
        self, shape: tuple[int, ...], dtype: DTypeLike, part: Callable[[tuple[int, ...]], Sliceable], leading: int
    ) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self._part = part
        self._leading = leading

    def __getitem__(self, index: Box) -> NDArray[np.generic]:
        """Read a box."""
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


def check_length(path: str, needed: int) -> None:
    """Check that a file has at least the given number of bytes.

    Raises
    ------
    ColloidsError
        If it is shorter.
    """
    size = os.path.getsize(path)
    if size < needed:
        raise ColloidsError(f"'{path}' is cut short: it has {size} bytes of {needed}; copy it again from its origin.")
