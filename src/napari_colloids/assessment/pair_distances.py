"""Distances and directions of pairs of particles: whether two arrangements are alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

#: Edges of the bins of the distance in diameters, and of the cosine of the angle with the z axis.
_DISTANCES = np.arange(0.6, 2.25, 0.1)
_COSINES = np.array([0, 0.5, 0.8, 1.01])
#: Reduced chi-square of all counts, and of the directions of pairs nearer than so many diameters, from which two
#: samples are not arranged alike. As pairs of the same particle are not independent, random packings have 0.7 to 2.5,
#: and 0 to 2.5; crystals 170 and 2, strings 3 to 40 and 18 to 50.
_MAX_CHI_SQUARE, _MAX_CHI_SQUARE_OF_DIRECTIONS, _NEAR_DIAMETERS = 3.0, 8.0, 1.3
#: Pairs that a bin needs in both together.
_MIN_COUNT = 10


def pair_counts(positions: Array, diameter: float) -> NDArray[np.intp]:
    """Count pairs by distance and direction.

    Parameters
    ----------
    positions
        Shape ``(N, 3)``: z, y, x in lateral voxels.
    diameter
        Of a particle, in the same unit.

    Returns
    -------
    numpy.ndarray
        Shape ``(distances, directions)``.
    """
    pairs = cKDTree(positions).query_pairs(float(_DISTANCES[-1]) * diameter, output_type="ndarray")
    apart = positions[pairs[:, 0]] - positions[pairs[:, 1]]
    distance = np.maximum(np.linalg.norm(apart, axis=1), 1e-9)
    counts, _, _ = np.histogram2d(distance / diameter, np.abs(apart[:, 0]) / distance, bins=(_DISTANCES, _COSINES))
    return counts.astype(np.intp)


def are_alike(one: NDArray[np.intp], other: NDArray[np.intp]) -> bool:
    """Whether the pairs of two samples, as `pair_counts` returns them, may be of one kind of arrangement."""
    near = np.searchsorted(_DISTANCES, _NEAR_DIAMETERS)
    directions = reduced_chi_square(one[:near].sum(axis=0), other[:near].sum(axis=0))
    return reduced_chi_square(one, other) < _MAX_CHI_SQUARE and directions < _MAX_CHI_SQUARE_OF_DIRECTIONS


def reduced_chi_square(one: NDArray[np.intp], other: NDArray[np.intp]) -> float:
    r"""Compare two tables of counts; about 1 where both are of one distribution.

    .. math::

        \chi^2_\nu = \frac{1}{\nu} \sum_k \frac{(\sqrt{B / A} \, a_k - \sqrt{A / B} \, b_k)^2}{a_k + b_k}

    with the counts :math:`a_k` and :math:`b_k`, their totals :math:`A` and :math:`B`, and :math:`\nu` one less than
    the number of bins with enough counts.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> one, other, different = rng.poisson(100, 50), rng.poisson(100, 50), rng.poisson(np.linspace(50, 150, 50))
    >>> bool(0.5 < reduced_chi_square(one, other) < 1.5), bool(reduced_chi_square(one, different) > 4)
    (True, True)
    """
    total_one, total_other = int(one.sum()), int(other.sum())
    counted = one + other >= _MIN_COUNT
    if total_one == 0 or total_other == 0 or counted.sum() < 2:
        return 1.0
    ratio = (total_other / total_one) ** 0.5
    a, b = one[counted], other[counted]
    return float(((ratio * a - b / ratio) ** 2 / (a + b)).sum() / (counted.sum() - 1))
