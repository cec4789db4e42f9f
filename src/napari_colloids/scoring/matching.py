"""Optimal one-to-one matching of true and detected particles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, min_weight_full_bipartite_matching

from napari_colloids.scoring.inputs import checked_length, checked_positions
from napari_colloids.scoring.pairs import Pairs, close_pairs

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

#: Largest cost matrix that is still solved as a dense one.
DENSE_SIZE = 250_000


@dataclass(frozen=True, eq=False)
class Matching:
    """Matched pairs, one entry a pair, ordered by truth.

    Attributes
    ----------
    truth_index, prediction_index
        Rows of the truth and of the prediction.
    distance
        How far the two are apart.
    """

    truth_index: NDArray[np.intp]
    prediction_index: NDArray[np.intp]
    distance: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of matches."""
        return len(self.truth_index)


def match(truth: pd.DataFrame | ArrayLike, prediction: pd.DataFrame | ArrayLike, max_distance: float) -> Matching:
    """Match true and detected particles one-to-one: as many as possible, and of those the least total distance.

    Parameters
    ----------
    truth, prediction
        Particle tables, or arrays of shape ``(N, 3)``: z, y, x in voxels.
    max_distance
        A pair further apart than this many voxels is no match.

    Raises
    ------
    ColloidsError
        If the positions or the distance are not valid.

    Notes
    -----
    Only pairs found by a KD-tree are considered, and each cluster of connected pairs is solved by itself: 100,000
    particles take about a second at half a diameter. Where the distance is so large that the clusters join up, the
    time grows with the square of the number of particles (20,000 at a full diameter: several seconds).
    """
    max_distance = checked_length(max_distance, "greatest distance of a match")
    pairs = close_pairs(
        checked_positions(truth, "The truth"), checked_positions(prediction, "The prediction"), max_distance
    )
    kept = assign(pairs, pairs.distance / max_distance)
    kept = kept[np.argsort(pairs.truth[kept])]
    return Matching(pairs.truth[kept], pairs.prediction[kept], pairs.distance[kept])


def assign(pairs: Pairs, cost: NDArray[np.float64]) -> NDArray[np.intp]:
    """Choose pairs so that nobody is in two of them: as many pairs as possible, and of those the least total cost.

    Parameters
    ----------
    pairs
        The candidates.
    cost
        Cost of each pair, between 0 and 1.

    Returns
    -------
    numpy.ndarray
        Indices into `pairs`.
    """
    if not len(cost):
        return np.empty(0, np.intp)
    cluster = _clusters(pairs)
    size = np.bincount(cluster)
    alone = np.flatnonzero(size[cluster] == 1)
    shared = np.flatnonzero(size[cluster] > 1)
    shared = shared[np.argsort(cluster[shared], kind="stable")]
    starts = np.flatnonzero(np.diff(cluster[shared])) + 1
    chosen = [_assign_cluster(pairs, cost, members) for members in np.split(shared, starts) if len(members)]
    return np.concatenate([alone, *chosen])


def _clusters(pairs: Pairs) -> NDArray[np.intp]:
    """Return for each pair the number of its cluster: pairs that are connected by common particles."""
    n_truth, n_prediction = int(pairs.truth.max()) + 1, int(pairs.prediction.max()) + 1
    n = n_truth + n_prediction
    graph = coo_array((np.ones(len(pairs.truth), bool), (pairs.truth, pairs.prediction + n_truth)), shape=(n, n))
    return connected_components(graph, directed=False)[1][pairs.truth]


def _assign_cluster(pairs: Pairs, cost: NDArray[np.float64], members: NDArray[np.intp]) -> NDArray[np.intp]:
    """Solve one cluster; `members` and the result are indices into `pairs`."""
    row = np.unique(pairs.truth[members], return_inverse=True)[1]
    column = np.unique(pairs.prediction[members], return_inverse=True)[1]
    if row.max() > column.max():
        row, column = column, row
    n_rows, n_columns = int(row.max()) + 1, int(column.max()) + 1
    # No number of cheaper pairs makes up for a pair less: staying single costs more than all others together can save.
    if n_rows * n_columns <= DENSE_SIZE:
        matrix = np.full((n_rows, n_columns), n_rows + 1.0)
        matrix[row, column] = cost[members]
        partner = linear_sum_assignment(matrix)[1]
    else:
        # The sparse solver matches every row, so each row gets a column of its own that stands for staying single.
        # It takes a zero for a missing pair, therefore all costs are raised by 1.
        single = np.arange(n_rows)
        weights = np.concatenate([1 + cost[members], np.full(n_rows, n_rows + 3.0)])
        where = (np.concatenate([row, single]), np.concatenate([column, n_columns + single]))
        graph = coo_array((weights, where), shape=(n_rows, n_columns + n_rows)).tocsr()
        partner = min_weight_full_bipartite_matching(graph)[1]
    return members[partner[row] == column]
