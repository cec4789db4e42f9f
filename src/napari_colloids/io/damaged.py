"""Series of volumes of which some cannot be read: the others are read."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.errors import ColloidsError
from napari_colloids.io.lazy import LAZY_ABOVE_BYTES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_colloids.io.lazy import FileArray

#: Largest number of volumes that are tried one by one: with more, a damaged file would take minutes.
_MAX_VOLUMES = 10_000


def read_volumes(array: FileArray, axes: str) -> tuple[NDArray[np.generic], NDArray[np.bool_] | None]:
    """Read an array; where that fails, volume by volume.

    Parameters
    ----------
    array
        In a file.
    axes
        One letter per dimension; volumes are along those that are not z, y or x.

    Returns
    -------
    pixels : numpy.ndarray
        Zero in volumes that cannot be read.
    readable : numpy.ndarray or None
        Which volumes could be read, of length 1 along z, y and x; None for all.

    Raises
    ------
    ColloidsError
        If no volume can be read, or there is one only.
    """
    try:
        return array.read(), None
    except ColloidsError as error:
        inside = [letter in "zyx" for letter in axes]
        volumes = [1 if within else length for length, within in zip(array.shape, inside, strict=True)]
        few = 1 < math.prod(volumes) <= _MAX_VOLUMES and array.nbytes <= LAZY_ABOVE_BYTES
        if isinstance(error.__cause__, MemoryError) or not few:
            raise
        pixels = np.zeros(array.shape, array.dtype)
        readable = np.zeros(volumes, bool)
        for place in np.ndindex(*volumes):
            box = tuple(slice(None) if within else slice(k, k + 1) for k, within in zip(place, inside, strict=True))
            with suppress(ColloidsError):
                part = array[box]
                if part.shape == pixels[box].shape:  # a damaged file may hold less than it promises
                    pixels[box] = part
                    readable[place] = True
        if not readable.any():
            raise
        # Where every volume can be read now, the failure did not last.
        return pixels, None if readable.all() else readable


def damage_notice(readable: NDArray[np.bool_], axes: str, name: str) -> str:
    """Return the notice that volumes of a series cannot be read.

    Parameters
    ----------
    readable
        Which volumes could be read, shape of the axes before z.
    axes
        Of the stack, out of ``"tczyx"``.
    name
        Of the series.
    """
    words = {"t": "frame", "c": "channel"}
    first = np.argwhere(~readable)[0]
    place = ", ".join(f"{words[axis]} {number}" for axis, number in zip(axes, first, strict=False))
    count = int(readable.size - readable.sum())
    return (
        f"'{name}' is damaged: {count} of {readable.size} volumes cannot be read (the first is {place}) and "
        f"{'count' if count > 1 else 'counts'} as not recorded; copy it again from its origin."
    )
