"""Spheres with position, radius and brightness, and their rendering on a part of the stack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_colloids.refinement.profile import REACH
from napari_colloids.refinement.templates import N_PARAMETERS, Templates, add_templates, cut_rows, render_templates
from napari_colloids.refinement.threads import in_chunks

if TYPE_CHECKING:
    from napari_colloids.refinement.profile import Profile

Array = NDArray[np.float64]
Image = NDArray[np.float32]
Corner = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Spheres:
    """Parameters of some spheres.

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


def templates_of(
    spheres: Spheres, profile: Profile, low: Corner, shape: tuple[int, int, int], reach: float, *, derivatives: bool
) -> Templates:
    """Render each of some spheres by itself, at brightness 1.

    Parameters
    ----------
    spheres
        Not all of them need to lie in the box.
    profile
        Tables for their radii and the PSF.
    low, shape
        First voxel of the box, and its shape.
    reach
        How far beyond the surface templates go, in standard deviations of the PSF.
    derivatives
        Whether the derivatives of the templates are wanted, too: with respect to z, y, x (per voxel) and radius.
    """
    axial, lateral = profile.sigma
    half = (spheres.radii[:, None] + reach * np.array([axial, lateral, lateral])) / [profile.aspect, 1, 1]
    centres = spheres.positions - low
    # Compiled loops do not check indices: a sphere without a finite position or size must have no voxels.
    finite = np.all(np.isfinite(centres + half), axis=1, keepdims=True)
    start = np.where(finite, np.clip(np.ceil(centres - half), 0, shape), 0).astype(np.intp)
    stop = np.where(finite, np.clip(np.floor(centres + half) + 1, start, shape), 0).astype(np.intp)
    rows = np.prod((stop - start)[:, :2], axis=1)
    first_row = np.cumsum(rows) - rows
    begin, end, row_offset = np.zeros((3, rows.sum()), np.intp)
    size = cut_rows(centres, half, start, stop, first_row, begin, end, row_offset)
    n_images = N_PARAMETERS if derivatives else 1
    offset = n_images * (np.cumsum(size) - size)
    values = np.empty(n_images * size.sum(), np.float32)
    templates = Templates(values, n_images, offset, size, start, stop, first_row, begin, end, row_offset)
    in_chunks(render_templates, len(spheres), templates, profile.tables, centres, spheres.radii)
    return templates


def draw(spheres: Spheres, profile: Profile, low: Corner, shape: tuple[int, int, int]) -> Image:
    """Return the image of spheres in a box of a shape whose first voxel is `low`, in grey levels."""
    canvas = np.zeros(shape, np.float32)
    add_templates(canvas, templates_of(spheres, profile, low, shape, REACH, derivatives=False), spheres.brightness)
    return canvas
