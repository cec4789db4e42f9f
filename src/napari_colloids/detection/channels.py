"""What the user has to know where one of several channels is searched without having been chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_colloids.detection.region import Part
    from napari_colloids.stack import Stack


def channel_notices(stack: Stack, part: Part) -> tuple[str, ...]:
    """Return a notice where the first of several channels is searched, which is what happens unless one is chosen.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_colloids as nc
    >>> from napari_colloids.detection import Part
    >>> stack = nc.Stack(np.zeros((2, 8, 8, 8)), "czyx", channel_names=("core", "shell"))
    >>> channel_notices(stack, Part())
    ("Channel 0 of 2 ('core') was searched; there is channel 1 ('shell').",)
    >>> channel_notices(stack, Part(channel=1))
    ()
    """
    if stack.n_channels < 2 or part.channel != 0:
        return ()
    names = [f"{n} ('{stack.channel_names[n]}')" if stack.channel_names else f"{n}" for n in range(stack.n_channels)]
    others = f"is channel {names[1]}" if len(names) == 2 else f"are channels {', '.join(names[1:])}"
    of_all = names[0].replace("0", f"0 of {stack.n_channels}", 1)
    return (f"Channel {of_all} was searched; there {others}.",)
