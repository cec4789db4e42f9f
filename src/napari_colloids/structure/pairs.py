"""Pairs of particles within a distance, block by block to limit memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

#: Particles whose pairs are in memory at a time.
_BLOCK_PARTICLES = 20_000
#: Smallest overlap of the box with itself, moved, over its edge.
_MIN_OVERLAP = 1e-9


class Pairs(NamedTuple):
    """Pairs of particles, each pair once.

    Attributes
    ----------
    first, second
        Numbers of the particles, shape ``(M,)``.
    displacements
        From the first to the second, shape ``(M, 3)``.
    """

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    displacements: Array

    @property
    def distances(self) -> Array:
        """Shape ``(M,)``."""
        return np.linalg.norm(self.displacements, axis=1)

    def weights(self, box: Array) -> Array:
        """Return the translation correction: one over the overlap of a box with itself, moved by each pair.

        Parameters
        ----------
        box
            Its edges, shape ``(3,)``.
        """
        # Particles may lie a little outside the stack, where a fit has put them.
        return 1 / np.prod(np.maximum(box - np.abs(self.displacements), _MIN_OVERLAP * box), axis=1)


def close_pairs(positions: Array, cutoff: float) -> Iterator[Pairs]:
    """Yield all pairs of particles within a distance.

    Parameters
    ----------
    positions
        Shape ``(N, 3)``.
    cutoff
        Largest distance, in their unit.
    """
    axis = int(np.argmax(np.ptp(positions, axis=0)))
    order = np.arange(len(positions))
    if len(positions) > _BLOCK_PARTICLES:
        order = np.argsort(positions[:, axis], kind="stable")
        positions = positions[order]
    for start in range(0, len(positions), _BLOCK_PARTICLES):
        block = positions[start : start + _BLOCK_PARTICLES]
        tree = cKDTree(block)
        first, second = tree.query_pairs(cutoff, output_type="ndarray").T + start
        yield Pairs(order[first], order[second], positions[second] - positions[first])
        end = np.searchsorted(positions[:, axis], block[-1, axis] + cutoff, side="right")
        later = positions[start + _BLOCK_PARTICLES : end]
        if len(later):
            across = tree.sparse_distance_matrix(cKDTree(later), cutoff, output_type="ndarray")
            first, second = across["i"] + start, across["j"] + start + _BLOCK_PARTICLES
            yield Pairs(order[first], order[second], positions[second] - positions[first])
