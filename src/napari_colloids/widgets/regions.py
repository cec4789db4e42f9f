"""From what is drawn in the viewer, shapes or labels, to the region that is searched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels, Shapes

from napari_colloids.detection import Region
from napari_colloids.errors import ColloidsError
from napari_colloids.widgets import places

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image
    from numpy.typing import NDArray

#: Corners of the polygon that stands for an ellipse.
_ELLIPSE = 72


def is_region(layer: Any) -> bool:
    """Whether a layer can say where particles are wanted."""
    return isinstance(layer, Shapes) or (isinstance(layer, Labels) and layer.ndim >= 3)


def region_of(layer: Any, image: Image, index: Sequence[int] = (), frames: Sequence[int] | None = None) -> Region:
    """Return the region that a layer marks in an image.

    Parameters
    ----------
    layer
        Shapes drawn in slices (y, x), which apply to all slices; Labels of the image's shape, which apply where they
        are not 0; or None for everywhere.
    image
        The image to be searched.
    index
        Index of a time series that labels of the same dimensions are taken from.
    frames
        The frames that are searched; None for the one of the index.

    Raises
    ------
    ColloidsError
        If nothing that has an area is drawn, or the labels are those of another image or differ between the frames.
    """
    if layer is None:
        return Region()
    if isinstance(layer, Labels):
        data = layer.data[0] if layer.multiscale else layer.data
        shape = (image.data[0] if image.multiscale else image.data).shape[-3:]
        scale, shift = places.into_voxels(layer, image)
        if tuple(data.shape[-3:]) != tuple(shape) or not (np.allclose(scale, 1) and np.allclose(shift, 0)):
            raise ColloidsError(f"The labels '{layer.name}' have another shape or place than the image '{image.name}'.")
        if data.ndim > 3:
            data = _of_frame(data, layer.name, index, frames)
        if not np.any(data):
            raise ColloidsError(f"The labels '{layer.name}' are 0 everywhere: paint where to search.")
        return Region(mask=data)
    outlines = [
        _in_voxels(_outline(vertices, kind), layer, image)
        for vertices, kind in zip(layer.data, layer.shape_type, strict=True)
        if kind in ("rectangle", "polygon", "ellipse")
    ]
    outlines = [outline for outline in outlines if np.ptp(outline, axis=0).min() > 0]
    if not outlines:
        raise ColloidsError(
            f"'{layer.name}' holds no rectangle, ellipse or polygon that is drawn in a slice (y, x): draw one."
        )
    return Region(outlines=outlines)


def _of_frame(labels: Any, name: str, index: Sequence[int], frames: Sequence[int] | None) -> Any:
    """Return the labels of the frames that are searched, which must be the same in all."""
    before = tuple(index)[-(labels.ndim - 3) :]
    if len(before) < labels.ndim - 3:
        raise ColloidsError(f"The labels '{name}' are a series, but the image is one volume: use 3D labels.")
    wanted = [before] if frames is None else [(*before[:-1], frame) for frame in frames]
    if any(at >= length for one in wanted for at, length in zip(one, labels.shape, strict=False)):
        raise ColloidsError(f"The labels '{name}' have fewer frames than the image.")
    first = np.asarray(labels[wanted[0]])
    if any(not np.array_equal(first > 0, np.asarray(labels[one]) > 0) for one in wanted[1:]):
        raise ColloidsError(
            f"The labels '{name}' differ between the frames: search the frames one by one, or use 3D labels for all."
        )
    return first


def _outline(vertices: NDArray[np.float64], kind: str) -> NDArray[np.float64]:
    """Return the corners ``(y, x)`` of a shape; napari holds an ellipse as the four corners around it."""
    corners = np.asarray(vertices, dtype=float)[:, -2:]
    if kind != "ellipse":
        return corners
    angle = np.linspace(0, 2 * np.pi, _ELLIPSE, endpoint=False)[:, None]
    across, along = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    centre: NDArray[np.float64] = corners.mean(axis=0)
    return centre + np.cos(angle) * across + np.sin(angle) * along


def _in_voxels(corners: NDArray[np.float64], layer: Shapes, image: Image) -> NDArray[np.float64]:
    scale, shift = places.into_voxels(layer, image)
    voxels: NDArray[np.float64] = corners * scale[-2:] + shift[-2:]
    return voxels
