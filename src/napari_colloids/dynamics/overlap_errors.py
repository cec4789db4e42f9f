r"""Overlap without localisation errors: the displacements as a mixture of Gaussians, of which the errors are taken off.

There is no closed form, as there is for the moments. A mixture of isotropic Gaussians of all widths describes free
diffusion, particles in cages and such that have left them; it is fitted to the measured lengths of the displacements as
they come out with the known errors, by expectation maximisation.

References
----------
Dempster, Laird and Rubin, J. R. Stat. Soc. B 39, 1 (1977): expectation maximisation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

#: Bins of the lengths over the distance of the overlap, which is itself the end of one.
EDGES = np.concatenate([np.linspace(0, 1, 21), np.geomspace(1, 30, 25)[1:], [np.inf]])
_INSIDE = 20
#: Standard deviations of the Gaussians along an axis, over the distance of the overlap.
_WIDTHS = np.concatenate([[0.0], np.geomspace(0.02, 15, 32)])
#: Points that stand for a Gaussian.
_POINTS = 4096
#: Positive roots of x^(axes + 1) = x + 1 for one to three axes: golden ratios, whose multiples fill space evenly.
_GOLDEN = (1.618033988749895, 1.324717957244746, 1.2207440846057596)
_ROUNDS = 1000
#: Greatest difference of the cumulative distributions for which the mixture describes the displacements.
_MOST_MISFIT = 0.03
#: The same from chance, times the root of the number of displacements.
_CHANCE_MISFIT = 1.6


def length_counts(displacements: Array, distance: float) -> Array:
    """Return how many displacements, shape ``(N, axes)``, have a length in each bin of `EDGES`."""
    lengths = np.linalg.norm(displacements, axis=1) / distance
    return np.bincount(np.searchsorted(EDGES, lengths, side="right") - 1, minlength=len(EDGES) - 1).astype(float)


def overlap_shift(counts: Array, variances: Array, distance: float) -> float | None:
    """Return the overlap without errors, less the measured one; None where no mixture describes the displacements.

    Parameters
    ----------
    counts
        From `length_counts`.
    variances
        Of the errors of some displacements, that stand for all: shape ``(N, axes)``.
    distance
        Of the overlap.
    """
    places = np.linspace(0, len(variances) - 1, _POINTS).round().astype(int)
    blur = variances[np.random.default_rng(0).permutation(places)] / distance**2
    normal = _normal_points(variances.shape[1]) ** 2
    measured = np.stack([_cumulated(normal, width**2 + blur) for width in _WIDTHS])
    true = np.array([_cumulated(normal, np.full_like(blur, width**2))[_INSIDE - 1] for width in _WIDTHS])
    model = np.diff(measured, axis=1, prepend=0.0)
    weights = np.full(len(_WIDTHS), 1 / len(_WIDTHS))
    share = counts / counts.sum()
    for _ in range(_ROUNDS):
        expected = weights @ model
        weights = weights * (model @ np.divide(share, expected, out=np.zeros_like(share), where=expected > 0))
        weights /= weights.sum()
    misfit = float(np.abs(weights @ measured - np.cumsum(share)).max())
    if misfit > max(_MOST_MISFIT, _CHANCE_MISFIT / counts.sum() ** 0.5):
        return None
    return float(weights @ (true - measured[:, _INSIDE - 1]))


def _cumulated(normal_squares: Array, variances: Array) -> Array:
    """Return the cumulative distribution of the lengths of Gaussian displacements at the ends of the bins."""
    lengths = np.sqrt(np.sum(normal_squares * variances, axis=1))
    return np.asarray(np.searchsorted(np.sort(lengths), EDGES[1:], side="left") / len(lengths))


def _normal_points(axes: int) -> Array:
    """Return points of a normal distribution, shape ``(_POINTS, axes)``, spread more evenly than random ones.

    Multiples of irrational numbers, of which only the parts after the point are taken, fill the unit cube.
    """
    steps = _GOLDEN[axes - 1] ** -np.arange(1.0, axes + 1)
    return np.asarray(ndtri((0.5 + np.arange(1, _POINTS + 1)[:, None] * steps) % 1))
