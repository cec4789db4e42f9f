"""Rearrangement of spheres: overlaps are taken out, and all move a little (hard-sphere Monte Carlo)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

#: Sweeps over all spheres, and the largest step of one along an axis over how far it may go.
_N_SWEEPS, _STEP = 40, 0.5
#: Rounds in which spheres that overlap are pushed apart.
_N_PUSHES = 60


def rearranged(positions: Array, radii: Array, reach: float, rng: Generator) -> Array:
    """Move spheres at random, none farther than `reach`, so that none overlap that did not.

    In a sweep of Metropolis steps each sphere is offered a new place, and takes it if that overlaps neither the old nor
    the new place of a neighbour. Overlaps that there are do not become deeper.

    Parameters
    ----------
    positions
        Shape ``(N, 3)``, in the unit of the radii.
    radii
        Shape ``(N,)``.
    reach
        Largest distance from where a sphere was.
    rng
        Source of randomness.

    Returns
    -------
    numpy.ndarray
        Shape ``(N, 3)``.

    References
    ----------
    Metropolis, Rosenbluth, Rosenbluth, Teller and Teller, J. Chem. Phys. 21, 1087 (1953).

    Examples
    --------
    >>> import numpy as np
    >>> touching = np.array([[0.0, 0, 0], [0, 0, 2]])
    >>> moved = rearranged(touching, np.ones(2), 0.3, np.random.default_rng(0))
    >>> bool(np.linalg.norm(moved[1] - moved[0]) >= 2), bool(abs(moved - touching).max() <= 0.3)
    (True, True)
    """
    first, second = _pairs(positions, radii, 2 * reach)
    contact = radii[first] + radii[second]
    now = positions
    for _ in range(_N_SWEEPS):
        new = now + rng.uniform(-_STEP, _STEP, now.shape) * reach
        limit = np.minimum(contact, np.linalg.norm(now[first] - now[second], axis=1))
        meet = np.linalg.norm(new[first] - new[second], axis=1) < limit
        refused = np.linalg.norm(new - positions, axis=1) > reach
        refused[first[meet | (np.linalg.norm(new[first] - now[second], axis=1) < limit)]] = True
        refused[second[meet | (np.linalg.norm(now[first] - new[second], axis=1) < limit)]] = True
        now = np.where(refused[:, None], now, new)
    return now


def pushed_apart(positions: Array, radii: Array, held: NDArray[np.bool_] | None = None) -> Array:
    """Push spheres apart that overlap, each by half of the overlap, in rounds; dense ones may keep a little.

    Parameters
    ----------
    positions, radii
        As in `rearranged`.
    held
        Shape ``(N,)``: spheres that stay where they are; None for none.

    Returns
    -------
    numpy.ndarray
        Shape ``(N, 3)``.

    Examples
    --------
    >>> import numpy as np
    >>> pushed_apart(np.array([[0.0, 0, 0.5], [0, 0, 1.5]]), np.ones(2)).tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]]
    """
    now = positions.copy()
    free = np.ones(len(radii)) if held is None else (~held).astype(float)
    for _ in range(_N_PUSHES):
        first, second = _pairs(now, radii, 0.0)
        if len(first) == 0:
            break
        apart = now[second] - now[first]
        distance = np.maximum(np.linalg.norm(apart, axis=1), 1e-9)
        push = ((radii[first] + radii[second] - distance) / 2 / distance)[:, None] * apart
        np.add.at(now, first, -push * free[first, None])
        np.add.at(now, second, push * free[second, None])
    return now


def _pairs(positions: Array, radii: Array, beyond: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the numbers of spheres whose surfaces are less than so far apart."""
    reach = 2 * float(radii.max(initial=0.0)) + beyond
    first, second = cKDTree(positions).query_pairs(reach, output_type="ndarray").T
    distance = np.linalg.norm(positions[first] - positions[second], axis=1)
    near = distance < radii[first] + radii[second] + beyond
    return first[near], second[near]
