"""Candidate particles, and the suppression of overlapping ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_colloids.particles import greedy_suppression

#: Smallest distance of two particles over the sum of their radii; below 1, as positions and radii have errors.
MIN_CONTACT_FRACTION = 0.8

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Candidates:
    """Detections as arrays.

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

    Two overlap when they are closer than `MIN_CONTACT_FRACTION` times the sum of their radii. Positions must be
    isotropic.
    """
    # Equal confidences are common in half precision; they are sorted by position, whatever the order of the tiles.
    order = np.lexsort((*candidates.positions.T, -candidates.confidence))
    return candidates[order[without_overlaps(candidates[order])]]


def without_overlaps(candidates: Candidates) -> NDArray[np.bool_]:
    """Mark each candidate that overlaps none of those marked before it (greedy suppression in the given order)."""
    return greedy_suppression(np.sort(_conflicts(candidates), axis=1), len(candidates))


def _conflicts(candidates: Candidates) -> NDArray[np.intp]:
    """Return the pairs of candidates that overlap, each once, shape ``(M, 2)``.

    Candidates of similar size are searched together, the largest first: a single search with the largest radius would
    compare millions of small ones over long distances.
    """
    positions, radii = candidates.positions, candidates.radii
    pairs = [np.empty((0, 2), np.intp)]
    left = np.arange(len(candidates))
    while len(left):
        largest = radii[left].max()
        similar = ~(radii[left] < largest / 2)  # with NaN, too, the largest is one of them
        some, left = left[similar], left[~similar]
        tree = cKDTree(positions[some], balanced_tree=False)  # sooner made, as quickly searched
        pairs.append(some[tree.query_pairs(2 * MIN_CONTACT_FRACTION * largest, output_type="ndarray")])
        if len(left):
            reach = MIN_CONTACT_FRACTION * (largest + radii[left].max())
            near = tree.sparse_distance_matrix(cKDTree(positions[left]), reach, output_type="ndarray")
            pairs.append(np.stack([some[near["i"]], left[near["j"]]], axis=1))
    first, second = np.concatenate(pairs).T
    overlap = np.linalg.norm(positions[first] - positions[second], axis=1) < MIN_CONTACT_FRACTION * (
        radii[first] + radii[second]
    )
    return np.stack([first[overlap], second[overlap]], axis=1)
