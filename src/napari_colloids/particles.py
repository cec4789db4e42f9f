"""The particle table: one row a particle, with trackpy's column names so that ``trackpy.link`` takes it as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from napari_colloids.errors import ColloidsError
from napari_colloids.stack import checked_voxel_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from napari_colloids.stack import VoxelSize

#: Position in voxels; voxel centres lie at integers.
POSITION = ["z", "y", "x"]
#: Position in micrometres, present where the voxel size is known.
POSITION_UM = ["z_um", "y_um", "x_um"]
#: Standard errors of position and radius, in their units; there where the particles were refined.
ERRORS = ["z_err", "y_err", "x_err", "radius_err"]
#: All columns the table may have, in the order they are written.
COLUMNS = [
    *("frame", "channel", *POSITION, "radius", "confidence"),
    *(*ERRORS, "refined", "particle", *POSITION_UM, "radius_um"),
]
#: The columns that hold whole numbers; all others are floats.
WHOLE = frozenset({"frame", "channel", "particle", "refined"})


def particle_table(
    positions: ArrayLike,
    *,
    radius: ArrayLike | None = None,
    confidence: ArrayLike | None = None,
    frame: ArrayLike | None = None,
    channel: ArrayLike | None = None,
    particle: ArrayLike | None = None,
    errors: ArrayLike | None = None,
    refined: ArrayLike | None = None,
    voxel_size: Sequence[float] | None = None,
) -> pd.DataFrame:
    """Make a particle table.

    Parameters
    ----------
    positions
        Shape ``(N, 3)``: z, y, x in voxels.
    radius
        Radius in lateral voxels, one value or N.
    confidence
        Probability (0-1) of being a true particle, one value or N.
    frame
        Time point, one value or N.
    channel
        Channel of the image, one value or N.
    particle
        Number of the trajectory, one value or N.
    errors
        Shape ``(N, 4)``: standard errors of z, y, x in voxels and of the radius; NaN where they are not known.
    refined
        1 where position and radius are those of a fit, 0 where they are the network's; one value or N.
    voxel_size
        Micrometres ``(z, y, x)``; adds the columns in micrometres.

    Returns
    -------
    pandas.DataFrame
        The given columns of `COLUMNS`.

    Raises
    ------
    ColloidsError
        If the positions are not ``(N, 3)``, or there are fewer or more values than positions, or no whole numbers where
        these are needed.
    """
    centres = np.asarray(positions, dtype=float)
    if centres.size == 0:
        centres = centres.reshape(0, 3)
    if centres.ndim != 2 or centres.shape[1] != 3:
        raise ColloidsError(f"Positions must have shape (N, 3) for z, y, x; these have {centres.shape}.")
    columns: dict[str, Any] = {}
    given = {"frame": frame, "channel": channel, **dict(zip(POSITION, centres.T, strict=True))}
    given |= {"radius": radius, "confidence": confidence}
    if errors is not None:
        given |= dict(zip(ERRORS, np.asarray(errors, dtype=float).reshape(-1, len(ERRORS)).T, strict=True))
    given |= {"refined": refined, "particle": particle}
    for name, values in given.items():
        if values is not None:
            columns[name] = _column(name, values, len(centres))
    return with_micrometres(pd.DataFrame(columns), voxel_size)


def _column(name: str, values: ArrayLike, count: int) -> NDArray[Any]:
    given = np.asarray(values)
    if given.shape not in ((), (1,), (count,)):
        raise ColloidsError(f"'{name}' has shape {given.shape}, but there are {count} positions.")
    if name in WHOLE and given.dtype.kind == "f" and not np.array_equal(given, np.rint(given)):
        raise ColloidsError(f"'{name}' must hold whole numbers.")
    return np.broadcast_to(given.astype(int if name in WHOLE else float), count)


def with_micrometres(particles: pd.DataFrame, voxel_size: Sequence[float] | None) -> pd.DataFrame:
    """Return the table with the columns in micrometres added (or left as it is where the voxel size is None)."""
    size = checked_voxel_size(voxel_size)
    if size is None:
        return particles
    particles = particles.copy()
    for column, voxels, length in zip(POSITION_UM, POSITION, size, strict=True):
        particles[column] = particles[voxels] * length
    if "radius" in particles:
        particles["radius_um"] = particles["radius"] * size[2]
    return particles


def check_particles(particles: pd.DataFrame, name: str = "The particle table") -> pd.DataFrame:
    """Return the table if it is one, with rows of missing positions dropped.

    Raises
    ------
    ColloidsError
        If a position column is missing or not numeric, or a position is infinite.
    """
    missing = [column for column in POSITION if column not in particles]
    if missing:
        raise ColloidsError(
            f"{name} has no column {', '.join(missing)}; it needs z, y, x in voxels "
            f"(its columns are: {', '.join(map(str, particles.columns)) or 'none'})."
        )
    try:
        centres = particles[POSITION].to_numpy(dtype=float)
    except (TypeError, ValueError) as error:
        raise ColloidsError(f"{name} has positions that are not numbers.") from error
    if np.isinf(centres).any():
        raise ColloidsError(f"{name} has infinite positions.")
    missing_rows = np.isnan(centres).any(axis=1)
    return particles[~missing_rows].reset_index(drop=True) if missing_rows.any() else particles


def check_one_volume(particles: pd.DataFrame, name: str = "The particle table") -> None:
    """Refuse a table of several frames or channels where those of a single volume are needed.

    Raises
    ------
    ColloidsError
        If there are several, or a row does not say which is its own.
    """
    for column in ("frame", "channel"):
        if column in particles and particles[column].isna().any():
            raise ColloidsError(f"{name} has rows without a {column}; drop them first.")
        if column in particles and particles[column].nunique() > 1:
            raise ColloidsError(f"{name} holds several {column}s; take the particles of one {column} at a time.")


def positions_of(particles: pd.DataFrame) -> NDArray[np.float64]:
    """Return the positions, shape ``(N, 3)``: z, y, x in voxels."""
    return particles[POSITION].to_numpy(dtype=float)


def implied_voxel_size(particles: pd.DataFrame) -> VoxelSize | None:
    """Return the voxel size in micrometres that a table implies by giving positions in both units, or None."""
    sizes = []
    for voxels, micrometres in zip(POSITION, POSITION_UM, strict=True):
        if micrometres not in particles:
            return None
        away_from_zero = particles[voxels].abs() > 1e-6
        ratios = (particles[micrometres] / particles[voxels])[away_from_zero]
        if ratios.empty or not ratios.median() > 0:
            return None
        sizes.append(float(ratios.median()))
    return (sizes[0], sizes[1], sizes[2])


def first_of_each(pairs: NDArray[np.intp], count: int) -> NDArray[np.bool_]:
    """Return which of so many particles are left if of each pair only one may stay and the first go first.

    Parameters
    ----------
    pairs
        Numbers of the particles, shape ``(M, 2)``: the smaller first.
    count
        How many there are.

    Returns
    -------
    numpy.ndarray
        Shape ``(count,)``.
    """
    stays = [True] * count
    # By the first of the two: whoever is still there when its turn comes stays for good.
    for first, second in pairs[np.argsort(pairs[:, 0])].tolist():
        if stays[first]:
            stays[second] = False
    return np.array(stays, bool)
