"""What may be scored: particle tables or bare positions, a diameter, the shape of the stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from napari_colloids.errors import ColloidsError
from napari_colloids.particles import check_one_volume, check_particles, implied_voxel_size, positions_of
from napari_colloids.stack import checked_voxel_size, proportions_of

if TYPE_CHECKING:
    from collections.abc import Sequence

Positions = NDArray[np.float64]

#: Relative difference up to which two voxel sizes are the same, rounded.
_ALIKE = 0.01


def checked_positions(particles: pd.DataFrame | ArrayLike, name: str) -> Positions:
    """Return the positions of a particle table or array, one row a particle and in its order.

    Parameters
    ----------
    particles
        A particle table, or an array of shape ``(N, 3)``: z, y, x in voxels. N may be 0.
    name
        What the particles are called in messages.

    Raises
    ------
    ColloidsError
        If the positions are not ``(N, 3)`` finite numbers, or belong to more than one frame or channel.
    """
    if isinstance(particles, pd.DataFrame):
        check_one_volume(particles, name)
        # Rows are not dropped here: the masks of a score must line up with the table that was given.
        if len(check_particles(particles, name)) < len(particles):
            raise ColloidsError(f"{name} has rows without a position; drop them first.")
        return positions_of(particles)
    try:
        positions = np.asarray(particles, dtype=float)
    except (TypeError, ValueError) as error:
        raise ColloidsError(f"{name} must be an array of numbers of shape (N, 3): z, y, x in voxels.") from error
    if positions.size == 0:
        return np.empty((0, 3))
    if positions.ndim != 2 or positions.shape[1] != 3:
        raise ColloidsError(f"{name} must have positions of shape (N, 3): z, y, x; these have {positions.shape}.")
    if not np.isfinite(positions).all():
        raise ColloidsError(f"{name} has positions that are missing or infinite; drop them first.")
    return positions


def checked_length(length: float, name: str = "diameter") -> float:
    """Return a diameter or distance in voxels as a float.

    Raises
    ------
    ColloidsError
        If it is not a positive, finite number.
    """
    try:
        value = float(length)
    except (TypeError, ValueError):
        value = np.nan
    if not (np.isfinite(value) and value > 0):
        raise ColloidsError(f"The {name} must be a positive number of voxels, not {length!r}.")
    return value


def checked_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    """Return the shape of the stack ``(z, y, x)``.

    Raises
    ------
    ColloidsError
        If it is not three positive whole numbers.
    """
    values = np.asarray(shape)
    if values.shape != (3,) or values.dtype.kind not in "iuf" or (values < 1).any() or (values % 1 != 0).any():
        raise ColloidsError(f"The shape must be three positive whole numbers of voxels (z, y, x), not {shape!r}.")
    z, y, x = (int(n) for n in values)
    return z, y, x


def checked_proportions(
    voxel_size: Sequence[float] | None, *particles: pd.DataFrame | ArrayLike
) -> NDArray[np.float64]:
    """Return the edges of a voxel ``(z, y, x)`` over the one along x.

    Parameters
    ----------
    voxel_size
        What was given; None takes what the tables imply, and cubes where they imply nothing.
    *particles
        The particle tables, or arrays.

    Raises
    ------
    ColloidsError
        If the voxel size is not three positive lengths, or the tables imply voxels of different shapes.
    """
    given = checked_voxel_size(voxel_size)
    if given is not None:
        return np.array(proportions_of(given))
    implied = [implied_voxel_size(table) for table in particles if isinstance(table, pd.DataFrame)]
    shapes = [np.array(proportions_of(size)) for size in implied if size is not None]
    if not shapes:
        return np.ones(3)
    if any(not np.allclose(shape, shapes[0], rtol=_ALIKE) for shape in shapes):
        raise ColloidsError("Truth and prediction have voxels of different shapes; give the voxel size that holds.")
    return shapes[0]
