"""Volumes: arrays of one 3D image that are read part by part, and views of them."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

from napari_colloids.errors import ColloidsError, UnusableVolumeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: What a volume is sliced with.
Index = int | slice | tuple[int | slice, ...]


class Volume(Protocol):
    """An array that is read when it is sliced: NumPy, memory map, dask, or an `Inverted` or `Filled` view of one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of voxels along each axis."""

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of the grey levels."""

    def __getitem__(self, key: Index, /) -> Volume:
        """Return a part."""


@dataclass(frozen=True, eq=False)
class Inverted:
    """Inverted view of a volume: dark voxels are bright and bright ones dark. `read_box` inverts what it reads.

    Attributes
    ----------
    volume
        Array-like ``(z, y, x)``.
    """

    volume: Volume

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of voxels along each axis."""
        return tuple(np.shape(self.volume))

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of the inverted grey levels: that of the volume, but float32 for unsigned integers above 16 bits."""
        dtype: np.dtype[np.generic] = np.dtype(self.volume.dtype)
        return np.dtype(np.float32) if dtype.kind == "u" and dtype.itemsize > 2 else dtype

    def __getitem__(self, key: Index, /) -> Inverted:
        """Return the inverted view of a part, which is not read yet."""
        return Inverted(self.volume[key])


@dataclass(frozen=True, eq=False)
class Filled:
    """View of a volume with slices that were never recorded: in their place it has the nearest recorded one.

    At a gap an image so continues as it does at its faces, instead of with a black slab that has edges of its own.

    Attributes
    ----------
    volume
        Array-like ``(z, y, x)``, whatever it holds where nothing was recorded.
    recorded
        Whether each slice of the view was recorded, shape ``(z,)``.
    source
        The slice of `volume` that each slice of the view has, shape ``(z,)``.

    Examples
    --------
    >>> import numpy as np
    >>> slices = np.arange(5)[:, None, None] * np.ones((1, 2, 2))
    >>> filled = Filled.of(slices, np.array([True, False, False, True, True]))
    >>> read_box(filled, (slice(5), slice(1), slice(1))).ravel()
    array([0., 0., 3., 3., 4.])
    """

    volume: Volume
    recorded: NDArray[np.bool_]
    source: NDArray[np.intp]

    @classmethod
    def of(cls, volume: Volume, recorded: NDArray[np.bool_]) -> Filled:
        """Fill the slices that were not recorded, of which there is at least one that was."""
        there = np.flatnonzero(recorded)
        apart = np.abs(np.arange(len(recorded))[:, None] - there)
        return cls(volume, recorded, there[apart.argmin(axis=1)])

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of voxels along each axis."""
        return (len(self.source), *np.shape(self.volume)[1:])

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of the grey levels."""
        return np.dtype(self.volume.dtype)

    def __getitem__(self, key: Index, /) -> Volume:
        """Return the view of a part, which is not read yet."""
        along_z, *rest = key if isinstance(key, tuple) else (key,)
        if not isinstance(along_z, slice):
            return self.volume[(int(self.source[along_z]), *rest)]
        return Filled(self.volume[(slice(None), *rest)], self.recorded[along_z], self.source[along_z])


def recorded_slices(volume: Volume) -> NDArray[np.bool_]:
    """Return whether each slice of a volume was recorded, shape ``(z,)``."""
    while isinstance(volume, Inverted):
        volume = volume.volume
    return volume.recorded if isinstance(volume, Filled) else np.ones(volume.shape[0], bool)


def shape_of(volume: Volume) -> tuple[int, int, int]:
    """Return the shape ``(z, y, x)`` of a volume."""
    z, y, x = volume.shape
    return int(z), int(y), int(x)


def read_box(volume: Volume, box: tuple[slice, ...]) -> NDArray[np.generic]:
    """Read a part of a volume into memory.

    Parameters
    ----------
    volume
        Array-like (NumPy, memory map or dask), or a view of one.
    box
        A slice per dimension.

    Returns
    -------
    numpy.ndarray
        Not to be written to: it may share the memory of the volume.

    Raises
    ------
    UnusableVolumeError
        If a volume that is not in memory cannot be read.
    """
    if isinstance(volume, Inverted):
        # Inverting wide unsigned integers would give numbers so large that their differences are lost in 32 bits.
        part = read_box(volume.volume, box).astype(volume.dtype, copy=False)
        return cast("NDArray[np.generic]", np.negative(part) if part.dtype.kind == "f" else np.invert(part))
    if isinstance(volume, Filled):
        slices, place = np.unique(volume.source[box[0]], return_inverse=True)
        return _loaded(volume.volume, (slices, *box[1:]))[place]
    return _loaded(volume, box)


def _loaded(volume: Volume, box: tuple[slice | NDArray[np.intp], ...]) -> NDArray[np.generic]:
    """Read a part of an array into memory."""
    if isinstance(volume, np.memmap):
        copy = np.array(volume[box])
        _release_pages(volume)
        return copy
    if isinstance(volume, np.ndarray):
        return np.asarray(volume[box])
    try:
        lazy = volume[box]  # type: ignore[index]  # all kinds take the numbers of slices, too
        # Threads by name: on a worker of dask.distributed the default would send the reading to the other workers.
        return np.asarray(lazy.compute(scheduler="threads") if hasattr(lazy, "compute") else lazy)
    except Exception as error:  # whatever a library raises that reads a file, or computes an image
        if isinstance(error, MemoryError) or isinstance(error.__cause__, MemoryError):
            raise  # which is not for lack of this volume
        words = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        message = str(error) if isinstance(error, ColloidsError) else f"The image could not be read: {words}."
        raise UnusableVolumeError(message, f"unreadable ({words})") from error


def _release_pages(volume: np.memmap[tuple[int, ...], np.dtype[np.generic]]) -> None:
    """Release the pages of a mapped file; they would count as memory of this process until it ends."""
    mapped = volume._mmap  # type: ignore[attr-defined]
    if mapped is not None and hasattr(mmap, "MADV_DONTNEED") and volume.mode == "r":
        mapped.madvise(mmap.MADV_DONTNEED)
