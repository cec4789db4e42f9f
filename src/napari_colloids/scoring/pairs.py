"""Candidate pairs of a true and a detected particle: all within the greatest distance of a match."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from napari_colloids.errors import ColloidsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_colloids.scoring.inputs import Positions

#: More candidate pairs than this (about 1 GB) only occur where the diameter is far too large for the positions.
MAX_CANDIDATE_PAIRS = 20_000_000


class Pairs(NamedTuple):
    """Candidate pairs, one entry a pair, ordered by prediction and then by truth."""

    truth: NDArray[np.intp]
    prediction: NDArray[np.intp]
    distance: NDArray[np.float64]


def close_pairs(truth: Positions, prediction: Positions, max_distance: float) -> Pairs:
    """Return all pairs that are at most `max_distance` apart.

    Parameters
    ----------
    truth, prediction
        Positions of shape ``(N, 3)`` and ``(M, 3)``.
    max_distance
        In the unit of the positions.

    Raises
    ------
    ColloidsError
        If there are more pairs than fit in memory (`MAX_CANDIDATE_PAIRS`), or a coordinate is too large to be squared.
    """
    tree, other = cKDTree(truth), cKDTree(prediction)
    try:
        n_pairs = int(tree.count_neighbors(other, max_distance))
    except ValueError as error:  # the square of a distance overflows
        raise ColloidsError("Some positions lie beyond any image: look for broken rows in the tables.") from error
    if n_pairs > MAX_CANDIDATE_PAIRS:
        raise ColloidsError(
            f"Each prediction has {n_pairs / len(prediction):.0f} true particles within {max_distance:g} voxels, "
            "too many to match: check the diameter and that both sets of positions are in voxels."
        )
    found = tree.sparse_distance_matrix(other, max_distance, output_type="ndarray")
    found = found[np.lexsort((found["i"], found["j"]))]
    return Pairs(found["i"], found["j"], found["v"])
