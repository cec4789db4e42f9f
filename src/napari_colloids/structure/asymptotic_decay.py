r"""Asymptotic decay of g(r) of a fluid: damped oscillations, which continue it beyond the window.

References
----------
Evans, Leote de Carvalho, Henderson and Hoyle, J. Chem. Phys. 100, 591 (1994): the form, and how early it holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import least_squares

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

#: Where the fit may begin, in spacings of particles; the first that fits is taken.
_BEGINNINGS_SPACINGS = (2.5, 3.5, 4.5)
#: Least range that is fitted, and mean of so many spacings in each of its points.
_MIN_RANGE_SPACINGS, _POINT_SPACINGS = 1.5, 0.04
#: Decay and wave number that the fit begins from, and its limits, per spacing.
_DECAYS, _WAVE_NUMBERS = np.linspace(0.2, 3.0, 15), np.linspace(5.0, 9.5, 19)
_DECAY_LIMITS, _WAVE_NUMBER_LIMITS = (0.1, 10.0), (4.0, 11.0)
#: Mean squared deviation from g(r) = 1, in standard errors squared, from which there is something to continue, and what
#: part of its excess over noise the oscillations may leave.
_MIN_CHI_SQUARED, _MAX_LEFT = 1.5, 0.1


@dataclass(frozen=True)
class AsymptoticDecay:
    r"""Damped oscillation that g(r) of a fluid ends in.

    .. math:: r \, (g(r) - 1) = e^{-\kappa r} (a \cos q r + b \sin q r)

    Attributes
    ----------
    begin
        Distance from which it holds.
    decay
        Inverse correlation length :math:`\kappa`; all lengths are in the unit of r.
    wave_number
        Wave number q of the oscillation.
    cosine, sine
        Amplitudes a and b.
    """

    begin: float
    decay: float
    wave_number: float
    cosine: float
    sine: float

    def __call__(self, r: Array) -> Array:
        """Return g(r) - 1 at distances, shape ``(N,)``."""
        wave = self.cosine * np.cos(self.wave_number * r) + self.sine * np.sin(self.wave_number * r)
        return np.exp(-self.decay * r) * wave / r


def asymptotic_decay(r: Array, g: Array, error: Array, spacing: float) -> AsymptoticDecay | None:
    """Return the damped oscillation that g(r) ends in.

    Parameters
    ----------
    r, g, error
        g(r) in equal bins of the distance, and its standard error.
    spacing
        Mean spacing of particles, the inverse cube root of their number density.

    Returns
    -------
    AsymptoticDecay or None
        None where nothing but noise is left that far out, and where no such oscillation explains it, as in a crystal.
    """
    for begin in _BEGINNINGS_SPACINGS:
        if r[-1] / spacing - begin < _MIN_RANGE_SPACINGS:
            return None
        x, y, weight = _points(r / spacing, g, error, begin)
        if len(x) < 8 or _chi_squared(y, weight) < _MIN_CHI_SQUARED:
            return None
        decay, wave_number, cosine, sine = _fitted(x, y, weight)
        decaying = AsymptoticDecay(
            begin * spacing, decay / spacing, wave_number / spacing, cosine * spacing, sine * spacing
        )
        left = _chi_squared(y - x * decaying(x * spacing), weight)
        if left - 1 < _MAX_LEFT * (_chi_squared(y, weight) - 1):
            return decaying
    return None


def _points(x: Array, g: Array, error: Array, begin: float) -> tuple[Array, Array, Array]:
    """Return distances in spacings, x (g - 1) there, and the inverse of its standard error, averaged over bins."""
    pooled = max(round(_POINT_SPACINGS / (x[1] - x[0])), 1)
    first = int(np.searchsorted(x, begin))
    far = np.arange(first + (len(x) - first) % pooled, len(x)).reshape(-1, pooled)
    variance = (x[far] * error[far]) ** 2
    told = np.all(variance > 0, axis=1)
    place, value = x[far].mean(axis=1), (x[far] * (g[far] - 1)).mean(axis=1)
    return place[told], value[told], 1 / np.sqrt(variance.mean(axis=1)[told] / pooled)


def _chi_squared(values: Array, weight: Array) -> float:
    """Return the mean square of values in standard errors."""
    return float(np.mean((values * weight) ** 2))


def _amplitudes(decay: float, wave_number: float, x: Array, y: Array, weight: Array) -> tuple[Array, Array]:
    """Return the best amplitudes for a decay and a wave number, and what they leave in standard errors."""
    waves = np.exp(-decay * x) * np.stack([np.cos(wave_number * x), np.sin(wave_number * x)])
    found = np.linalg.lstsq((waves * weight).T, y * weight, rcond=None)[0]
    return found, (y - found @ waves) * weight


def _fitted(x: Array, y: Array, weight: Array) -> tuple[float, float, float, float]:
    """Return decay, wave number and both amplitudes that explain y best."""

    def left(shape: Array) -> Array:
        return _amplitudes(shape[0], shape[1], x, y, weight)[1]

    starts = [np.array([decay, wave_number]) for decay in _DECAYS for wave_number in _WAVE_NUMBERS]
    start = min(starts, key=lambda shape: float(np.sum(left(shape) ** 2)))
    limits = tuple(zip(_DECAY_LIMITS, _WAVE_NUMBER_LIMITS, strict=True))
    decay, wave_number = least_squares(left, start, bounds=limits).x
    cosine, sine = _amplitudes(decay, wave_number, x, y, weight)[0]
    return float(decay), float(wave_number), float(cosine), float(sine)
