"""The series that is read where the user named none: the first that is a 3D stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_colloids.io.series import SeriesReader

#: Largest number of series of one kind that a notice names.
_MAX_NUMBERS = 3
_A_STACK = "a 3D stack"


def first_stack(path: Path, readers: Sequence[SeriesReader], axes: str | None = None) -> tuple[SeriesReader, str]:
    """Return the first series that is a 3D stack, and what was chosen from, in words.

    Parameters
    ----------
    path
        The file.
    readers
        Its series.
    axes
        Meaning of the dimensions, where the user gives it: the first that they fit is taken.

    Returns
    -------
    reader
        The first of all where none is a 3D stack.
    notice
        Which it is, and what the others are; empty where there are none, or none is a 3D stack.
    """
    problems = [reader.problem(path, axes) for reader in readers]
    number = next((k for k, problem in enumerate(problems) if not problem), None)
    if number is None or len(readers) == 1:
        return readers[0 if number is None else number], ""
    kinds: dict[str, list[int]] = {}
    for other, (reader, problem) in enumerate(zip(readers, problems, strict=True)):
        if other != number:
            kinds.setdefault(_kind(reader, problem), []).append(other)
    others = "; ".join(_are(numbers, kind, readers) for kind, numbers in kinds.items())
    return readers[number], f"{_called(number, readers)} of {len(readers)} is read (the first 3D stack); {others}."


def _kind(reader: SeriesReader, problem: str) -> str:
    if not problem:
        return _A_STACK
    if reader.unreadable:
        return "not readable"
    return "a single 2D image" if sum(n != 1 for n in reader.array.shape) == 2 else "no 3D stack as it is"


def _are(numbers: Sequence[int], kind: str, readers: Sequence[SeriesReader]) -> str:
    """Return which series are of a kind: ``"series 0 is a single 2D image"``."""
    if len(numbers) == 1:
        return f"{_called(numbers[0], readers)} is {kind}"
    plural = kind.replace("a single 2D image", "single 2D images").replace(_A_STACK, "3D stacks")
    plural = plural.replace("no 3D stack as it is", "no 3D stacks as they are")
    shown = ", ".join(str(number) for number in numbers[:_MAX_NUMBERS])
    more = len(numbers) - _MAX_NUMBERS
    return f"series {shown}{f' and {more} more' if more > 0 else ''} are {plural}"


def _called(number: int, readers: Sequence[SeriesReader]) -> str:
    name = readers[number].name
    return (
        f"series {number} ('{name}')" if name and name not in (str(number), f"image {number}") else f"series {number}"
    )
