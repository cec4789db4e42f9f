"""Optimal one-to-one matching of true and detected particles: an assignment problem, solved cluster by cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, min_weight_full_bipartite_matching

from napari_colloids.plotting import axes_or_new
from napari_colloids.scoring.inputs import checked_length, checked_positions
from napari_colloids.scoring.pairs import Pairs, close_pairs

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

#: Entries of the largest cost matrix that is solved as a dense one.
MAX_DENSE_ENTRIES = 250_000


@dataclass(frozen=True, eq=False)
class Matching:
    """Optimal assignment of detected to true particles: the matched pairs, one entry a pair, ordered by truth.

    Attributes
    ----------
    truth_index, prediction_index
        Rows of the truth and of the prediction.
    distance
        Distance between the two, in voxels.

    See Also
    --------
    match : Computes it.

    Examples
    --------
    >>> from napari_colloids import match
    >>> matching = match([[5, 5, 5], [9, 9, 9]], [[9, 9, 8]], max_distance=4)
    >>> len(matching), matching.truth_index
    (1, array([1]))
    """

    truth_index: NDArray[np.intp]
    prediction_index: NDArray[np.intp]
    distance: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of matches."""
        return len(self.truth_index)

    def __repr__(self) -> str:
        if not len(self):
            return "Matching(pairs = 0)"
        mean, greatest = self.distance.mean(), self.distance.max()
        return f"Matching(pairs = {len(self)}, mean distance = {mean:.3g} voxels, greatest = {greatest:.3g} voxels)"

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw a histogram of the distances between matched particles.

        Parameters
        ----------
        ax
            Axes to draw on; None makes a new figure.

        Returns
        -------
        matplotlib.axes.Axes
        """
        ax = axes_or_new(ax)
        ax.hist(self.distance, bins="auto", label="matched pairs")
        ax.set_xlabel("distance (voxels)")
        ax.set_ylabel("pairs")
        return ax


def match(truth: pd.DataFrame | ArrayLike, prediction: pd.DataFrame | ArrayLike, max_distance: float) -> Matching:
    r"""Match true and detected particles one-to-one: as many as possible, and of those the least total distance.

    .. math::

        \min_{M \in \mathcal{M}_\mathrm{max}} \sum_{(i, j) \in M} |\mathbf{t}_i - \mathbf{p}_j|

    over the largest one-to-one matchings :math:`\mathcal{M}_\mathrm{max}` of pairs at most `max_distance` apart.

    Parameters
    ----------
    truth, prediction
        Particle tables, or arrays of shape ``(N, 3)``: z, y, x in voxels.
    max_distance
        A pair further apart than this many voxels is no match.

    Returns
    -------
    Matching

    Raises
    ------
    ColloidsError
        If the positions or the distance are not valid.

    See Also
    --------
    score : All figures of a detection, from this matching.

    Notes
    -----
    This is an assignment problem [1]_. Candidate pairs come from a KD-tree, and each cluster of connected pairs is
    solved by itself, small ones with a dense cost matrix [2]_, large ones with a sparse one [3]_: 100,000 particles
    take about a second at half a diameter. Where the distance is so large that the clusters join up, the time grows
    with the square of the number of particles (20,000 at a full diameter: several seconds).

    References
    ----------
    .. [1] Kuhn, "The Hungarian method for the assignment problem", Naval Research Logistics Quarterly 2, 83 (1955).
    .. [2] Crouse, "On implementing 2D rectangular assignment algorithms", IEEE Trans. Aerosp. Electron. Syst. 52, 1679
       (2016).
    .. [3] Jonker and Volgenant, "A shortest augmenting path algorithm for dense and sparse linear assignment problems",
       Computing 38, 325 (1987).

    Examples
    --------
    The prediction between two particles takes the one that the other prediction cannot reach:

    >>> from napari_colloids import match
    >>> truth = [[0, 0, 0], [0, 0, 10]]
    >>> prediction = [[0, 0, 4], [0, 0, -3]]
    >>> matching = match(truth, prediction, max_distance=6)
    >>> matching
    Matching(pairs = 2, mean distance = 4.5 voxels, greatest = 6 voxels)
    >>> matching.truth_index, matching.prediction_index
    (array([0, 1]), array([1, 0]))
    """
    max_distance = checked_length(max_distance, "greatest distance of a match")
    pairs = close_pairs(
        checked_positions(truth, "The truth"), checked_positions(prediction, "The prediction"), max_distance
    )
    kept = assign(pairs, pairs.distance / max_distance)
    kept = kept[np.argsort(pairs.truth[kept])]
    return Matching(pairs.truth[kept], pairs.prediction[kept], pairs.distance[kept])


def assign(pairs: Pairs, cost: NDArray[np.float64]) -> NDArray[np.intp]:
    """Assign one-to-one: choose as many pairs as possible without common particles, and of those the least total cost.

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
    isolated = np.flatnonzero(size[cluster] == 1)
    connected = np.flatnonzero(size[cluster] > 1)
    # Stable, so that which of equally good pairs are taken is the same on every machine.
    connected = connected[np.argsort(cluster[connected], kind="stable")]
    starts = np.flatnonzero(np.diff(cluster[connected])) + 1
    chosen = [_assign_cluster(pairs, cost, members) for members in np.split(connected, starts) if len(members)]
    return np.concatenate([isolated, *chosen])


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
    # Leaving a particle unmatched costs more than all pairs together: the largest matching is always the cheapest.
    if n_rows * n_columns <= MAX_DENSE_ENTRIES:
        matrix = np.full((n_rows, n_columns), n_rows + 1.0)
        matrix[row, column] = cost[members]
        partner = linear_sum_assignment(matrix)[1]
    else:
        # The sparse solver matches every row, so each row gets a column of its own that stands for no match.
        # It takes a zero for a missing pair, therefore all costs are raised by 1.
        unmatched = np.arange(n_rows)
        weights = np.concatenate([1 + cost[members], np.full(n_rows, n_rows + 3.0)])
        where = (np.concatenate([row, unmatched]), np.concatenate([column, n_columns + unmatched]))
        partner = min_weight_full_bipartite_matching(coo_array((weights, where)).tocsr())[1]
    return members[partner[row] == column]
