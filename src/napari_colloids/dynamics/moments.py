r"""Averages over displacements, with the part of localisation errors taken off.

A measured displacement along an axis is :math:`\Delta x + e`, where the error :math:`e` is Gaussian with the variance
:math:`s^2 = \sigma^2(t) + \sigma^2(t + \tau)`. The polynomials below (Hermite's) have the mean of the true displacement
exactly, for each displacement with its own errors.

References
----------
Rahman, Phys. Rev. 136, A405 (1964): the non-Gaussian parameter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

#: Sums over displacements that do not belong to an axis: number, squares and their squares, both as they are and
#: without the errors, and overlap.
_COUNT, _R2, _R4, _R2_TRUE, _R4_TRUE, _OVERLAP = range(6)
_OWN = 6


@dataclass(frozen=True)
class Averages:
    """Averages over displacements, each corrected for errors and as measured (``raw``); arrays of one shape.

    Attributes
    ----------
    msd, msd_raw
        Mean squared displacement.
    fs, fs_raw
        Self-intermediate scattering function.
    alpha2, alpha2_raw
        Non-Gaussian parameter.
    overlap_raw
        Fraction of the displacements that are shorter than the distance of the overlap.
    count
        Number of displacements.
    """

    msd: Array
    msd_raw: Array
    fs: Array
    fs_raw: Array
    alpha2: Array
    alpha2_raw: Array
    overlap_raw: Array
    count: Array


def sums(
    displacements: Array, variances: Array | None, blocks: NDArray[np.int64], count: int, q: float, distance: float
) -> Array:
    """Return what the averages are made of, summed over the displacements of each block, shape ``(count, sums)``.

    Parameters
    ----------
    displacements
        Shape ``(N, axes)``.
    variances
        Of their errors, of the same shape; None where these are unknown.
    blocks, count
        Block of each displacement, and the number of blocks.
    q
        Wave number.
    distance
        Of the overlap.
    """
    squares = displacements**2
    r2 = squares.sum(axis=1)
    r2_true, r4_true = r2, r2**2
    damping = np.ones_like(squares)
    if variances is not None:
        r2_true = r2 - variances.sum(axis=1)
        # <(dx + e)^4> = <dx^4> + 6 <dx^2> s^2 + 3 s^4, and <e_x^2 e_y^2> = s_x^2 s_y^2 for different axes.
        r4_true = r2_true**2 - np.sum(variances * (4 * squares - 2 * variances), axis=1)
        damping = np.exp(-0.5 * q**2 * variances)
    columns = [np.ones_like(r2), r2, r2**2, r2_true, r4_true, (r2 < distance**2).astype(float)]
    columns += [*np.cos(q * displacements).T, *damping.T]
    return np.stack([np.bincount(blocks, weights=column, minlength=count) for column in columns], axis=1)


def number_of_sums(axes: int) -> int:
    """Return the number of sums for a number of axes."""
    return _OWN + 2 * axes


def averages(total: Array) -> Averages:
    """Return the averages that sums, shape ``(..., sums)``, make; NaN where there are no displacements.

    Where errors explain more than all of the mean squared displacement, there is no non-Gaussian parameter.
    """
    axes = (total.shape[-1] - _OWN) // 2
    count = total[..., _COUNT]
    waves, damping = total[..., _OWN : _OWN + axes], total[..., _OWN + axes :]
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / count[..., None]
        return Averages(
            msd=mean[..., _R2_TRUE],
            msd_raw=mean[..., _R2],
            fs=np.mean(waves / damping, axis=-1),
            fs_raw=np.mean(waves / count[..., None], axis=-1),
            alpha2=_alpha2(mean[..., _R2_TRUE], mean[..., _R4_TRUE], axes),
            alpha2_raw=_alpha2(mean[..., _R2], mean[..., _R4], axes),
            overlap_raw=mean[..., _OVERLAP],
            count=count,
        )


def jackknife(total: Array) -> Averages:
    """Return the standard errors of the averages, from leaving out one block at a time.

    Parameters
    ----------
    total
        Sums, shape ``(..., blocks, sums)``. With a single block all errors are NaN.
    """
    blocks = total.shape[-2]
    left = averages(total.sum(axis=-2, keepdims=True) - total)

    def error(values: Array) -> Array:
        if blocks < 2:
            return np.full(values.shape[:-1], np.nan)
        spread = np.sum((values - values.mean(axis=-1, keepdims=True)) ** 2, axis=-1)
        return np.asarray(np.sqrt((blocks - 1) / blocks * spread))

    return Averages(**{name: error(values) for name, values in vars(left).items()})


def _alpha2(r2: Array, r4: Array, axes: int) -> Array:
    """Return the non-Gaussian parameter in as many dimensions as axes."""
    return np.asarray(np.where(r2 > 0, axes * r4 / ((axes + 2) * r2**2) - 1, np.nan))


def blocks_of(positions: Array, depth: int) -> NDArray[np.int64]:
    """Return the number of the block of each particle: ``2**depth`` groups of as many particles that lie together.

    Parameters
    ----------
    positions
        Shape ``(N, 3)``.
    depth
        How often groups are halved, each at the middle of its longest edge.
    """
    block = np.zeros(len(positions), dtype=np.int64)
    for _ in range(depth):
        block *= 2
        for number in np.unique(block):
            rows = np.flatnonzero(block == number)
            axis = int(np.argmax(np.ptp(positions[rows], axis=0)))
            order = np.argsort(positions[rows, axis], kind="stable")
            block[rows[order[len(rows) // 2 :]]] += 1
    return block
