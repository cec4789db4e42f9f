"""Noise that is clipped where the grey levels end: its mean and variance, voxel by voxel.

A compiled function, as half of the voxels of an image of little light may be clipped. It calls none of another file;
see `templates`.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr

from napari_colloids.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Levels = NDArray[np.float32] | NDArray[np.float64]

#: Standard deviations beyond a limit of the grey levels from which a voxel is certainly saturated.
_SATURATION_SIGMAS = 30.0
#: Standard deviations from a limit beyond which it clips nothing that 32-bit numbers would tell.
_FREE_SIGMAS = 5.5
#: Entries per standard deviation of the tables of the normal distribution and of its density, between which linear
#: interpolation is exact to 1e-6.
_ENTRIES_PER_SIGMA = 256
_TABULATED = np.arange(-_FREE_SIGMAS, _FREE_SIGMAS + 2 / _ENTRIES_PER_SIGMA, 1 / _ENTRIES_PER_SIGMA)
_BELOW = ndtr(_TABULATED)
_DENSITY = np.exp(-(_TABULATED**2) / 2) / np.sqrt(2 * np.pi)
#: Smallest variance of a clipped level over that of the noise.
_MIN_VARIANCE = 1e-4


@compiled
def write_clipped(
    first: int,
    last: int,
    light: Levels,
    sigma: Levels,
    low: float,
    high: float,
    expected: Levels,
    slope: Levels,
    deviation: Levels,
) -> None:
    """Write the moments of the grey levels of some voxels: normally distributed, and clipped.

    Parameters
    ----------
    first, last
        Number of the first voxel, and of the one after the last.
    light, sigma
        Shape ``(N,)``: mean and standard deviation before they are clipped.
    low, high
        Lowest and highest grey level, finite or not.
    expected, slope, deviation
        Shape ``(N,)``, to be written: mean, its derivative with respect to the light, and standard deviation.
    """
    for n in range(first, last):
        width = sigma[n]
        # Light far beyond a limit is recorded as that limit.
        level = min(max(light[n], low - _SATURATION_SIGMAS * width), high + _SATURATION_SIGMAS * width)
        a = max((low - level) / width, -_SATURATION_SIGMAS)
        b = min((high - level) / width, _SATURATION_SIGMAS)
        # Moments of (grey level - light) / sigma, a standard normal variable clipped at a and b.
        within, mean, square = 1.0, 0.0, 1.0
        if a > -_FREE_SIGMAS:
            below, density = _distribution(a)
            within -= below
            mean += a * below + density
            square += (a**2 - 1) * below + a * density
        if b < _FREE_SIGMAS:
            above, density = _distribution(-b)
            within -= above
            mean += b * above - density
            square += (b**2 - 1) * above - b * density
        expected[n] = level + width * mean
        slope[n] = within
        deviation[n] = width * sqrt(max(square - mean**2, _MIN_VARIANCE))


@compiled
def _distribution(value: float) -> tuple[float, float]:
    """Return the normal distribution below a value of more than `-_FREE_SIGMAS`, and its density there."""
    if value >= _FREE_SIGMAS:
        return 1.0, 0.0
    place = (value + _FREE_SIGMAS) * _ENTRIES_PER_SIGMA
    n = int(place)
    part = place - n
    return _BELOW[n] + part * (_BELOW[n + 1] - _BELOW[n]), _DENSITY[n] + part * (_DENSITY[n + 1] - _DENSITY[n])
