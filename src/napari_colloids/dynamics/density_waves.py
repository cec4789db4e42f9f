r"""Density waves: the Fourier components of the density of particles in a window.

The window weighs a particle by half a sine wave along each axis. Towards the faces it fades to 0, so that a particle
which passes one changes little: over a displacement :math:`\Delta` along an axis of the length :math:`L` a correlation
loses the part :math:`\pi^2 \Delta^2 / 2 L^2`, the least that a window can have, where one with sharp faces loses
:math:`\Delta / L`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Complex = NDArray[np.complex128]

#: Angle between the points of a spiral that fills a sphere evenly.
_GOLDEN_ANGLE = np.pi * (3 - 5**0.5)
#: Terms (particles times waves) in memory at a time.
_BLOCK_TERMS = 2_000_000
#: Particles of a frame whose errors stand for all of them, about.
_SAMPLE = 1000


def wave_vectors(q: float, places: list[int], number: int) -> Array:
    """Return wave vectors of one length whose directions are evenly spread, none opposite to another.

    Parameters
    ----------
    q
        Wave number.
    places
        Axes of z, y, x along which they may lie.
    number
        How many; of a single axis there is one.

    Returns
    -------
    numpy.ndarray
        Shape ``(number, 3)``.
    """
    step, directions = np.arange(number, dtype=np.float64), np.ones((1, 1))
    if len(places) == 2:
        angle = np.pi * (step + 0.5) / number
        directions = np.column_stack([np.sin(angle), np.cos(angle)])
    elif len(places) == 3:
        height, angle = (step + 0.5) / number, _GOLDEN_ANGLE * step
        radius = np.sqrt(1 - height**2)
        directions = np.column_stack([height, radius * np.sin(angle), radius * np.cos(angle)])
    waves = np.zeros((len(directions), 3))
    waves[:, places] = q * directions
    return waves


@dataclass(frozen=True, eq=False)
class DensityWave:
    r"""Density waves of one frame.

    Attributes
    ----------
    amplitudes
        :math:`\left( \sum_j w_j e^{-i \mathbf{q} \cdot \mathbf{r}_j} - \hat{w}(\mathbf{q}) \sum_j w_j \right) /
        \sqrt{\sum_j w_j^2}` for each wave vector, with the weights :math:`w_j`: without what the shape of the window
        does to a uniform density. The mean of its absolute square is S(q).
    damping
        Factor by which localisation errors lower the part of each that they leave, shape as `amplitudes`.
    """

    amplitudes: Complex
    damping: Array


def density_wave(
    positions: Array, variances: Array | None, waves: Array, low: Array, high: Array
) -> DensityWave | None:
    """Return the density waves of a frame; None where no particle is inside the window.

    Parameters
    ----------
    positions
        Shape ``(N, 3)``.
    variances
        Of their errors along z, y, x, shape ``(N, 3)`` or ``(1, 3)``; None where they are unknown.
    waves
        Wave vectors, shape ``(W, 3)``.
    low, high
        Corners of the window, shape ``(3,)``; along an axis that it has no length along, all particles weigh the same.
    """
    edges, centred = high - low, positions - (low + high) / 2
    long = edges > 0
    weights = np.prod(np.cos(np.pi * np.clip(centred[:, long] / edges[long], -0.5, 0.5)), axis=1)
    size = float(np.sum(weights**2) ** 0.5)
    if size <= 0:
        return None
    found = np.empty(len(waves), dtype=complex)
    step = max(1, _BLOCK_TERMS // len(centred))
    for start in range(0, len(waves), step):
        phases = waves[start : start + step] @ centred.T
        found[start : start + step] = np.cos(phases) @ weights - 1j * (np.sin(phases) @ weights)
    # What a uniform density has in this window: the transform of half a sine wave, along each axis.
    periods = waves * edges / np.pi
    uniform = np.prod(np.pi / 4 * (np.sinc((periods - 1) / 2) + np.sinc((periods + 1) / 2)), axis=1)
    damping = np.ones(len(waves))
    if variances is not None:
        some = np.s_[:: len(weights) // _SAMPLE + 1]
        spread = np.broadcast_to(variances, positions.shape)[some]
        damping = np.average(np.exp(-0.5 * spread @ (waves**2).T), axis=0, weights=weights[some] ** 2)
    return DensityWave((found - uniform * weights.sum()) / size, damping)
