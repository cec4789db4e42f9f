"""A coarse look at a volume: enough to know its grey levels and where something is, read once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_colloids.stack import Negative, read_box

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: An overview has at most about this many voxels, spread evenly over the volume.
_VOXELS = 2_000_000


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
    def of(cls, volume: Any) -> Overview:
        """Look at a volume ``(z, y, x)``."""
        step = max(1, round((np.prod(np.shape(volume)) / _VOXELS) ** (1 / 3)))
        sample = read_box(volume, (slice(None, None, step),) * 3)
        whole = sample.dtype.kind == "u" and sample.dtype.itemsize <= 2
        return cls(sample if whole else sample.astype(np.float32), step)

    def negative(self) -> Overview:
        """Return the overview of the volume's `Negative`."""
        return Overview(read_box(Negative(self.sample), (slice(None),) * 3), self.step)

    def part(self, box: tuple[slice, ...]) -> NDArray[Any]:
        """Return what was seen of a box of the volume; of one that lies between the voxels seen, the nearest one."""
        slices = []
        for side, length in zip(box, self.sample.shape, strict=True):
            first = min(-(-side.start // self.step), length - 1)
            slices.append(slice(first, max(-(-side.stop // self.step), first + 1)))
        return self.sample[tuple(slices)]
