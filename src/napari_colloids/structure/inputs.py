"""Input of the structure functions: particle tables, or bare arrays of positions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from napari_colloids.errors import ColloidsError
from napari_colloids.particles import check_particles, particle_table
from napari_colloids.positions import checked_array

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike


def checked_particles(particles: pd.DataFrame | ArrayLike) -> pd.DataFrame:
    """Return a particle table, with rows of missing positions dropped.

    Parameters
    ----------
    particles
        A particle table, or an array of shape ``(N, 3)``: z, y, x in voxels.

    Raises
    ------
    ColloidsError
        If it is neither.
    """
    if isinstance(particles, pd.DataFrame):
        return check_particles(particles)
    return particle_table(checked_array(particles))


def require_columns(table: pd.DataFrame, columns: Iterable[str], advice: str) -> None:
    """Refuse what is no table, or a table without these columns.

    Parameters
    ----------
    table
        What was given.
    columns
        Names of the columns it has to have.
    advice
        What to do about it: the end of the message.

    Raises
    ------
    ColloidsError
        If it is no table, or a column is missing.
    """
    if not isinstance(table, pd.DataFrame):
        raise ColloidsError(f"A table (pandas.DataFrame) is needed, not {type(table).__name__}: {advice}")
    for column in columns:
        if column not in table:
            raise ColloidsError(f"The table has no column '{column}': {advice}")
