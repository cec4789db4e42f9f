"""Arrays of files that are read in another process."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_colloids.io.files import reading
from napari_colloids.io.isolated.process import EndedError, run_isolated
from napari_colloids.io.lazy import CHUNK_BYTES, FileArray

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_colloids.io.lazy import Box, Sliceable

#: Parts that may end the process before no more of the array are read: each may take seconds.
_MAX_ENDED = 3


@dataclass(frozen=True)
class Opener:
    """A function of a module that opens an array, by its name: only the process that calls it imports the module."""

    module: str
    name: str

    def __str__(self) -> str:
        """Return the full name."""
        return f"{self.module}.{self.name}"

    def __call__(self, path: str, key: Any) -> Sliceable:
        """Open an array."""
        opened: Sliceable = getattr(import_module(self.module), self.name)(path, key)
        return opened


@dataclass(frozen=True)
class IsolatedArray(FileArray):
    """An array in a file that is read in another process, part by part, each of whole chunks of the file.

    Attributes
    ----------
    ended
        Errors of parts that have ended that process.
    """

    ended: list[EndedError] = field(default_factory=list, compare=False, repr=False)

    @classmethod
    def of(cls, array: FileArray) -> IsolatedArray:
        """Return the same array, read in another process."""
        opener = Opener(array.opener.__module__, array.opener.__qualname__)
        return cls(
            opener, array.path, array.key, array.shape, array.dtype, array.native, array.kind, parallel=array.parallel
        )

    def __getitem__(self, index: Box) -> NDArray[np.generic]:
        """Read a box.

        Raises
        ------
        ColloidsError
            If the file has disappeared or is damaged.
        """
        with reading(self.path, self.kind):
            ends = [one.indices(n) for one, n in zip(index, self.shape, strict=True) if isinstance(one, slice)]
            shape = tuple(len(range(*end)) for end in ends)
            box: NDArray[np.generic] | None = None
            for part in self._parts(index):
                pixels = self._read(part)
                if pixels.shape == shape:
                    return pixels
                box = np.empty(shape, self.dtype) if box is None else box
                box[part.target] = pixels
            return np.empty(shape, self.dtype) if box is None else box

    def read(self) -> NDArray[np.generic]:
        """Read all of it.

        Raises
        ------
        ColloidsError
            If the file is damaged.
        """
        return self[tuple(slice(n) for n in self.shape)]

    @property
    def _opener_name(self) -> str:
        return str(self.opener)

    def _read(self, part: _Part) -> NDArray[np.generic]:
        if len(self.ended) >= _MAX_ENDED:
            raise self.ended[-1]
        try:
            pixels = run_isolated(self.path, _read, self, part.source, nbytes=part.nbytes)
        except EndedError as error:
            self.ended.append(error)
            raise
        if pixels.shape != part.shape:
            raise ValueError(f"a part of it has the shape {pixels.shape} instead of {part.shape}")
        return pixels

    def _parts(self, index: Box) -> Iterator[_Part]:
        """Cut a box between the chunks of the file, along its first dimensions before the others."""
        chunks = [max(1, min(n, chunk)) for n, chunk in zip(self.shape, self.native, strict=True)]
        along = [
            range(*one.indices(n)) if isinstance(one, slice) else range(one, one + 1)
            for one, n in zip(index, self.shape, strict=True)
        ]
        lengths = [_spanned(one, chunk) for one, chunk in zip(along, chunks, strict=True)]
        for k, chunk in enumerate(chunks):
            fits = int(lengths[k] * min(1, CHUNK_BYTES / max(1, math.prod(lengths) * self.dtype.itemsize)))
            lengths[k] = max(chunk, fits - fits % chunk)
        cuts = [_cut(one, chunk, length) for one, chunk, length in zip(along, chunks, lengths, strict=True)]
        for pieces in itertools.product(*cuts):
            ranges = [one[piece] for one, piece in zip(along, pieces, strict=True)]
            spanned = math.prod(_spanned(one, chunk) for one, chunk in zip(ranges, chunks, strict=True))
            yield _Part(
                tuple(_slice(one) if isinstance(k, slice) else k for one, k in zip(ranges, index, strict=True)),
                tuple(piece for piece, k in zip(pieces, index, strict=True) if isinstance(k, slice)),
                spanned * self.dtype.itemsize,
            )


class _Part(NamedTuple):
    """A part of a box.

    Attributes
    ----------
    source, target
        Where it lies in the array of the file, and in the box.
    nbytes
        Of the chunks of the file in which it lies.
    """

    source: Box
    target: tuple[slice, ...]
    nbytes: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of pixels along each dimension of the box."""
        return tuple(one.stop - (one.start or 0) for one in self.target)


def _read(array: FileArray, index: Box) -> NDArray[np.generic]:
    return np.asarray(array.open()[index])


def _spanned(places: range, chunk: int) -> int:
    """Return how long the chunks are in which these places lie."""
    if not places:
        return 0
    low, high = sorted((places[0], places[-1]))
    return (high // chunk - low // chunk + 1) * chunk


def _cut(places: range, chunk: int, length: int) -> list[slice]:
    """Cut a range of places between chunks, where it ascends, into parts that lie in `length` places each."""
    if _spanned(places, chunk) <= length or places.step < 0:
        return [slice(len(places))]
    first = places.start - places.start % chunk
    edges = [max(0, -(-(edge - places.start) // places.step)) for edge in range(first, places.stop + length, length)]
    edges = [min(edge, len(places)) for edge in edges]
    return [slice(low, high) for low, high in itertools.pairwise(edges) if low < high]


def _slice(places: range) -> slice:
    """Return the slice that has these places."""
    return slice(places.start, places.stop if places.stop >= 0 else None, places.step)
