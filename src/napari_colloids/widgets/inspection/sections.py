"""Sections xy, xz and yz of an image through a particle, with the rings in which spheres meet them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.stack import aspect_of
from napari_colloids.widgets.layers import layers, places

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Image, Points
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

#: Half of what a section shows, in radii of the particle, and at least, in lateral voxels.
_REACH_RADII, _MIN_REACH_PX = 2.2, 4.0
#: The axis across each section, and the axes along it: to the right, and down.
PLANES = {"xy": (0, 2, 1), "xz": (1, 2, 0), "yz": (2, 1, 0)}


@dataclass(frozen=True)
class Ring:
    """A circle in which a sphere meets a section, about the particle, in lateral voxels: right, down, radius."""

    right: float
    down: float
    radius: float
    #: Whether it is that of the particle, and not of one beside it.
    own: bool


@dataclass(frozen=True)
class Section:
    """A section of the image.

    Attributes
    ----------
    image
        Shape ``(down, right)``: grey levels; empty where the plane misses the image.
    extent
        Left, right, bottom and top edge about the particle, in lateral voxels.
    rings
        Of the particle and of those around it.
    """

    image: NDArray[np.generic]
    extent: tuple[float, float, float, float]
    rings: list[Ring]


@dataclass(frozen=True)
class Sections:
    """The sections through a particle.

    Attributes
    ----------
    of
        ``xy``, ``xz`` and ``yz``.
    reach
        Half of what a section shows, in lateral voxels.
    pixel_um
        Edge of a lateral voxel in micrometres, or None.
    """

    of: dict[str, Section]
    reach: float
    pixel_um: float | None


class Cut:
    """What the sections of one particle need of the layers, which may change meanwhile; `read` reads the image.

    Raises a `ColloidsError` if one of the layers does not lie straight.
    """

    def __init__(self, points: Points, index: int, image: Image, viewer: ViewerModel) -> None:
        data = np.asarray(points.data, dtype=float)
        leading = list(places.index_of(image, viewer))
        frame = np.rint(data[index, :-3]).astype(int)
        count = min(len(leading), len(frame))
        if count:
            shape = image.data[0].shape if image.multiscale else image.data.shape
            last = np.array(shape[: len(leading)])[-count:] - 1
            leading[-count:] = np.clip(frame[-count:], 0, last).tolist()
        scale, shift = places.into_voxels(points, image)
        near = _near(points, index, data)
        self._own = int(np.flatnonzero(near == index)[0])
        self._centres = data[near, -3:] * scale + shift
        self._radii = layers.radii_of(points.features.iloc[near]) * abs(float(scale[-1]))
        size = places.voxel_size_of(image)
        self._pixel_um = None if size is None else size[2]
        self._steps = np.array([aspect_of(size), 1.0 if size is None else size[1] / size[2], 1.0])
        whole = image.data[0] if image.multiscale else image.data
        self._volume = whole[tuple(leading)] if leading else whole

    @property
    def in_memory(self) -> bool:
        """Whether the image need not be read from a disk or computed."""
        return type(self._volume) is np.ndarray

    def read(self) -> Sections:
        """Read the three planes, and no more of the image than they show."""
        centre, radius = self._centres[self._own], float(self._radii[self._own])
        reach = max(_REACH_RADII * radius, _MIN_REACH_PX)
        shape = np.array(self._volume.shape)
        low = np.clip(np.floor(centre - reach / self._steps), 0, shape).astype(int)
        high = np.clip(np.ceil(centre + reach / self._steps) + 1, low, shape).astype(int)
        planes = np.clip(np.rint(centre), 0, shape - 1).astype(int)
        boxes = [tuple(slice(a, b) for a, b in zip(low, high, strict=True)) for _ in PLANES]
        cut = [
            (*box[:across], int(planes[across]), *box[across + 1 :])
            for box, (across, _, _) in zip(boxes, PLANES.values(), strict=True)
        ]
        images = _read([self._volume[one] for one in cut])
        found = {}
        for (name, (across, right, down)), image in zip(PLANES.items(), images, strict=True):
            edges = [(bound - 0.5 - centre) * self._steps for bound in (low, high)]
            extent = (edges[0][right], edges[1][right], edges[1][down], edges[0][down])
            found[name] = Section(image, extent, self._rings(centre, planes[across], across, right, down, reach))
        return Sections(found, reach, self._pixel_um)

    def _rings(self, centre: Array, plane: int, across: int, right: int, down: int, reach: float) -> list[Ring]:
        """Return the rings of all spheres that meet what a section shows."""
        away = (self._centres - centre) * self._steps
        squared = self._radii**2 - ((self._centres[:, across] - plane) * self._steps[across]) ** 2
        meets = squared > 0
        for axis in (right, down):
            meets &= np.abs(away[:, axis]) < reach + self._radii
        which = np.flatnonzero(meets)
        return [
            Ring(float(away[i, right]), float(away[i, down]), float(squared[i] ** 0.5), bool(i == self._own))
            for i in which
        ]


def _near(points: Points, index: int, data: Array) -> NDArray[np.intp]:
    """Return a point and those on show whose spheres may be seen beside it, by its largest radius."""
    size = np.asarray(points.scale[-3:])
    radii = layers.radii_of(points.features.iloc[[index]]), points.features.get("radius", layers.DEFAULT_RADIUS)
    own, largest = (float(np.nanmax(one)) for one in radii)
    reach = (max(_REACH_RADII * own, _MIN_REACH_PX) + largest) * abs(size[-1] / size)
    shown = np.array(points.shown, dtype=bool)
    shown[index] = True
    near = np.flatnonzero(shown)
    for axis in range(data.shape[1]):  # of many points few are left after the first
        space = axis - (data.shape[1] - 3)
        distance = np.abs(data[near, axis] - data[index, axis])
        near = near[distance < (0.5 if space < 0 else reach[space])]
    return near


def _read(planes: Sequence[object]) -> list[NDArray[np.generic]]:
    """Return planes as arrays; what lazy ones have in common is read once."""
    if all(hasattr(plane, "dask") for plane in planes):
        import dask

        return [np.asarray(plane) for plane in dask.compute(*planes)]
    return [np.asarray(plane) for plane in planes]
