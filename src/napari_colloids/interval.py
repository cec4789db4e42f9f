"""Estimate with an interval."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Probability that an interval holds the true value.
CONFIDENCE_LEVEL = 0.95
#: Standard deviations to each end of it for a normal distribution.
NORMAL_QUANTILE = 1.96


@dataclass(frozen=True)
class Interval:
    """Estimate with the interval that holds the true value with a probability of 95 %.

    Attributes
    ----------
    value
        The estimate.
    low, high
        Ends of the interval.

    Examples
    --------
    >>> Interval(0.9, 0.85, 0.95)
    0.900 (0.850 to 0.950)
    """

    value: float
    low: float
    high: float

    @classmethod
    def of_normal(cls, value: float, deviation: float) -> Interval:
        """Return the interval of a positive quantity whose estimate is normal with this standard deviation."""
        reach = NORMAL_QUANTILE * deviation
        return cls(value, max(value - reach, 0.0), value + reach)

    @classmethod
    def around(cls, value: float, others: Sequence[float], deviation: float) -> Interval:
        """Return the interval that holds an estimate and others of the same, and a normal deviation beyond them all."""
        reach = NORMAL_QUANTILE * deviation
        return cls(value, min([value, *others]) - reach, max([value, *others]) + reach)

    @property
    def deviation(self) -> float:
        """The standard deviation that the upper end is for, as in `of_normal`."""
        return (self.high - self.value) / NORMAL_QUANTILE

    def __repr__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"

    def as_dict(self) -> dict[str, float]:
        """Return value, low and high by name."""
        return asdict(self)
