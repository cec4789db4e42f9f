"""Checks of the input of scoring: particle tables or arrays of positions, diameter, shape of the stack, voxel size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from napari_colloids.errors import ColloidsError, brief
from napari_colloids.particles import check_one_volume, check_particles, implied_voxel_size, positions_of
from napari_colloids.positions import checked_array
from napari_colloids.stack import checked_voxel_size, proportions_of

if TYPE_CHECKING:
    from collections.abc import Sequence

Positions = NDArray[np.float64]

#: Relative difference up to which the aspect ratios of two voxels are the same: tables hold rounded micrometres.
_ASPECT_TOLERANCE = 0.01


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
        table = check_particles(particles, name)
        check_one_volume(table, name)
        # Rows are not dropped here: the masks of a score must line up with the table that was given.
        if len(table) < len(particles):
            raise ColloidsError(f"{name} has rows without a position; drop them first.")
        return positions_of(table)
    return checked_array(particles, name)


def checked_length(length: float, name: str = "diameter") -> float:
    """Return a diameter or distance in voxels as a float.

    Raises
    ------
    ColloidsError
        If it is not a positive, finite number.
    """
    try:
        value = float(length)
    except (TypeError, ValueError, OverflowError):
        value = np.nan
    if not (np.isfinite(value) and value > 0):
        raise ColloidsError(f"The {name} must be a positive number of voxels, not {brief(length)}.")
    return value


def checked_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    """Return the shape of the stack ``(z, y, x)``.

    Raises
    ------
    ColloidsError
        If it is not three positive whole numbers.
    """
    try:
        values = np.asarray(shape)
    except ValueError:  # rows of unequal length
        values = np.empty(0)
    numbers = values.shape == (3,) and values.dtype.kind in "iuf"
    if not numbers or not all(n >= 1 and float(n).is_integer() for n in values):
        raise ColloidsError(f"The shape must be three positive whole numbers of voxels (z, y, x), not {brief(shape)}.")
    z, y, x = (int(n) for n in values)
    return z, y, x


def checked_aspect(voxel_size: Sequence[float] | None, *particles: pd.DataFrame | ArrayLike) -> NDArray[np.float64]:
    """Return the aspect ratio of the voxels: their edges ``(z, y, x)`` over the one along x.

    Parameters
    ----------
    voxel_size
        What was given; None takes what the tables imply, and isotropic voxels where they imply nothing.
    *particles
        The particle tables, or arrays.

    Raises
    ------
    ColloidsError
        If the voxel size is not three positive lengths, or the tables imply voxels of different aspect ratios.
    """
    given = checked_voxel_size(voxel_size)
    if given is not None:
        return np.array(proportions_of(given))
    implied = [implied_voxel_size(check_particles(table)) for table in particles if isinstance(table, pd.DataFrame)]
    aspects = [np.array(proportions_of(size)) for size in implied if size is not None]
    if not aspects:
        return np.ones(3)
    if any(not np.allclose(aspect, aspects[0], rtol=_ASPECT_TOLERANCE) for aspect in aspects):
        raise ColloidsError("The two tables have voxels of different aspect ratios; give the right voxel size.")
    return aspects[0]
