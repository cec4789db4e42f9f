"""Positions of particles as arrays instead of particle tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from napari_colloids.errors import ColloidsError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def checked_array(positions: ArrayLike, name: str = "The particles") -> NDArray[np.float64]:
    """Return positions as an array of shape ``(N, 3)``; N may be 0.

    Parameters
    ----------
    positions
        Array of shape ``(N, 3)``: z, y, x in voxels.
    name
        Name of the particles in messages.

    Raises
    ------
    ColloidsError
        If they are not ``(N, 3)`` finite numbers.
    """
    wanted = "a particle table or an array of numbers of shape (N, 3): z, y, x in voxels"
    if isinstance(getattr(positions, "particles", None), pd.DataFrame):
        kind = type(positions).__name__
        raise ColloidsError(f"{name} must be {wanted}; of a {kind}, give its attribute 'particles'.")
    try:
        array = np.asarray(positions, dtype=float)
    except (TypeError, ValueError) as error:
        raise ColloidsError(f"{name} must be {wanted}, not {type(positions).__name__}.") from error
    if array.size == 0:
        return np.empty((0, 3))
    if array.ndim != 2 or array.shape[1] != 3:
        raise ColloidsError(f"{name} must have positions of shape (N, 3): z, y, x; these have {array.shape}.")
    if not np.isfinite(array).all():
        raise ColloidsError(f"{name} has positions that are missing or infinite; drop them first.")
    return array
