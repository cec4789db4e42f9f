"""Interval of a ratio in a sample, from how large it was in its twins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import beta

from napari_colloids.interval import CONFIDENCE_LEVEL, Interval

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Standard deviation of a ratio that comes from what a twin has otherwise than the stack: this part of the standard
#: deviation of a single particle, and at least the second.
MISMATCH, _MIN_MISMATCH = 0.15, 0.003


def ratio_interval(hits: Sequence[int], totals: Sequence[int], count: float, mismatch: float = MISMATCH) -> Interval:
    r"""Return the interval of a ratio in a sample, from how large it was in its twins.

    .. math::

        \sigma^2 = \frac{s^2}{K} + p (1 - p) \left( \frac{1}{n} + m^2 \right)

    with the ratio :math:`p` of all twins together, its standard deviation :math:`s` between the :math:`K` twins, the
    :math:`n` particles that it is taken of in the sample, and the mismatch :math:`m` of twin and sample. The interval
    is that of the beta distribution of this mean and variance; it reaches 0 or 1 where all particles may be alike.

    Parameters
    ----------
    hits, totals
        Numerator and denominator in each twin.
    count
        Denominator in the sample.
    mismatch
        Of twin and sample; 0 for what is measured on the sample itself.

    Examples
    --------
    >>> ratio_interval([90, 92, 91], [100, 100, 100], count=100)
    0.910 (0.785 to 0.983)
    """
    total = max(int(np.sum(totals)), 1)
    # A ratio of exactly 0 or 1 is as uncertain as one with half a particle more or less.
    value = float(np.clip(np.sum(hits) / total, 0.5 / total, 1 - 0.5 / total))
    ratios = np.array(hits, float) / np.maximum(totals, 1)
    between = float(ratios.var(ddof=1)) / len(ratios) if len(ratios) > 1 else 0.0
    single = value * (1 - value)
    differing = max(mismatch * single**0.5, _MIN_MISMATCH) if mismatch else 0.0
    variance = between + single / max(count, 1.0) + differing**2
    variance = min(variance, 0.25 * single)
    strength = single / variance - 1
    tail = (1 - CONFIDENCE_LEVEL) / 2
    low, high = beta.ppf([tail, 1 - tail], value * strength, (1 - value) * strength)
    exact = float(np.sum(hits) / total)
    # Of few particles none may be a miss, or a hit; nor need one be within half a particle.
    half = 0.5 / max(count, 1.0)
    low = 0.0 if (1 - value) ** count > tail or low < half else min(float(low), exact)
    high = 1.0 if value**count > tail or high > 1 - half else max(float(high), exact)
    return Interval(exact, low, high)
