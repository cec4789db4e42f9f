"""Candidate particles, and choosing between those that cannot both be there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

#: Two particles cannot be closer than this fraction of the sum of their radii (blur and error leave some play).
OVERLAP = 0.65

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
    if len(candidates) < 2:
        return candidates
    order = np.argsort(-candidates.confidence, kind="stable")
    candidates = candidates[order]
    tree = cKDTree(candidates.positions)
    pairs = tree.query_pairs(2 * OVERLAP * float(candidates.radii.max()), output_type="ndarray")
    first, second = pairs[:, 0], pairs[:, 1]
    distance = np.linalg.norm(candidates.positions[first] - candidates.positions[second], axis=1)
    conflicts = pairs[distance < OVERLAP * (candidates.radii[first] + candidates.radii[second])]
    conflicts = np.sort(conflicts, axis=1)
    kept = np.ones(len(candidates), bool)
    # Sorted by the better of the two: whoever is still kept when its turn comes is kept for good.
    for better, worse in conflicts[np.lexsort((conflicts[:, 1], conflicts[:, 0]))]:
        if kept[better]:
            kept[worse] = False
    return candidates[kept]
