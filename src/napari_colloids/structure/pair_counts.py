"""Counts of pairs of particles by distance, kind and direction, corrected for the faces of the window.

References
----------
Ohser and Stoyan, Biom. J. 23, 523 (1981): the translation correction. Allen and Tildesley, Computer Simulation of
Liquids, 2nd ed. (Oxford, 2017), section 5.3: cells that hold the particles near to each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_colloids.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Whole = NDArray[np.intp]

#: Cells to each side of a particle's own that pairs are sought in: smaller cells hold fewer particles out of reach.
_REACH_CELLS = 2
#: Most cells for each particle: of a cutoff that is small against the window, many are empty.
_MAX_CELLS_PER_PARTICLE = 8.0
#: Smallest edge of a cell over the cutoff: particles may all lie in a plane.
_MIN_CELL = 1e-9
#: Smallest overlap of the window with itself, moved, over its edge.
_MIN_OVERLAP = 1e-9


class PairCounts(NamedTuple):
    """Pairs counted in bins of their distance, each with its weight.

    Attributes
    ----------
    sums
        Sums of the weights, shape ``(parts, bins)``.
    squares
        Sums of their squares, the variances of `sums`.
    """

    sums: Array
    squares: Array

    @classmethod
    def none(cls, parts: int, bins: int) -> PairCounts:
        """Return the counts before any pair."""
        return cls(np.zeros((parts, bins)), np.zeros((parts, bins)))

    def plus(self, other: PairCounts) -> PairCounts:
        """Return the counts of both."""
        return PairCounts(self.sums + other.sums, self.squares + other.squares)


def count_pairs(
    positions: Array,
    box: Array,
    cutoff: float,
    bins: int,
    *,
    kinds: Whole | None = None,
    parts: Whole | None = None,
    directions: int = 1,
) -> PairCounts:
    """Count the pairs of particles in bins of their distance, each pair once.

    A pair has the weight 1 over the overlap of the window with itself, moved by the pair. Memory does not grow with the
    number of pairs.

    Parameters
    ----------
    positions
        Shape ``(N, 3)``.
    box
        Edges of the window, shape ``(3,)``.
    cutoff
        Largest distance; there are as many equal `bins` up to it.
    bins
        Their number.
    kinds
        Kind of each particle, shape ``(N,)``; None for one kind.
    parts
        Number of the part that a pair of two kinds belongs to, shape ``(kinds, kinds)``.
    directions
        Ranges of the cosine of the angle between a pair and the first axis; each part is split into as many.

    Returns
    -------
    PairCounts
        Of the directions of the first part, then of those of the second.
    """
    kinds = np.zeros(len(positions), np.intp) if kinds is None else kinds
    parts = np.zeros((1, 1), np.intp) if parts is None else parts
    low, extent = positions.min(axis=0), np.ptp(positions, axis=0)
    most = max(_MAX_CELLS_PER_PARTICLE * len(positions), 1.0) ** (1 / 3)
    grid = np.clip((extent / (cutoff / _REACH_CELLS)).astype(np.intp), 1, int(most))
    sizes = np.maximum(extent / grid, _MIN_CELL * cutoff)
    cells = np.minimum(((positions - low) / sizes).astype(np.intp), grid - 1)
    flat = np.ravel_multi_index(tuple(cells.T), tuple(grid))
    order = np.argsort(flat, kind="stable")
    starts = np.searchsorted(flat[order], np.arange(np.prod(grid) + 1))
    reach = np.minimum(np.ceil(cutoff / sizes), grid).astype(np.intp)
    found = np.zeros((2, (int(parts.max()) + 1) * directions, bins))
    _count(
        np.ascontiguousarray(positions[order]),
        *(cells[order], starts, grid, reach, np.asarray(box, dtype=float)),
        *(cutoff, kinds[order], parts, directions, found),
    )
    return PairCounts(found[0], found[1])


@compiled
def _count(
    positions: Array,
    cells: Whole,
    starts: Whole,
    grid: Whole,
    reach: Whole,
    box: Array,
    cutoff: float,
    kinds: Whole,
    parts: Whole,
    directions: int,
    found: Array,
) -> None:
    """Add the weights of all pairs and their squares to `found`, of shape ``(2, parts, bins)``."""
    bins = found.shape[2]
    least = _MIN_OVERLAP * box
    for i in range(len(positions)):
        # Cells along x follow each other, and so do their particles.
        first_x, last_x = max(cells[i, 2] - reach[2], 0), min(cells[i, 2] + reach[2], grid[2] - 1)
        for z in range(max(cells[i, 0] - reach[0], 0), min(cells[i, 0] + reach[0], grid[0] - 1) + 1):
            for y in range(max(cells[i, 1] - reach[1], 0), min(cells[i, 1] + reach[1], grid[1] - 1) + 1):
                row = (z * grid[1] + y) * grid[2]
                for j in range(max(starts[row + first_x], i + 1), starts[row + last_x + 1]):
                    up = abs(positions[j, 0] - positions[i, 0])
                    side = abs(positions[j, 1] - positions[i, 1])
                    along = abs(positions[j, 2] - positions[i, 2])
                    square = up * up + side * side + along * along
                    if square > cutoff * cutoff:
                        continue
                    distance = np.sqrt(square)
                    part = parts[kinds[i], kinds[j]] * directions
                    if directions > 1 and distance > 0:
                        part += min(int(directions * (up / distance)), directions - 1)
                    # Particles may lie a little outside the window, where a fit has put them.
                    overlap = max(box[0] - up, least[0]) * max(box[1] - side, least[1]) * max(box[2] - along, least[2])
                    place = min(int(distance / cutoff * bins), bins - 1)
                    found[0, part, place] += 1 / overlap
                    found[1, part, place] += 1 / overlap**2
