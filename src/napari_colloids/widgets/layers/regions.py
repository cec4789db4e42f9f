"""Regions to search, from Shapes and Labels layers."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels, Shapes

from napari_colloids.detection import Region
from napari_colloids.errors import ColloidsError
from napari_colloids.progress import Progress
from napari_colloids.widgets.layers import places

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from napari.layers import Image, Layer
    from numpy.typing import NDArray

#: Corners of the polygon that stands for an ellipse.
_ELLIPSE_CORNERS = 72


def is_region(layer: object) -> bool:
    """Whether a layer can mark a region."""
    return isinstance(layer, Shapes) or (isinstance(layer, Labels) and layer.ndim >= 3)


@dataclass(frozen=True)
class Marked:
    """The region that a layer marks in an image: outlines, or labels that are still to be read.

    Attributes
    ----------
    z_range, outlines
        See `Region`.
    labels
        Array-like; it may be larger than memory, and painted on between one search and the next.
    name
        Of the layer.
    indices
        Where the labels of the frames that are searched lie along the axes before z.
    """

    outlines: Sequence[NDArray[np.float64]] = ()
    z_range: tuple[int, int] | None = None
    labels: Any = None
    name: str = ""
    indices: Sequence[tuple[int, ...]] = ((),)

    def read(self) -> Generator[Progress, None, tuple[Region, int | None]]:
        """Return the region, and a checksum of where the labels are not 0; reads them slice by slice."""
        if self.labels is None:
            return Region(self.z_range, self.outlines), None
        first, checksum, empty = self.indices[0], 0, True
        depth = self.labels.shape[-3]
        for z in range(depth):
            yield Progress(z, depth, "reading the labels")
            marked = np.asarray(self.labels[(*first, z)]) != 0
            for other in self.indices[1:]:
                if not np.array_equal(marked, np.asarray(self.labels[(*other, z)]) != 0):
                    raise ColloidsError(
                        f"The labels '{self.name}' differ between the frames: search the frames one by one, or use 3D "
                        "labels for all."
                    )
            checksum = zlib.crc32(marked.tobytes(), checksum)
            empty = empty and not marked.any()
        if empty:
            raise ColloidsError(f"The labels '{self.name}' are 0 everywhere: paint where to search.")
        return Region(self.z_range, mask=self.labels[first] if first else self.labels), checksum


def marked_by(
    layer: Layer | None, image: Image, index: Sequence[int] = (), frames: Sequence[int] | None = None
) -> Marked:
    """Return what a layer marks in an image, at an index of a series or in several frames; labels are not read yet.

    Shapes drawn in slices (y, x) apply to all slices; Labels must have the shape of the image; None is everywhere.
    """
    if layer is None:
        return Marked()
    if isinstance(layer, Labels):
        data = layer.data[0] if layer.multiscale else layer.data
        shape = (image.data[0] if image.multiscale else image.data).shape[-3:]
        if tuple(data.shape[-3:]) != tuple(shape) or not places.coincide(layer, image):
            raise ColloidsError(f"The labels '{layer.name}' have another shape or place than the image '{image.name}'.")
        indices = _indices(data, layer.name, index, frames) if data.ndim > 3 else [()]
        return Marked(labels=data, name=layer.name, indices=indices)
    scale, shift = places.into_voxels(layer, image)
    outlines = [
        _outline(vertices, kind) * scale[-2:] + shift[-2:]
        for vertices, kind in zip(layer.data, layer.shape_type, strict=True)
        if kind in ("rectangle", "polygon", "ellipse")
    ]
    outlines = [outline for outline in outlines if np.ptp(outline, axis=0).min() > 0]
    if not outlines:
        raise ColloidsError(
            f"'{layer.name}' holds no rectangle, ellipse or polygon that is drawn in a slice (y, x): draw one."
        )
    return Marked(outlines)


def _indices(labels: Any, name: str, index: Sequence[int], frames: Sequence[int] | None) -> list[tuple[int, ...]]:
    """Return where the labels of the frames that are searched lie in those of a series."""
    before = tuple(index)[-(labels.ndim - 3) :]
    if len(before) < labels.ndim - 3:
        raise ColloidsError(f"The labels '{name}' are a series, but the image is one volume: use 3D labels.")
    wanted = [before] if frames is None else [(*before[:-1], frame) for frame in frames]
    if any(at >= length for one in wanted for at, length in zip(one, labels.shape, strict=False)):
        raise ColloidsError(f"The labels '{name}' have fewer frames than the image.")
    return wanted


def _outline(vertices: NDArray[np.float64], kind: str) -> NDArray[np.float64]:
    """Return the corners ``(y, x)`` of a shape; napari holds an ellipse as the four corners around it."""
    corners = np.asarray(vertices, dtype=float)[:, -2:]
    if kind != "ellipse":
        return corners
    angle = np.linspace(0, 2 * np.pi, _ELLIPSE_CORNERS, endpoint=False)[:, None]
    across, along = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    centre: NDArray[np.float64] = corners.mean(axis=0)
    return centre + np.cos(angle) * across + np.sin(angle) * along
