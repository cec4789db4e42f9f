"""Four-point susceptibility: by how much the overlap differs from time to time.

References
----------
Lacevic, Starr, Schroder and Glotzer, J. Chem. Phys. 119, 7372 (2003).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.dynamics.time_lags import apart

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def susceptibility(starts: NDArray[np.int64], lag: int, numbers: Array, overlaps: Array) -> tuple[float, float]:
    r"""Return the four-point susceptibility and its standard error; NaN where all intervals overlap.

    .. math::

        \chi_4 = \frac{1}{n - 1} \sum_{t=1}^{n} N_t (Q_t - \bar{Q})^2, \qquad
        \bar{Q} = \frac{\sum_t N_t Q_t}{\sum_t N_t}

    within each set of :math:`n` intervals that do not overlap, averaged over the sets with the weight :math:`n - 1`.
    For particles that move independently its mean is :math:`Q (1 - Q)`, also where their number changes.

    Parameters
    ----------
    starts
        First frames of the intervals, rising.
    lag
        Their length in frames.
    numbers, overlaps
        Number of particles and overlap of each.
    """
    total, freedom, most = 0.0, 0, 0
    for group in apart(starts, lag):
        weights, values = numbers[group], overlaps[group]
        total += float(np.sum(weights * (values - np.average(values, weights=weights)) ** 2))
        freedom += len(group) - 1
        most = max(most, len(group) - 1)
    if freedom == 0:
        return np.nan, np.nan
    chi4 = total / freedom
    # Sets that are shifted against each other hold much the same motion: only one counts for the error.
    return chi4, chi4 * float(np.sqrt(2 / most))
