"""Joining of trajectories over frames in which a particle was missed: it has wandered further by then.

References
----------
Jaqaman et al., Nature Methods 5, 695 (2008).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array, csr_array, diags_array, hstack
from scipy.sparse.csgraph import connected_components, min_weight_full_bipartite_matching
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_colloids.dynamics.assignment import Trajectories

    Array = NDArray[np.float64]

#: A particle is looked for within this many standard deviations of the displacements along an axis.
_REACH_SIGMAS = 3.5
#: Shorter trajectories are not joined: false particles mostly have one position.
_MIN_POSITIONS = 2


def close_gaps(found: Trajectories, search_range: float, memory: int) -> int:
    r"""Join trajectories that end with others that begin some frames later, and return how many joins that were.

    After a gap a particle is looked for within :math:`\sqrt{k}` times as far as in the next frame, for :math:`k` frames
    between the two positions, about the place that the common motion takes it to. Ends and beginnings are assigned
    one-to-one, so that the sum of the squared displacements over :math:`k` is least. Within the search range itself
    the assignment from frame to frame has left nothing to join.

    Parameters
    ----------
    found
        Trajectories of one channel; its `numbers` are changed.
    search_range, memory
        As in `link`.
    """
    if memory == 0:
        return 0
    # Particles that move much less than the search range are never farther away: what is there is another particle.
    reach = min(search_range, _REACH_SIGMAS * _sigma(found))
    if not reach * (memory + 1) ** 0.5 > search_range:
        return 0
    ends, starts, costs = _candidates(found, reach, memory)
    if len(ends) == 0:
        return 0
    ends, starts = _assigned(ends, starts, costs, search_range**2)
    count = int(found.numbers.max()) + 1
    pairs = coo_array((np.ones(len(ends)), (ends, starts)), shape=(count, count))
    found.numbers = connected_components(pairs, directed=False)[1][found.numbers].astype(np.int64)
    return len(ends)


def _sigma(found: Trajectories) -> float:
    """Return the standard deviation, along an axis, of the displacement from frame to frame; 0 where nothing goes on.

    It is taken about the common motion, and scaled to one frame where frames are empty.
    """
    numbers = _split(found.numbers, found)
    squares = [np.empty(0)]
    for step, frames in enumerate(np.diff(found.frames)):
        _, here, there = np.intersect1d(numbers[step], numbers[step + 1], return_indices=True)
        expected = found.positions[step] + found.displacements(step)
        squares.append(np.sum((found.positions[step + 1][there] - expected[here]) ** 2, axis=1) / frames)
    every = np.concatenate(squares)
    return float(np.sqrt(every.mean() / 3)) if len(every) else 0.0


def _split(values: NDArray[np.int64], found: Trajectories) -> list[NDArray[np.int64]]:
    """Return the values of the particles of each frame."""
    return np.split(values, np.cumsum([len(positions) for positions in found.positions])[:-1])


def _candidates(found: Trajectories, reach: float, memory: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
    """Return pairs of trajectories of which the second may go on with the first, and their costs."""
    numbers, positions = found.numbers, np.concatenate(found.positions)
    place = np.repeat(np.arange(len(found.frames)), [len(part) for part in found.positions])
    long_enough = np.bincount(numbers) >= _MIN_POSITIONS
    count, rows = len(long_enough), np.arange(len(numbers))
    first, last = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    last[numbers] = rows
    first[numbers[::-1]] = rows[::-1]
    expected = positions[last]
    ends, starts, costs = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0)]
    for step in range(1, len(found.frames)):
        waiting = np.flatnonzero(place[last] < step)
        gaps = found.frames[step] - found.frames[place[last[waiting]]]
        waiting, gaps = waiting[gaps <= memory + 1], gaps[gaps <= memory + 1]
        motion = found.motions[step - 1]
        if motion is not None:
            expected[waiting] += motion.at(expected[waiting])
        chosen = (gaps > 1) & long_enough[waiting]
        missed, gaps = waiting[chosen], gaps[chosen]
        appeared = np.flatnonzero((place[first] == step) & long_enough)
        farthest = reach * (memory + 1) ** 0.5
        trees = cKDTree(expected[missed]), cKDTree(positions[first[appeared]])
        pairs = trees[0].sparse_distance_matrix(trees[1], farthest, output_type="ndarray")
        squares = pairs["v"] ** 2 / gaps[pairs["i"]]
        near = squares < reach**2
        ends.append(missed[pairs["i"][near]])
        starts.append(appeared[pairs["j"][near]])
        costs.append(squares[near])
    return np.concatenate(ends), np.concatenate(starts), np.concatenate(costs)


def _assigned(
    ends: NDArray[np.int64], starts: NDArray[np.int64], costs: Array, cost_of_none: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the pairs of the cheapest one-to-one assignment, in which an end may go on nowhere."""
    end, rows = np.unique(ends, return_inverse=True)
    start, columns = np.unique(starts, return_inverse=True)
    # What costs nothing would count as no pair.
    pairs = csr_array((costs + 1e-9 * cost_of_none, (rows, columns)), shape=(len(end), len(start)))
    nowhere = diags_array(np.full(len(end), cost_of_none))
    row, column = min_weight_full_bipartite_matching(hstack([pairs, nowhere], format="csr"))
    kept = column < len(start)
    return end[row[kept]], start[column[kept]]
