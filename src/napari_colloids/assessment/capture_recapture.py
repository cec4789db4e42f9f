"""Capture and recapture: how many particles there are, from two independent detections of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import hypergeom

from napari_colloids.interval import CONFIDENCE_LEVEL, Interval

#: Particles at which the upper end of an interval counts as infinite.
_MAX_NUMBER = 1 << 40


@dataclass(frozen=True)
class CaptureRecapture:
    """How many particles there are, from two detections.

    Attributes
    ----------
    first, second, both
        Particles in the first, in the second, and in both.
    number
        Chapman's estimate of all that are there, with its interval.
    error
        Its standard error.

    See Also
    --------
    chapman : Makes one.
    """

    first: int
    second: int
    both: int
    number: Interval
    error: float

    def __repr__(self) -> str:
        low, high = self.number.low, self.number.high
        return (
            f"CaptureRecapture({self.first} and {self.second}, {self.both} in both: "
            f"{self.number.value:.0f} ({low:.0f} to {high:.0f}) particles)"
        )


def chapman(first: int, second: int, both: int) -> CaptureRecapture:
    r"""Estimate a number of particles by Chapman's estimator.

    .. math::

        \hat N = \frac{(n_1 + 1)(n_2 + 1)}{m + 1} - 1, \qquad
        \hat\sigma^2 = \frac{(n_1 + 1)(n_2 + 1)(n_1 - m)(n_2 - m)}{(m + 1)^2 (m + 2)}

    It is unbiased where both detections are independent, all particles are as easily detected [1]_ [2]_, and none is
    false. Where they are not as easily detected, with the probabilities :math:`p_i` in either, it tends to

    .. math:: \frac{\left(\sum_i p_i\right)^2}{\sum_i p_i^2} \le N,

    a lower bound. The interval has the numbers :math:`N` for which so few, or so many, in both are not too unlikely: of
    :math:`n_2` particles out of :math:`N`, the number that are among the :math:`n_1` is hypergeometric.

    Parameters
    ----------
    first, second, both
        Particles in the first detection, in the second, and in both.

    References
    ----------
    .. [1] D. G. Chapman, "Some properties of the hypergeometric distribution with applications to zoological sample
       censuses", Univ. Calif. Publ. Stat. 1, 131 (1951).
    .. [2] G. A. F. Seber, "The Estimation of Animal Abundance", 2nd ed., Griffin, London (1982), chapter 3.

    Examples
    --------
    >>> chapman(90, 90, 81)
    CaptureRecapture(90 and 90, 81 in both: 100 (99 to 103) particles)
    """
    number = (first + 1) * (second + 1) / (both + 1) - 1
    variance = (first + 1) * (second + 1) * (first - both) * (second - both) / ((both + 1) ** 2 * (both + 2))
    tail = (1 - CONFIDENCE_LEVEL) / 2
    seen = first + second - both

    def too_many(there: int) -> bool:
        """Whether more than `both` would be in both, were there so few particles."""
        return bool(hypergeom.cdf(both, there, first, second) <= tail)

    def few_enough(there: int) -> bool:
        """Whether `both` or more may be in both, if there are so many particles."""
        return bool(hypergeom.sf(both - 1, there, first, second) > tail)

    low = seen
    if too_many(low):
        below, low = low, max(int(number), seen)
        while low - below > 1:
            middle = (low + below) // 2
            below, low = (middle, low) if too_many(middle) else (below, middle)
    high = max(int(np.ceil(number)), seen)
    above = high
    while few_enough(above) and above < _MAX_NUMBER:
        high, above = above, 2 * above + 1
    while above - high > 1:
        middle = (high + above) // 2
        high, above = (middle, above) if few_enough(middle) else (high, middle)
    top = float("inf") if above >= _MAX_NUMBER else float(high)
    interval = Interval(number, min(float(low), number), max(top, number))
    return CaptureRecapture(first, second, both, interval, variance**0.5)
