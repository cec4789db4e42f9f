"""Progress of long computations, which run in steps."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

Result = TypeVar("Result")

#: The time left is told after so long, and so much of the whole.
_MIN_TOLD_S, _MIN_TOLD_SHARE = 2.0, 0.03


class Progress(NamedTuple):
    """One step of a long computation.

    Attributes
    ----------
    done, total
        Number of steps done, and of all.
    message
        Description of the current step.
    """

    done: int
    total: int
    message: str


class TimeLeft:
    """Estimate of the time that a computation still takes, from the pace that it has had so far.

    Parameters
    ----------
    clock
        Returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start: tuple[float, float] | None = None

    def after(self, done: int, total: int) -> float | None:
        """Return the seconds that are left after a step; None while there is no telling yet."""
        share, now = done / max(total, 1), self._clock()
        if self._start is None:
            self._start = share, now
        gained, passed = share - self._start[0], now - self._start[1]
        if passed < _MIN_TOLD_S or gained < _MIN_TOLD_SHARE:
            return None
        return passed * (1 - share) / gained


@overload
def result_of(steps: Generator[object, None, Result]) -> Result: ...
@overload
def result_of(
    steps: Generator[Progress, None, Result], progress: Callable[[int, int], None] | None = None
) -> Result: ...
def result_of(steps: Generator[object, None, Result], progress: Callable[[int, int], None] | None = None) -> Result:
    """Run a computation in steps to its end and return its result; an error in `progress` cancels it.

    Parameters
    ----------
    steps
        The computation; where `progress` is given it yields `Progress`.
    progress
        Called with the number of steps done and of all.
    """
    with closing(steps):
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                result: Result = end.value
                return result
            if progress is not None and isinstance(step, Progress):
                progress(step.done, step.total)


def as_step(step: Progress, steps: Generator[object, None, Result]) -> Generator[Progress, None, Result]:
    """Run a computation in steps as one step of a longer one.

    Parameters
    ----------
    step
        Of the longer one; yielded as often as the shorter one yields, so that it can be cancelled there.
    steps
        The shorter one.
    """
    while True:
        yield step
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result
