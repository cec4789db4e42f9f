"""Volumes of a series that cannot be searched: which, why, and how that is said."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Unusable(NamedTuple):
    """A volume that was not searched.

    Attributes
    ----------
    frame, channel
        Numbers of the volume, from 0.
    reason
        Why: ``constant``, ``no finite values``, ``not recorded``, or ``unreadable`` and what the reader said.
    """

    frame: int
    channel: int
    reason: str


def unusable_notices(unusable: Iterable[Unusable], *, several_channels: bool = False) -> list[str]:
    """Return a notice for each reason, with the frames that it holds for.

    Parameters
    ----------
    unusable
        Volumes that were not searched.
    several_channels
        Whether the notices have to name the channel.

    Examples
    --------
    >>> unusable_notices([Unusable(3, 0, "constant"), Unusable(4, 0, "constant"), Unusable(9, 0, "constant")])
    ['frames 3-4, 9: constant, not searched']
    """
    frames: dict[tuple[int, str], list[int]] = {}
    for one in unusable:
        frames.setdefault((one.channel, one.reason), []).append(one.frame)
    return [
        f"frame{'s' * (len(numbers) > 1)} {_listed(numbers)}{f', channel {channel}' * several_channels}: "
        f"{reason}, not searched"
        for (channel, reason), numbers in frames.items()
    ]


def _listed(frames: list[int]) -> str:
    """Return numbers of frames in words, with a dash for those that follow each other."""
    runs: list[list[int]] = []
    for frame in sorted(frames):
        if runs and frame == runs[-1][-1] + 1:
            runs[-1].append(frame)
        else:
            runs.append([frame])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)
