"""Linked particles ordered by frame, with the variances of their localisation errors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from napari_colloids.dynamics.linking import without_drift
from napari_colloids.errors import ColloidsError, brief
from napari_colloids.particles import POSITION, check_particles, positions_of
from napari_colloids.settings import check_value
from napari_colloids.structure.inputs import require_columns
from napari_colloids.structure.scaling import scaling_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_colloids.structure.scaling import Scaling

    Array = NDArray[np.float64]
    Rows = NDArray[np.int64]

#: Columns of the standard errors of a position.
_ERRORS = [f"{axis}_err" for axis in POSITION]
#: What is told where no errors are known.
NO_ERRORS = (
    "The table has no standard errors of the positions (z_err, y_err, x_err), and none were given: nothing is "
    "corrected for localisation errors."
)


@dataclass(frozen=True, eq=False)
class Tracks:
    """Particles ordered by frame, and in each frame by the number of their trajectory.

    Attributes
    ----------
    frames
        Frames that have particles, rising, shape ``(F,)``.
    first
        First row of each frame, and the number of rows, shape ``(F + 1,)``.
    particle
        Trajectory of each row, counted from 0 without gaps, shape ``(M,)``.
    positions
        Shape ``(M, 3)``, in the unit of `scaling`.
    variances
        Squares of the standard errors along z, y, x in the same unit, shape ``(M, 3)`` or ``(1, 3)``; None where they
        are unknown.
    scaling
        From voxels to the unit.
    labels
        Trajectory of each row as the table numbers it, shape ``(M,)``.
    notices
        What the user should know about the errors.
    """

    frames: Rows
    first: Rows
    particle: Rows
    positions: Array
    variances: Array | None
    scaling: Scaling
    labels: NDArray[np.generic]
    notices: list[str] = field(default_factory=list)

    def rows(self, place: int) -> slice:
        """Return the rows of a frame, given as a place in `frames`."""
        return slice(int(self.first[place]), int(self.first[place + 1]))

    def common(self, start: int, end: int) -> tuple[Rows, Rows]:
        """Return the rows of the particles that two frames share, in the one frame and in the other."""
        here, there = self.particle[self.rows(start)], self.particle[self.rows(end)]
        if len(there) == 0:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        place = np.minimum(np.searchsorted(there, here), len(there) - 1)
        both = np.flatnonzero(there[place] == here)
        return self.first[start] + both, self.first[end] + place[both]

    def variances_at(self, rows: Rows) -> Array | None:
        """Return the variances of the errors of these rows, shape ``(len(rows), 3)``; None where they are unknown."""
        if self.variances is None:
            return None
        if len(self.variances) == 1:
            return np.broadcast_to(self.variances, (len(rows), 3))
        return self.variances[rows]


def checked_tracks(
    tracks: pd.DataFrame,
    *,
    voxel_size: Sequence[float] | None = None,
    errors: Sequence[float] | None = None,
    subtract_drift: bool = False,
) -> Tracks:
    """Return the particles of a linked table.

    Parameters
    ----------
    tracks
        Particle table with ``frame`` and ``particle``.
    voxel_size
        Micrometres ``(z, y, x)``; None takes what the table implies.
    errors
        Standard errors of a position along z, y, x in voxels, of all particles; None takes those of the table.
    subtract_drift
        Whether to subtract the mean motion of all particles.

    Raises
    ------
    ColloidsError
        If the table is not linked, a row lacks its frame or trajectory, or a particle is twice in a frame.
    """
    require_columns(tracks, ("frame", "particle"), "link the particles of a time series first (napari-colloids link).")
    check_value("errors", errors, tuple[float, float, float] | None, low=0, unit="voxels")
    check_value("subtract_drift", subtract_drift, bool)
    table = check_particles(tracks)
    if len(table) == 0:
        raise ColloidsError("The table has no particles: link a series that has some.")
    if table[["frame", "particle"]].isna().to_numpy().any():
        raise ColloidsError("The table has rows without a frame or a particle; drop them first.")
    scaling = scaling_of(table, voxel_size)
    if subtract_drift:
        table = without_drift(table)
    frames = table["frame"].to_numpy().astype(np.int64)
    particle = pd.factorize(table["particle"])[0].astype(np.int64)
    order = np.lexsort((particle, frames))
    frames, particle = frames[order], particle[order]
    if np.any((np.diff(frames) == 0) & (np.diff(particle) == 0)):
        raise ColloidsError("A particle is in the same frame twice: link the particles again.")
    occupied, first = np.unique(frames, return_index=True)
    variances, notices = position_variances(table, errors, scaling.scale)
    return Tracks(
        frames=occupied,
        first=np.append(first, len(frames)).astype(np.int64),
        particle=particle,
        positions=(positions_of(table) * scaling.scale)[order],
        variances=variances[order] if variances is not None and len(variances) > 1 else variances,
        scaling=scaling,
        labels=table["particle"].to_numpy()[order],
        notices=notices,
    )


def checked_axes(axes: str) -> list[int]:
    """Return the places of axes, named by letters, in ``z, y, x``.

    Raises
    ------
    ColloidsError
        If they are no letters of ``zyx``, or one is there twice.
    """
    if not isinstance(axes, str) or not axes or set(axes) - set(POSITION) or len(set(axes)) < len(axes):
        raise ColloidsError(f"axes must be letters of 'zyx', each once, as in 'yx', not {brief(axes)}.")
    return sorted(POSITION.index(axis) for axis in axes)


def position_variances(
    table: pd.DataFrame, errors: Sequence[float] | None, scale: Array
) -> tuple[Array | None, list[str]]:
    """Return the variances of the errors in the order of the table, and what to say about them.

    Parameters
    ----------
    table
        Particle table, with the standard errors of the positions or without.
    errors
        Standard errors along z, y, x in voxels, of all particles; None takes those of the table.
    scale
        Edges of a voxel, shape ``(3,)``.

    Returns
    -------
    tuple
        Variances in the squared unit of the scale, shape ``(M, 3)`` or ``(1, 3)``, or None; and notices.
    """
    if errors is not None:
        return (np.asarray(errors, dtype=float)[None] * scale) ** 2, []
    if not set(_ERRORS) <= set(table.columns):
        return None, [NO_ERRORS]
    variances = (table[_ERRORS].to_numpy(dtype=float) * scale) ** 2
    known = np.asarray(np.isfinite(variances).all(axis=1))
    if not known.any():
        return None, [NO_ERRORS]
    missing = int(np.sum(~known))
    if missing == 0:
        return variances, []
    variances[~known] = variances[known].mean(axis=0)
    return variances, [
        f"{missing} of {len(known)} positions have no standard errors; the mean square of the others was taken, which "
        "may be too small for them."
    ]
