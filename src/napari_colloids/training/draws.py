"""Random numbers that several parts of a scene need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator


def log_uniform(rng: Generator, low: float, high: float) -> float:
    """Draw a number whose logarithm is uniformly distributed."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
