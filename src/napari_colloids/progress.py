"""How far a long computation is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

Result = TypeVar("Result")


class Progress(NamedTuple):
    """One step of a long computation.

    Attributes
    ----------
    done, total
        Steps, mostly tiles.
    message
        What is being done.
    """

    done: int
    total: int
    message: str


def result_of(steps: Generator[Any, None, Result], progress: Callable[[int, int], None] | None = None) -> Result:
    """Run a computation that goes in steps to its end and return what it returns.

    Parameters
    ----------
    steps
        The computation; where `progress` is given it yields `Progress`.
    progress
        Called with the steps that are done and their total.
    """
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result
        if progress is not None:
            progress(step.done, step.total)
