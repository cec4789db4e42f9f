"""Arrays that are stored in chunks: which chunks were written, and which planes of pixels that leaves out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.errors import ColloidsError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

#: Largest number of chunks of an array; more are promised by damaged headers only.
_MAX_CHUNKS = 100_000_000


def chunk_grid(shape: tuple[int, ...], chunk: tuple[int, ...], name: str) -> tuple[int, ...]:
    """Return the number of chunks along each dimension.

    Parameters
    ----------
    shape
        Of the array.
    chunk
        Shape of a chunk.
    name
        Of the array, in messages.

    Raises
    ------
    ColloidsError
        If there are more chunks than any file has.
    """
    grid = tuple(-(-n // piece) for n, piece in zip(shape, chunk, strict=True))
    if math.prod(grid) > _MAX_CHUNKS:
        raise ColloidsError(f"'{name}' is damaged: its header promises {math.prod(grid)} chunks, shape {shape}.")
    return grid


def written_grid(grid: tuple[int, ...], places: Iterable[tuple[int, ...]]) -> NDArray[np.bool_]:
    """Return which chunks of a grid were written.

    Parameters
    ----------
    grid
        Number of chunks along each dimension.
    places
        Positions in the grid of the chunks that exist; those outside it are left out.
    """
    written = np.zeros(grid, bool)
    for place in places:
        if all(0 <= k < n for k, n in zip(place, grid, strict=True)):
            written[place] = True
    return written


def recorded_planes(
    written: NDArray[np.bool_], chunk: tuple[int, ...], shape: tuple[int, ...], axes: str, name: str
) -> tuple[NDArray[np.bool_] | None, tuple[str, ...]]:
    """Return which planes have a chunk that was written, and a notice about those that have some but not all.

    Parameters
    ----------
    written
        Whether each chunk exists.
    chunk
        Shape of a chunk.
    shape, axes
        Of the array; where y and x are not among its axes, they are the last two dimensions.
    name
        Of the array, in the notice.

    Returns
    -------
    recorded
        Length 1 along y and x, as `SeriesReader.recorded` wants it; None for all planes.
    notices
        Empty unless a plane is there in part.
    """
    if written.all():
        return None, ()
    lateral = lateral_dimensions(axes)
    planes: NDArray[np.bool_] = np.any(written, axis=lateral, keepdims=True)
    lost = int((planes & ~written).sum())
    notice = (
        f"{lost} of the {written.size} chunks of '{name}' were never written; where they belong it has its fill value."
    )
    for k, n in enumerate(shape):
        if k not in lateral:
            planes = np.repeat(planes, chunk[k], axis=k)[(slice(None),) * k + (slice(n),)]
    notices = (notice,) if lost else ()
    return (None if planes.all() else planes), notices


def lateral_dimensions(axes: str) -> tuple[int, ...]:
    """Return the numbers of the dimensions y and x; the last two where they are not labelled."""
    letters = axes.lower()
    if letters.count("y") == letters.count("x") == 1:
        return letters.index("y"), letters.index("x")
    return len(letters) - 2, len(letters) - 1
