"""napari's own viewer instead of the proxy that it hands to widgets from its menu."""

from __future__ import annotations

from typing import Any


def unwrapped(viewer: Any) -> Any:
    """Return the viewer behind a proxy, or the viewer itself where there is none.

    What a proxy returns is wrapped anew each time: a layer would never be the same object as the one in the layer list,
    and whatever is kept weakly for such a layer or viewer would be gone at once.
    """
    return getattr(viewer, "__wrapped__", viewer)
