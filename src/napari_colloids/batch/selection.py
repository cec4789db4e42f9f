"""Which volumes of a stack are searched, and which part of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from napari_colloids.errors import ColloidsError
from napari_colloids.settings import Setting, check_settings, documented

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
            help="Frames A to B-1 of a time series.",
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


def frame_range(text: str | None, n_frames: int) -> range:
    """Read ``A:B`` (either may be left out) or a single frame as a range of frames; None means all.

    Raises
    ------
    ColloidsError
        If the text is no such range, or the stack has no such frames.

    Examples
    --------
    >>> frame_range("2:", 5)
    range(2, 5)
    """
    if text is None:
        return range(n_frames)
    start, colon, stop = text.partition(":")
    try:
        first = int(start) if start else 0
        last = (int(stop) if stop else n_frames) if colon else first + 1
    except ValueError:
        raise ColloidsError(f"Frames are given as A:B with whole numbers, for example 0:10, not '{text}'.") from None
    if not 0 <= first < last <= n_frames:
        raise ColloidsError(f"There are no frames {text}: the stack has {n_frames} frame{'s' * (n_frames > 1)}.")
    return range(first, last)
