"""Sample of a stack: the part of it that is assessed, as an image of bright particles on 8 or 16 bits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.errors import ColloidsError
from napari_colloids.stack import Stack, aspect_of
from napari_colloids.volumes import read_box, recorded_slices, shape_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_colloids.detection.region import Part
    from napari_colloids.volumes import Volume

#: Edges of the sample in lateral voxels: so many diameters, but between these two; along z as many slices as there are,
#: up to the largest.
_EDGE_DIAMETERS = 8.0
_MIN_EDGE, _MAX_EDGE = 64, 128
#: Fraction of the voxels at the highest grey level from which the image is saturated.
MIN_SATURATED_FRACTION = 1e-4
#: Where the highest grey level is put on 16 bits if the image is not saturated: noise of a twin may be higher.
_HEADROOM = 0.7


@dataclass(frozen=True, eq=False)
class Sample:
    """The part of a stack that is assessed.

    Attributes
    ----------
    stack
        uint8 or uint16, particles bright, lowest grey level near 0.
    offset, step
        Grey level of the stack that 0 stands for, and the difference of two successive ones.
    saturated
        Fraction of the voxels at the highest grey level.
    corner
        Its first voxel ``(z, y, x)`` in the stack.
    """

    stack: Stack
    offset: float
    step: float
    saturated: float
    corner: tuple[int, int, int] = (0, 0, 0)

    @classmethod
    def of(cls, stack: Stack, part: Part, diameter: float, *, dark: bool) -> Sample:
        """Read the middle of a volume.

        Parameters
        ----------
        stack, part
            The volume.
        diameter
            Of a particle, in lateral voxels.
        dark
            Whether particles are darker than what surrounds them.

        Raises
        ------
        ColloidsError
            If the voxels are not as long along y as along x, or the image is constant.
        """
        volume = stack.volume(*part, dark=dark)
        middle = _middle(volume, diameter, aspect_of(stack.voxel_size))
        image = read_box(volume, middle).astype(np.float32)
        image = np.nan_to_num(image, nan=float(np.nanmedian(image)))
        part_of = Stack(image, voxel_size=stack.voxel_size, name=stack.name, assumed=stack.assumed)
        low, high = float(image.min()), float(image.max())
        if high <= low:
            raise ColloidsError(f"'{stack.name}' is the same grey everywhere: there is nothing to assess.")
        saturated = float((image == high).mean())
        z, y, x = (along.start for along in middle)
        if volume.dtype == np.uint8:
            return cls(replace(part_of, data=image.astype(np.uint8)), 0.0, 1.0, saturated, (z, y, x))
        step = (high - low) / (65535 * (1.0 if saturated > MIN_SATURATED_FRACTION else _HEADROOM))
        grey = np.rint((image - low) / step).astype(np.uint16)
        return cls(replace(part_of, data=grey), low, step, saturated, (z, y, x))

    @property
    def image(self) -> NDArray[np.generic]:
        """Its voxels, shape ``(z, y, x)``."""
        return np.asarray(self.stack.data)

    @property
    def aspect(self) -> float:
        """Height of a voxel over its width."""
        return aspect_of(self.stack.voxel_size)


def _middle(volume: Volume, diameter: float, aspect: float) -> tuple[slice, ...]:
    """Return the middle of the longest run of recorded slices of a volume."""
    shape = shape_of(volume)
    edge = float(np.clip(_EDGE_DIAMETERS * diameter, _MIN_EDGE, _MAX_EDGE))
    recorded = np.flatnonzero(np.diff(np.concatenate([[0], recorded_slices(volume).astype(int), [0]])))
    first, end = max(zip(recorded[::2], recorded[1::2], strict=True), key=lambda run: run[1] - run[0])
    depth = min(int(end - first), max(round(_MAX_EDGE / aspect), 1))
    lows = [int(first) + (int(end - first) - depth) // 2]
    sizes = [depth]
    for length in shape[1:]:
        size = min(length, round(edge))
        lows.append((length - size) // 2)
        sizes.append(size)
    return tuple(slice(low, low + size) for low, size in zip(lows, sizes, strict=True))
