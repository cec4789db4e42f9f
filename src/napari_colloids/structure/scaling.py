"""Physical scaling of coordinates: from anisotropic voxels to lengths in which distances are right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.particles import implied_voxel_size
from napari_colloids.stack import checked_voxel_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Scaling:
    """Physical scale of the coordinates of a particle table.

    Attributes
    ----------
    scale
        Shape ``(3,)``: edges of a voxel z, y, x in `unit`.
    unit
        ``"um"`` where the voxel size is known, else ``"px"``: the lateral voxel.
    """

    scale: NDArray[np.float64]
    unit: str

    @property
    def aspect(self) -> NDArray[np.float64]:
        """Aspect ratio of the voxel: its edges z, y, x in lateral voxels, shape ``(3,)``."""
        return self.scale / self.scale[2]

    @property
    def lateral(self) -> float:
        """Lateral edge (along x) of a voxel in `unit`."""
        return float(self.scale[2])


def scaling_of(particles: pd.DataFrame, voxel_size: Sequence[float] | None = None) -> Scaling:
    """Return the scale of a table's coordinates: `voxel_size`, else what its columns in micrometres imply, else voxels.

    Raises
    ------
    ColloidsError
        If the voxel size is not three positive lengths.
    """
    size = checked_voxel_size(voxel_size) or implied_voxel_size(particles)
    return Scaling(np.ones(3), "px") if size is None else Scaling(np.asarray(size), "um")
