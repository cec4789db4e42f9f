"""Which volumes of a stack are searched, and which part of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

from napari_colloids.errors import ColloidsError, brief
from napari_colloids.settings import Setting, check_settings, documented

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Heading in the command line's help.
WHERE = "Where to look"


@documented
@dataclass(frozen=True)
class Selection:
    """Frames and channels to search, and the part of each volume in which particles are wanted.

    Attributes
    ----------
    channels : tuple[int, ...]
        One or several.
    {settings}

    Raises
    ------
    ColloidsError
        If a value is of a wrong type.
    """

    channels: tuple[int, ...] = (0,)
    frames: Annotated[
        str | None,
        Setting(
            label="Frames",
            help="Frames A to B-1 of a time series; several as A:B,C:D, every S-th as A:B:S.",
            unset="all",
            metavar="A:B",
            group=WHERE,
        ),
    ] = None
    z_range: Annotated[
        tuple[int, int] | None,
        Setting(
            label="Slices",
            help="Search slices A to B-1.",
            unset="all",
            metavar="A B",
            group=WHERE,
        ),
    ] = None
    rectangle: Annotated[
        tuple[float, float, float, float] | None,
        Setting(
            label="Rectangle",
            help="Search this rectangle of each slice (corners in voxels).",
            unit="voxels",
            unset="all of it",
            metavar="Y0 X0 Y1 X1",
            group=WHERE,
        ),
    ] = None
    mask: Annotated[
        str | None,
        Setting(
            label="Mask",
            help="Search where the stack in this file, of the same shape, is not 0.",
            metavar="FILE",
            group=WHERE,
        ),
    ] = None

    def __post_init__(self) -> None:
        check_settings(self)


def chosen_frames(text: str | None, n_frames: int) -> list[int]:
    """Read a choice of frames: several parts between commas, each a frame ``A`` or a range ``A:B`` or ``A:B:STEP``.

    Parameters
    ----------
    text
        Either end of a range may be left out; None for all frames.
    n_frames
        Number of frames of the stack.

    Returns
    -------
    list of int
        In ascending order, each once.

    Raises
    ------
    ColloidsError
        If the text is no such choice, or the stack has no such frames.

    Examples
    --------
    >>> chosen_frames("4:,0:2", 6)
    [0, 1, 4, 5]
    >>> chosen_frames("0:10:4,1", 10)
    [0, 1, 4, 8]
    """
    if text is None:
        return list(range(n_frames))
    return sorted({frame for part in text.split(",") for frame in _range(part.strip(), text, n_frames)})


def _range(part: str, text: str, n_frames: int) -> range:
    """Read one part of a choice of frames; `text` is the whole."""
    words = [word.strip() for word in part.split(":")]
    try:
        if not part or len(words) > 3:
            raise ValueError
        start, stop, step = (*(int(word) if word else None for word in words), None, None)[:3]
        if step is not None and step < 1:
            raise ValueError
    except ValueError:
        raise ColloidsError(
            "Frames are given as A:B with whole numbers, for example 0:10, several as 0:3,4:6, every second one as "
            f"0:10:2, not {brief(text)}."
        ) from None
    first = start or 0
    end = first + 1 if len(words) == 1 else n_frames if stop is None else stop
    if not 0 <= first < end <= n_frames:
        raise ColloidsError(f"There are no frames {part}: the stack has {n_frames} frame{'s' * (n_frames > 1)}.")
    return range(first, end, step or 1)


def ranges_of(frames: Sequence[int]) -> list[list[int]]:
    """Return frames in ascending order as ranges: first frame, the one after the last and, where it is not 1, the step.

    Examples
    --------
    >>> ranges_of([0, 1, 2, 4, 5])
    [[0, 3], [4, 6]]
    >>> ranges_of([0, 2, 4, 6])
    [[0, 7, 2]]
    """
    steps = {after - before for before, after in pairwise(frames)}
    if len(steps) == 1 and len(frames) > 2 and steps != {1}:
        return [[frames[0], frames[-1] + 1, *steps]]
    ranges: list[list[int]] = []
    for frame in frames:
        if ranges and frame == ranges[-1][1]:
            ranges[-1][1] += 1
        else:
            ranges.append([frame, frame + 1])
    return ranges
