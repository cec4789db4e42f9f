"""Progress of long computations, which run in steps."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

Result = TypeVar("Result")


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
