"""Observation window: the box that particles were seen in, and how far inside its faces they lie.

A microscope sees a finite part of a sample. What a particle's neighbours decide (its Voronoi cell, its bond order) is
known only where all of these were seen, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.errors import ColloidsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

#: Extent of the particles over the edge of the window from which they do not lie in it; those that a fit has placed
#: outside its faces do.
_MAX_EXTENT = 1.5


@dataclass(frozen=True, eq=False)
class Window:
    """Box that particles were seen in.

    Attributes
    ----------
    low, high
        Two opposite corners ``(z, y, x)``, in any unit of length.

    Examples
    --------
    >>> import numpy as np
    >>> window = Window(np.zeros(3), np.array([10.0, 20.0, 20.0]))
    >>> window.volume
    4000.0
    >>> window.depths(np.array([[4.0, 10.0, 3.0], [9.5, 10.0, 10.0]]))
    array([3. , 0.5])
    """

    low: Array
    high: Array

    @property
    def edges(self) -> Array:
        """Lengths of its edges, shape ``(3,)``."""
        return self.high - self.low

    @property
    def volume(self) -> float:
        """Product of its edges."""
        return float(np.prod(self.edges))

    def depths(self, positions: Array) -> Array:
        """Return how far positions ``(N, 3)`` lie inside the nearest face, shape ``(N,)``; negative outside."""
        return np.minimum(positions - self.low, self.high - positions).min(axis=1)

    def parts(self, positions: Array) -> NDArray[np.intp]:
        """Return which of its eight equal parts (halves of each edge) each position ``(N, 3)`` lies in, from 0 to 7."""
        halves = np.clip((2 * (positions - self.low) / self.edges).astype(int), 0, 1)
        return np.ravel_multi_index(tuple(halves.T), (2, 2, 2))

    def standard_error(self, values: Array, positions: Array) -> float:
        """Return the standard error of the mean of a property of particles, from the scatter between the eight parts.

        What neighbours have in common, as a crystalline grain, counts in it.

        Parameters
        ----------
        values
            Shape ``(N,)``.
        positions
            Shape ``(N, 3)``.
        """
        part = self.parts(positions)
        counts = np.bincount(part)
        means = np.bincount(part, values)[counts > 0] / counts[counts > 0]
        return float(means.std(ddof=1)) / len(means) ** 0.5 if len(means) > 1 else float("nan")


def stack_window(shape: Sequence[float], scale: Array) -> Window:
    """Return the window of a stack, whose voxel centres lie at integers.

    Parameters
    ----------
    shape
        Shape ``(z, y, x)`` of the stack in voxels.
    scale
        Edges of a voxel, shape ``(3,)``.
    """
    return Window(-0.5 * scale, (np.asarray(shape, dtype=float) - 0.5) * scale)


def filled_window(frames: Sequence[Array]) -> Window:
    """Return the box that the particles of all frames fill, none of them lying exactly on its faces.

    Random positions in a box span (n - 1) / (n + 1) of its edges, in the mean over the frames; together they span more.

    Parameters
    ----------
    frames
        Positions ``(N, 3)`` of each frame, at least two in each.
    """
    filled = np.mean([np.ptp(frame, axis=0) * (len(frame) + 1) / (len(frame) - 1) for frame in frames], axis=0)
    every = np.concatenate(frames)
    edges = np.maximum(np.maximum(filled, np.ptp(every, axis=0)), np.finfo(float).tiny)
    middle = (every.min(axis=0) + every.max(axis=0)) / 2
    return Window(middle - edges / 2, middle + edges / 2)


def check_fits(shape: Sequence[float], frames: Sequence[Array]) -> None:
    """Refuse a shape ``(z, y, x)`` that the particles of each frame, in voxels, do not fit into.

    Raises
    ------
    ColloidsError
        If they extend over more than it.
    """
    extent = np.max([np.ptp(frame, axis=0) for frame in frames], axis=0)
    if min(shape) <= 0 or (extent > _MAX_EXTENT * np.asarray(shape, dtype=float)).any():
        raise ColloidsError(
            f"The particles extend over {' x '.join(f'{length:.3g}' for length in extent)} voxels (z, y, x), which a "
            f"shape of {' x '.join(f'{length:.3g}' for length in shape)} cannot hold: give the shape of the stack."
        )
