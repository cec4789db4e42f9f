"""Degrade exact positions as a microscope does: localisation errors, missed and false particles.

References
----------
Royall, Louis and Tanaka, J. Chem. Phys. 127, 044507 (2007): a simulation gets the errors of the measurement before the
two are compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from napari_colloids.errors import ColloidsError
from napari_colloids.particles import POSITION, implied_voxel_size, positions_of, with_micrometres
from napari_colloids.settings import check_value
from napari_colloids.structure.frames import frames_of, rows_by_frame
from napari_colloids.structure.inputs import checked_particles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

#: Standard errors of the position.
POSITION_ERRORS = ["z_err", "y_err", "x_err"]


def degraded(
    particles: pd.DataFrame | ArrayLike,
    *,
    errors: ArrayLike | None = None,
    recall: float = 1.0,
    precision: float = 1.0,
    shape: Sequence[float] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Return particles as a measurement with these errors would have them.

    What a structure loses by its measurement is seen by losing it in a simulation, whose exact structure is known [1]_;
    and, without one, by losing it once more in the measured positions themselves.

    Parameters
    ----------
    particles
        Particle table, or array of shape ``(N, 3)``: z, y, x in voxels.
    errors
        Standard errors z, y, x in voxels: of all particles, or of shape ``(M, 3)``, of which each particle draws one
        (those of another table). None takes those of the table; positions without errors draw from the others.
    recall
        Fraction of the particles that are kept.
    precision
        Fraction of true particles in the result; the others lie at random in the window.
    shape
        Shape ``(z, y, x)`` of the stack in voxels; None takes the box that the particles fill.
    seed
        For repeatable results.

    Returns
    -------
    pandas.DataFrame
        The table with the positions changed, in micrometres, too; other columns stay.

    Raises
    ------
    ColloidsError
        If there are no errors, or a number is out of range.

    References
    ----------
    .. [1] Royall, Louis and Tanaka, "Measuring colloidal interactions with confocal microscopy", J. Chem. Phys. 127,
       044507 (2007).

    Examples
    --------
    >>> import numpy as np
    >>> from napari_colloids.structure import degraded
    >>> crystal = 10.0 * np.indices((8, 8, 8)).reshape(3, -1).T
    >>> table = degraded(crystal, errors=(1.0, 0.3, 0.3), recall=0.9, precision=0.95, shape=(80, 80, 80))
    >>> len(table), round(512 * 0.9 / 0.95)
    (485, 485)
    """
    check_value("recall", recall, float, low=0.01, high=1)
    check_value("precision", precision, float, low=0.01, high=1)
    check_value("seed", seed, int, low=0)
    table = checked_particles(particles)
    rng = np.random.default_rng(seed)
    moved = table.copy()
    moved[POSITION] = positions_of(table) + _errors_of(table, errors, rng) * rng.standard_normal((len(table), 3))
    parts = []
    for rows in rows_by_frame(moved):
        kept = moved.iloc[rows[np.sort(rng.permutation(len(rows))[: round(recall * len(rows))])]]
        false = round(len(kept) * (1 - precision) / precision)
        parts += [kept, kept.iloc[rng.integers(0, len(kept), false)].assign(**_anywhere(table, shape, false, rng))]
    result = with_micrometres(pd.concat(parts, ignore_index=True), implied_voxel_size(table))
    result.attrs = dict(table.attrs)
    return result


def has_errors(table: pd.DataFrame) -> bool:
    """Return whether a table has standard errors of positions."""
    return all(name in table and table[name].notna().any() for name in POSITION_ERRORS)


def _errors_of(table: pd.DataFrame, errors: ArrayLike | None, rng: np.random.Generator) -> Array:
    """Return the standard errors of each particle, shape ``(N, 3)``."""
    if errors is None:
        if not has_errors(table):
            raise ColloidsError("The table has no errors of the positions (z_err, y_err, x_err): give some.")
        own = table[POSITION_ERRORS].to_numpy(dtype=float)
        known = np.isfinite(own).all(axis=1)
        return np.where(known[:, None], own, own[known][rng.integers(0, known.sum(), len(own))])
    try:
        given = np.atleast_2d(np.asarray(errors, dtype=float))
    except (TypeError, ValueError):
        given = np.empty((0, 0))
    if given.ndim != 2 or given.shape[1] != 3 or not np.isfinite(given).all() or (given < 0).any():
        raise ColloidsError(
            "Errors of positions must be three numbers (z, y, x), or rows of three, none of them negative."
        )
    return given[rng.integers(0, len(given), len(table))]


def _anywhere(
    table: pd.DataFrame, shape: Sequence[float] | None, count: int, rng: np.random.Generator
) -> dict[str, Array]:
    """Return random positions in the window, in voxels, as columns."""
    if not count:
        return {}
    seen = frames_of(table, shape, None)
    low, edges = seen.window.low / seen.scaling.scale, seen.window.edges / seen.scaling.scale
    return dict(zip(POSITION, (low + edges * rng.random((count, 3))).T, strict=True))
