"""The particles as the fit has them, and their pictures on a part of the stack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_colloids.refinement.profile import REACH
from napari_colloids.refinement.templates import NUMBERS, Pictures, add_pictures, cut_lines, draw_pictures
from napari_colloids.refinement.threads import in_parts

if TYPE_CHECKING:
    from napari_colloids.refinement.profile import Profile

Array = NDArray[np.float64]
Image = NDArray[np.float32]
Corner = NDArray[np.intp]


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


def pictures_of(
    spheres: Spheres, profile: Profile, low: Corner, shape: tuple[int, int, int], reach: float, *, derivatives: bool
) -> Pictures:
    """Draw spheres of brightness 1, each by itself.

    Parameters
    ----------
    spheres
        Not all of them need to lie in the box.
    profile
        Of their pictures.
    low, shape
        First voxel of the box, and its shape.
    reach
        How far beyond the surface pictures go, in standard deviations of the PSF.
    derivatives
        Whether those of the pictures are wanted, too: with respect to z, y, x (per voxel) and radius.
    """
    axial, lateral = profile.sigma
    half = (spheres.radii[:, None] + reach * np.array([axial, lateral, lateral])) / [profile.aspect, 1, 1]
    centres = spheres.positions - low
    # Compiled loops do not look where they write: what is nowhere, or of no size, is not seen.
    somewhere = np.all(np.isfinite(centres + half), axis=1, keepdims=True)
    start = np.where(somewhere, np.clip(np.ceil(centres - half), 0, shape), 0).astype(np.intp)
    stop = np.where(somewhere, np.clip(np.floor(centres + half) + 1, start, shape), 0).astype(np.intp)
    lines = np.prod((stop - start)[:, :2], axis=1)
    line = np.cumsum(lines) - lines
    begin, end, place = np.zeros((3, lines.sum()), np.intp)
    size = cut_lines(centres, half, start, stop, line, begin, end, place)
    rows = NUMBERS if derivatives else 1
    first = rows * (np.cumsum(size) - size)
    values = np.empty(rows * size.sum(), np.float32)
    pictures = Pictures(values, rows, first, size, start, stop, line, begin, end, place)
    in_parts(draw_pictures, len(spheres), pictures, profile.tables, centres, spheres.radii)
    return pictures


def draw(spheres: Spheres, profile: Profile, low: Corner, shape: tuple[int, int, int]) -> Image:
    """Draw spheres into a box of a shape whose first voxel is `low`."""
    canvas = np.zeros(shape, np.float32)
    add_pictures(canvas, pictures_of(spheres, profile, low, shape, REACH, derivatives=False), spheres.brightness)
    return canvas
