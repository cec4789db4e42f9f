"""The particles as the fit has them, and their pictures on a part of the stack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_colloids.refinement.profile import REACH, STEEP_REACH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_colloids.refinement.profile import Profile

Array = NDArray[np.float64]
Image = NDArray[np.float32]
Corner = NDArray[np.intp]

#: Pictures that are drawn at a time.
_TOGETHER = 64
#: Spheres whose radii differ by more than this factor get windows of different size.
_CLASS = 1.35


@dataclass(frozen=True, eq=False)
class Spheres:
    """What is fitted.

    Attributes
    ----------
    positions
        Shape ``(N, 3)`` in voxels.
    radii
        Shape ``(N,)`` in lateral voxels.
    brightness
        Shape ``(N,)`` in grey levels above the background.
    """

    positions: Array
    radii: Array
    brightness: Array

    def __len__(self) -> int:
        return len(self.radii)

    def __getitem__(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> Spheres:
        return Spheres(self.positions[which], self.radii[which], self.brightness[which])

    def with_part(self, which: NDArray[np.bool_], part: Spheres) -> Spheres:
        """Return the spheres with some of them, as marked, replaced."""
        positions, radii, brightness = self.positions.copy(), self.radii.copy(), self.brightness.copy()
        positions[which], radii[which], brightness[which] = part.positions, part.radii, part.brightness
        return Spheres(positions, radii, brightness)


class Window(NamedTuple):
    """Where in a box the picture of a sphere lies, and which part of the picture that is."""

    box: tuple[slice, slice, slice]
    part: tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures of some spheres, all of one size.

    Attributes
    ----------
    which
        Their numbers.
    corners
        Shape ``(n, 3)``: the first voxel of each picture.
    images
        One or five (see `Profile.pictures`), each of shape ``(n, Z, Y, X)``.
    """

    which: NDArray[np.intp]
    corners: Corner
    images: list[Image]

    def windows(self, low: Corner, shape: tuple[int, ...]) -> Iterator[tuple[int, int, Window]]:
        """Yield place, sphere's number and window of each picture that lies in a box of a shape from `low`."""
        first = self.corners - low
        start = np.maximum(first, 0)
        stop = np.minimum(first + self.images[0].shape[1:], shape)
        inside = (stop > start).all(axis=1)
        rows = zip(self.which.tolist(), inside, start.tolist(), stop.tolist(), first.tolist(), strict=True)
        for k, (number, seen, a, b, f) in enumerate(rows):
            if seen:
                box = slice(a[0], b[0]), slice(a[1], b[1]), slice(a[2], b[2])
                part = slice(a[0] - f[0], b[0] - f[0]), slice(a[1] - f[1], b[1] - f[1]), slice(a[2] - f[2], b[2] - f[2])
                yield k, number, Window(box, part)


def similar(spheres: Spheres) -> list[NDArray[np.intp]]:
    """Return the numbers of the spheres in groups of similar size, a few in each: those are drawn at a time."""
    order = np.argsort(spheres.radii, kind="stable")
    classes = np.floor(np.log(spheres.radii[order] / spheres.radii.min(initial=np.inf)) / np.log(_CLASS))
    groups = []
    for size in np.unique(classes):
        members = order[classes == size]
        groups += [members[start : start + _TOGETHER] for start in range(0, len(members), _TOGETHER)]
    return groups


def pictures_of(spheres: Spheres, which: NDArray[np.intp], profile: Profile, *, derivatives: bool) -> Pictures:
    """Draw some of the spheres, of similar size, with a brightness of 1."""
    reach = STEEP_REACH if derivatives else REACH
    window = profile.window(float(spheres.radii[which].max()), reach)
    middle = np.rint(spheres.positions[which]).astype(int)
    images = profile.pictures(spheres.positions[which] - middle, spheres.radii[which], window, derivatives=derivatives)
    return Pictures(which, middle - np.array(window), images)


def draw(spheres: Spheres, profile: Profile, low: Corner, shape: tuple[int, int, int]) -> Image:
    """Draw spheres into a box of a shape whose first voxel is `low`."""
    canvas = np.zeros(shape, np.float32)
    for which in similar(spheres):
        pictures = pictures_of(spheres, which, profile, derivatives=False)
        for k, number, window in pictures.windows(low, shape):
            canvas[window.box] += np.float32(spheres.brightness[number]) * pictures.images[0][k][window.part]
    return canvas
