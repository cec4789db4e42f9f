"""The voxel size out of what a file says of each axis."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_colloids.stack import VoxelSize


def voxel_size_of(lengths: Mapping[str, float | None], name: str) -> tuple[VoxelSize | None, tuple[str, ...]]:
    """Return the voxel size, and a notice where the file says only a part of it.

    Parameters
    ----------
    lengths
        Micrometres per voxel by axis, letters Z, Y and X; None or absent where the file does not say it.
    name
        Of the series, in the notice.

    Returns
    -------
    voxel_size
        ``(z, y, x)`` in micrometres, or None unless all three are positive numbers.
    notices
        Empty unless one or two of them are.
    """
    found = {axis: length for axis in "ZYX" if (length := lengths.get(axis)) and 0 < length < math.inf}
    if len(found) == len("ZYX"):
        return (float(found["Z"]), float(found["Y"]), float(found["X"])), ()
    missing = " and ".join(axis.lower() for axis in "ZYX" if axis not in found)
    notice = f"'{name}' does not say how far apart voxels are along {missing}: its voxel size counts as unknown."
    return None, (notice,) if found else ()
