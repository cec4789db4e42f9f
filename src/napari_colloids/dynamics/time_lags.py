"""Lags and starting times of averages over a series: few enough to compute, spread over all that there are."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.dynamics.displacement import FIT_LAGS
from napari_colloids.errors import ColloidsError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]

#: Number of lags that are all taken; of more, this many a decade are.
_ALL_LAGS = 20
_LAGS_PER_DECADE = 12


def spread_lags(frames: Numbers, max_lag: int | None) -> Numbers:
    """Return lags to evaluate: all of a short series, equally spaced in their logarithm where there are many.

    Parameters
    ----------
    frames
        Frames that have particles, rising.
    max_lag
        Longest lag in frames; None takes half the series, or the first few lags of a short one.
    """
    span = int(frames[-1] - frames[0])
    longest = min(max_lag or max(span // 2, FIT_LAGS), span)
    if longest < 1:
        return np.empty(0, np.int64)
    # Every so manieth frame may have been recorded: lags in between do not occur.
    step = int(np.gcd.reduce(np.diff(frames)))
    most = longest // step
    if most <= _ALL_LAGS:
        return step * np.arange(1, most + 1)
    count = int(np.ceil(_LAGS_PER_DECADE * np.log10(most))) + 1
    return step * np.unique(np.rint(np.geomspace(1, most, count)).astype(np.int64))


def checked_lags(lags: Iterable[int] | int) -> Numbers:
    """Return lags that a user gives, rising.

    Raises
    ------
    ColloidsError
        If they are no positive whole numbers.
    """
    given = np.atleast_1d(np.asarray(lags if isinstance(lags, int) else list(lags)))
    if given.ndim != 1 or given.size == 0 or given.dtype.kind not in "iu" or given.min() < 1:
        raise ColloidsError("lags must be positive whole numbers of frames, as in [1, 10].")
    return np.unique(given).astype(np.int64)


def origins(frames: Numbers, lag: int, most: int) -> list[tuple[int, int]]:
    """Return pairs of frames that are a lag apart, as places in `frames`: evenly spread ones where there are too many.

    Parameters
    ----------
    frames
        Frames that have particles, rising.
    lag
        In frames.
    most
        Number of pairs, at most.
    """
    place = np.minimum(np.searchsorted(frames, frames + lag), len(frames) - 1)
    starts = np.flatnonzero(frames[place] == frames + lag)
    if len(starts) > most:
        starts = starts[np.linspace(0, len(starts) - 1, most).round().astype(int)]
    return [(int(start), int(place[start])) for start in starts]


def apart(starts: Numbers, lag: int) -> list[Numbers]:
    """Sort intervals of one length into groups in which none overlap; return the places of each group.

    Parameters
    ----------
    starts
        Beginnings of the intervals, rising.
    lag
        Their length.
    """
    groups: deque[list[int]] = deque()
    for place, start in enumerate(starts.tolist()):
        # All intervals are as long: the group that was added to first is free first.
        if groups and starts[groups[0][-1]] + lag <= start:
            groups.append(groups.popleft())
            groups[-1].append(place)
        else:
            groups.append([place])
    return [np.array(group) for group in groups]
