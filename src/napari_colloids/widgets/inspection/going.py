"""Going to a particle: slice, frame and middle of the view."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Points


def go_to(viewer: ViewerModel, points: Points, index: int) -> None:
    """Show the slice (and the frame) of a point, with the point in the middle of the view; the zoom stays."""
    world = np.asarray(points.data_to_world(np.asarray(points.data)[index]), dtype=float)
    dims = viewer.dims
    first = dims.ndim - points.ndim
    for axis in (axis for axis in dims.not_displayed if axis >= first):
        start, stop, step = dims.range[axis]
        # On a slice: between two of them napari draws and picks another one than it shows.
        slices = round((world[axis - first] - start) / step) if step else 0
        dims.set_point(axis, min(max(start + slices * step, start), stop))
    centre = list(viewer.scene.camera.center)
    for place, axis in enumerate(dims.displayed, start=3 - dims.ndisplay):
        if axis >= first:
            centre[place] = float(world[axis - first])
    viewer.scene.camera.center = tuple(centre)
