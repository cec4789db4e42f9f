"""The viewer behind the proxy that napari hands to widgets."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari import Viewer


def unwrapped(viewer: Viewer) -> Viewer:
    """Return the viewer behind a proxy, or the viewer itself where there is none.

    What a proxy returns is wrapped anew each time: a layer would never be the same object as the one in the layer list,
    and whatever is kept weakly for such a layer or viewer would be gone at once.
    """
    wrapped: Viewer = getattr(viewer, "__wrapped__", viewer)
    return wrapped
