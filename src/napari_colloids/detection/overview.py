"""A coarse look at a volume: enough to know its grey levels and where something is, read once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_colloids.stack import Inverted, read_box

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_colloids.stack import Volume

#: An overview has at most about this many voxels, spread evenly over the volume.
_VOXELS = 2_000_000
#: Chunks that a glimpse reads at most. Those of our readers have up to some 32 MB.
_CHUNKS = 8


@dataclass(frozen=True, eq=False)
class Overview:
    """Every `step`-th voxel of a volume along each axis.

    Attributes
    ----------
    sample
        Shape ``(z, y, x)``; grey levels of 8 or 16 bits as they are, all others as float32.
    step
        Voxels of the volume per voxel of the sample.
    """

    sample: NDArray[Any]
    step: int

    @classmethod
    def of(cls, volume: Volume) -> Overview:
        """Look at a volume ``(z, y, x)``."""
        step = _step(float(np.prod(np.shape(volume))))
        sample = read_box(volume, (slice(None, None, step),) * 3)
        if sample.dtype.kind == "u" and sample.dtype.itemsize <= 2:
            return cls(sample, step)
        with np.errstate(over="ignore"):  # what 32 bits cannot hold is infinite
            return cls(sample.astype(np.float32), step)

    def inverted(self) -> Overview:
        """Return the overview of the inverted volume."""
        return Overview(read_box(Inverted(self.sample), (slice(None),) * 3), self.step)

    def part(self, box: tuple[slice, ...]) -> NDArray[Any]:
        """Return what was seen of a box of the volume; of one that lies between the voxels seen, the nearest one."""
        slices = []
        for side, length in zip(box, self.sample.shape, strict=True):
            first = min(-(-side.start // self.step), length - 1)
            slices.append(slice(first, max(-(-side.stop // self.step), first + 1)))
        return self.sample[tuple(slices)]


def glimpse(volume: Any) -> Volume:
    """Return enough of a volume to show it: some voxels of a few chunks of one that is read chunk by chunk.

    An overview needs every chunk, which for a large file takes as long as reading all of it.

    Parameters
    ----------
    volume
        Array-like ``(z, y, x)``.

    Returns
    -------
    array-like
        Voxels of a dask array in a row, shape ``(1, 1, N)``; a volume that is in memory, or of a few chunks, as it is.
    """
    if getattr(volume, "npartitions", 0) <= _CHUNKS:
        return volume
    # One out of each of as many parts along z, where in it by chance, so that they follow no pattern; always the same.
    place = (np.arange(_CHUNKS) + np.random.default_rng(0).random(_CHUNKS)) / _CHUNKS
    numbers = np.unravel_index((place * volume.npartitions).astype(int), volume.numblocks)
    chunks = [volume.blocks[tuple(map(int, number))] for number in zip(*numbers, strict=True)]
    step = _step(sum(chunk.size for chunk in chunks))
    return np.concatenate([read_box(chunk, (slice(None, None, step),) * 3).ravel() for chunk in chunks])[None, None]


def _step(voxels: float) -> int:
    """Return the distance along each axis of those that are looked at, out of so many voxels."""
    return max(1, round((voxels / _VOXELS) ** (1 / 3)))
