"""Candidate particles, and choosing between those that cannot both be there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_colloids.particles import greedy_suppression

#: Two particles cannot be closer than this fraction of the sum of their radii (blur and error leave some play).
OVERLAP = 0.8

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Candidates:
    """Detections before they are a table.

    Attributes
    ----------
    positions
        Shape ``(N, 3)``: z, y, x.
    radii
        Shape ``(N,)``, in the unit of x.
    confidence
        Shape ``(N,)``, 0-1.
    """

    positions: Array
    radii: Array
    confidence: Array

    def __len__(self) -> int:
        return len(self.confidence)

    def __getitem__(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> Candidates:
        return Candidates(self.positions[which], self.radii[which], self.confidence[which])

    @classmethod
    def joined(cls, parts: list[Candidates]) -> Candidates:
        """Return all candidates of all parts."""
        return cls(
            np.concatenate([np.empty((0, 3)), *(part.positions for part in parts)]),
            np.concatenate([np.empty(0), *(part.radii for part in parts)]),
            np.concatenate([np.empty(0), *(part.confidence for part in parts)]),
        )


def suppress_overlaps(candidates: Candidates) -> Candidates:
    """Keep, by falling confidence, each candidate that does not overlap one already kept.

    Two overlap when they are closer than `OVERLAP` times the sum of their radii. Positions must be isotropic.
    """
    # Equal confidences are common in half precision; by position, the order of the tiles does not matter.
    order = np.lexsort((*candidates.positions.T, -candidates.confidence))
    return candidates[order[without_overlaps(candidates[order])]]


def without_overlaps(candidates: Candidates) -> NDArray[np.bool_]:
    """Mark each candidate that overlaps none of those marked before it: whoever comes first stays."""
    return greedy_suppression(np.sort(_conflicts(candidates), axis=1), len(candidates))


def _conflicts(candidates: Candidates) -> NDArray[np.intp]:
    """Return the pairs of candidates that overlap, each once, shape ``(M, 2)``.

    Candidates of similar size are taken together, the largest first, so that a few large ones do not have millions of
    small ones compared over long distances.
    """
    positions, radii = candidates.positions, candidates.radii
    pairs = [np.empty((0, 2), np.intp)]
    left = np.arange(len(candidates))
    while len(left):
        largest = radii[left].max()
        similar = ~(radii[left] < largest / 2)  # whatever they are, the largest is one of them
        some, left = left[similar], left[~similar]
        tree = cKDTree(positions[some])
        pairs.append(some[tree.query_pairs(2 * OVERLAP * largest, output_type="ndarray")])
        if len(left):
            reach = OVERLAP * (largest + radii[left].max())
            near = tree.sparse_distance_matrix(cKDTree(positions[left]), reach, output_type="ndarray")
            pairs.append(np.stack([some[near["i"]], left[near["j"]]], axis=1))
    first, second = np.concatenate(pairs).T
    overlap = np.linalg.norm(positions[first] - positions[second], axis=1) < OVERLAP * (radii[first] + radii[second])
    return np.stack([first[overlap], second[overlap]], axis=1)
