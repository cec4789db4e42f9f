"""Uncalibrated confidence and odd filter sizes of the reference methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def relative_confidence(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return responses over their 95th percentile, clipped to 0 to 1: no probability, but of the same range."""
    top = float(np.percentile(values, 95)) if len(values) else 0.0
    return np.clip(values / top, 0, 1) if top > 0 else np.zeros(len(values))


def odd(value: float) -> int:
    """Return the odd whole number nearest to a size, at least 3."""
    return max(3, 2 * round((value - 1) / 2) + 1)
