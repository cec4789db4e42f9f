"""Keeps the steps of napari's sliders on the slices of the images, whatever else is in the viewer.

napari takes the range of a slider from the extents of all layers, and counts its steps from the lowest of them. A
particle at z = -0.5 thus moves every step between two slices (napari 0.9.2): rounded to even, these are every other
slice, and shapes cannot be drawn there.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from weakref import ref

import numpy as np
from napari.components.dims import RangeTuple
from napari.layers import Image, Labels

from napari_colloids.widgets.layers.layers import note_of
from napari_colloids.widgets.layers.places import same_dimension

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer
    from napari.utils.events import Event
    from numpy.typing import NDArray

#: How far from the middle between two slices (fraction of their distance) still counts as there.
_ROUNDING_TOLERANCE = 1e-6


class SliderRange:
    """Follows one viewer, which is held weakly.

    Along every axis that an image has (or labels), the steps are the slices of the image with the finest ones; the
    first layer counts among equals. Other images, and layers that were not made here, lengthen the range by whole
    slices where they reach further; particles and tracks of ours never do. Other axes are left to napari.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = ref(viewer)
        self._range = viewer.dims.range
        self._point = viewer.dims.point
        viewer.dims.events.point.connect(self._on_point)
        viewer.dims.events.range.connect(self._keep)
        viewer.dims.events.ndisplay.connect(self._keep)  # back in 2D, napari takes the slice from the camera
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.layers.events.removed.connect(self._keep)
        for layer in viewer.layers:
            self._follow(layer)
        self._keep()

    def _on_inserted(self, event: Event) -> None:
        self._follow(event.value)
        self._keep()

    def _follow(self, layer: Layer) -> None:
        if isinstance(layer, Image | Labels):
            events = layer.events
            for changed in (events.data, events.scale, events.translate, events.units, events.visible):
                changed.connect(self._keep)

    def _on_point(self, event: Event) -> None:
        viewer = self._viewer()
        if viewer is not None and viewer.dims.range == self._range:
            self._point = viewer.dims.point

    def _keep(self, event: Event | None = None) -> None:
        """Set the range along the axes of the images, and move a slice on show that lies between two of theirs."""
        viewer = self._viewer()
        if viewer is None:
            return
        dims = viewer.dims
        # napari's own callbacks come first: after a range of napari's, the sliders have moved the point already.
        before = dims.point if dims.range == self._range else self._point
        before = (*dims.point[: max(dims.ndim - len(before), 0)], *before[-dims.ndim :])
        ranges, point = list(dims.range), list(dims.point)
        for axis, (start, step, last) in _slices(viewer).items():
            ranges[axis] = RangeTuple(start, _stop(start, step, last), step)
            point[axis] = start + step * min(max(round((before[axis] - start) / step), 0), last)
        self._range, self._point = tuple(ranges), tuple(point)
        with dims.events.range.blocker(self._keep):
            dims.range = self._range
        dims.point = tuple(point)


def _slices(viewer: ViewerModel) -> dict[int, tuple[float, float, int]]:
    """Return where the slices start (world), their distance, and the number of the last, along the axes of images."""
    images = [layer for layer in viewer.layers if isinstance(layer, Image | Labels)]
    # Of pixels and micrometres, those of the topmost image on show.
    leading = next((layer for layer in reversed(images) if layer.visible), images[-1] if images else None)
    images = [layer for layer in images if leading is not None and same_dimension(layer, leading)]
    images.sort(key=lambda layer: isinstance(layer, Labels))  # those that napari makes of a selection lie anywhere
    others = [
        layer
        for layer in viewer.layers
        if not isinstance(layer, Image | Labels)
        and "kind" not in note_of(layer)
        and (leading is None or same_dimension(layer, leading))
    ]
    if not images:
        return {}
    spans = np.array([_span(layer, viewer) for layer in images + others])
    found = {}
    for axis in range(viewer.dims.ndim):
        here = spans[:, :, axis]
        of_images = here[: len(images)]
        of_images = of_images[np.isfinite(of_images[:, 0])]
        if len(of_images):
            origin, _, step = of_images[of_images[:, 2].argmin()]
            # The nearest slice; of two, the one inside.
            first = math.floor(np.nanmin((here[:, 0] - origin) / step) + 0.5 + _ROUNDING_TOLERANCE)
            last = math.ceil(np.nanmax((here[:, 1] - origin) / step) - 0.5 - _ROUNDING_TOLERANCE)
            found[axis] = (float(origin + first * step), float(step), last - first)
    return found


def _span(layer: Layer, viewer: ViewerModel) -> NDArray[np.float64]:
    """Return start, stop and step of a layer in the units of the viewer; NaN along axes that it lacks."""
    extent, units = layer.extent, viewer.layers.units
    span = np.array([*extent.world, extent.step])
    if units is not None:
        span *= [
            float((1 * its).to(ours).magnitude) for its, ours in zip(extent.units, units[-layer.ndim :], strict=True)
        ]
    ndim = viewer.dims.ndim
    return np.pad(span, ((0, 0), (max(ndim - layer.ndim, 0), 0)), constant_values=np.nan)[:, -ndim:]


def _stop(start: float, step: float, last: int) -> float:
    """Return the end of a range that napari, which rounds down, divides into as many steps as there are slices."""
    stop = start + last * step
    while int((stop - start) / step) < last:
        stop = math.nextafter(stop, math.inf)
    return stop
