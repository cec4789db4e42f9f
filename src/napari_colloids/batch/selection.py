"""Which frames a user means."""

from __future__ import annotations

from napari_colloids.errors import ColloidsError


def frame_range(text: str | None, n_frames: int) -> range:
    """Read ``A:B`` (either may be left out) or a single frame as a range of frames; None means all.

    Raises
    ------
    ColloidsError
        If the text is no such range, or the stack has no such frames.
    """
    if text is None:
        return range(n_frames)
    start, colon, stop = text.partition(":")
    try:
        first = int(start) if start else 0
        last = (int(stop) if stop else n_frames) if colon else first + 1
    except ValueError:
        raise ColloidsError(f"--frames takes A:B with whole numbers, for example 0:10, not '{text}'.") from None
    if not 0 <= first < last <= n_frames:
        raise ColloidsError(f"--frames {text} does not fit: the stack has {n_frames} frame{'s' * (n_frames > 1)}.")
    return range(first, last)
