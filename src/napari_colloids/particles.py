"""Particle tables: a row per particle, with trackpy's column names so that ``trackpy.link`` takes them as they are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from napari_colloids.errors import ColloidsError, brief
from napari_colloids.stack import checked_voxel_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from napari_colloids.stack import VoxelSize


@dataclass(frozen=True)
class Column:
    """A column that particle tables may have.

    Attributes
    ----------
    doc
        Description.
    unit
        ``voxels`` (along its own axis), ``px`` (lateral voxels), ``µm``, ``grey levels`` or nothing.
    whole
        Whether it holds whole numbers; all others are floats.
    by_hand
        Value for a particle that was added or moved by hand; None where it keeps its own or takes that of its
        neighbours.
    feature
        Whether it is a property of the particle; the others are its place and time.
    """

    doc: str
    unit: str = ""
    whole: bool = False
    by_hand: float | None = None
    feature: bool = True


_UNKNOWN = math.nan

#: Number of channels, from the first, of which a table may hold intensities.
INTENSITY_CHANNELS = 16
#: Topological clusters, by the names that the program TCC gives them: the basic ones (rings of three, four and five
#: particles with no, one or two particles above and below), then by their size.
TCC_CLUSTERS = (
    *("sp3a", "sp3b", "sp3c", "sp4a", "sp4b", "sp4c", "sp5a", "sp5b", "sp5c", "6A", "6Z", "7K", "7T_a", "7T_s"),
    *("8A", "8B", "8K", "9A", "9B", "9K", "10A", "10B", "10K", "10W", "11A", "11B", "11C", "11E", "11F", "11W"),
    *("12A", "12B", "12D", "12E", "12K", "13A", "13B", "13K", "FCC", "HCP", "BCC_9"),
)
#: All columns that a table may have, in the order in which they are written.
COLUMNS: dict[str, Column] = {
    "frame": Column("Time point.", whole=True, feature=False),
    "channel": Column("Channel of the image.", whole=True),
    "z": Column("Position along z; voxel centres lie at integers.", "voxels", feature=False),
    "y": Column("Position along y.", "voxels", feature=False),
    "x": Column("Position along x.", "voxels", feature=False),
    "radius": Column("Radius.", "px"),
    "confidence": Column("Calibrated probability (0-1) of being a true particle.", by_hand=1.0),
    "z_err": Column("Standard error of z.", "voxels", by_hand=_UNKNOWN),
    "y_err": Column("Standard error of y.", "voxels", by_hand=_UNKNOWN),
    "x_err": Column("Standard error of x.", "voxels", by_hand=_UNKNOWN),
    "radius_err": Column("Standard error of the radius.", "px", by_hand=_UNKNOWN),
    "refined": Column("1 where position and radius were fitted to the image, 0 elsewhere.", whole=True, by_hand=0),
    "by_hand": Column(
        "0 as found, 1 added by hand, 2 moved or resized by hand (where anything was).", whole=True, by_hand=1
    ),
    "misfit": Column(
        "What the residual around the particle has beyond the noise (root mean square of both, a ratio): 1 where the "
        "fit explains all.",
        by_hand=_UNKNOWN,
    ),
    "intensity": Column("Mean grey level above the background.", "grey levels", by_hand=_UNKNOWN),
    **{
        f"intensity_{channel}": Column(f"The same in channel {channel}.", "grey levels", by_hand=_UNKNOWN)
        for channel in range(INTENSITY_CHANNELS)
    },
    "particle": Column("Number of the trajectory.", whole=True),
    "neighbours": Column("Number of neighbours.", whole=True, by_hand=0),
    "q4": Column("Bond-orientational order of degree 4 (Steinhardt).", by_hand=_UNKNOWN),
    "q6": Column("The same of degree 6.", by_hand=_UNKNOWN),
    "w6": Column("Third-order invariant of degree 6.", by_hand=_UNKNOWN),
    "q4_averaged": Column("q4 averaged over the neighbours (Lechner and Dellago).", by_hand=_UNKNOWN),
    "q6_averaged": Column("q6 averaged over the neighbours.", by_hand=_UNKNOWN),
    "solid_bonds": Column("Number of neighbours with the same orientation of their bonds.", whole=True, by_hand=0),
    "crystalline": Column("1 where seven of twelve bonds are solid, else 0.", whole=True, by_hand=0),
    "tetrahedrality": Column("Tetrahedral order of the four nearest particles.", by_hand=_UNKNOWN),
    "voronoi_volume": Column(
        "Volume of the Voronoi cell, in cubic micrometres, or in cubic lateral voxels where the voxel size is unknown.",
        by_hand=_UNKNOWN,
    ),
    "local_volume_fraction": Column("Volume of the particle over that of its Voronoi cell.", by_hand=_UNKNOWN),
    "interior": Column("1 where the order is that of the bulk, else 0: near a face.", whole=True, by_hand=0),
    **{
        f"tcc_{name}": Column(f"1 in a topological cluster {name} (TCC), else 0.", whole=True, by_hand=0)
        for name in TCC_CLUSTERS
    },
    "z_um": Column("Position along z.", "µm", feature=False),
    "y_um": Column("Position along y.", "µm", feature=False),
    "x_um": Column("Position along x.", "µm", feature=False),
    "radius_um": Column("Radius.", "µm", feature=False),
}
#: Limit of whole numbers in floats, which are exact below it.
_MAX_WHOLE = 2.0**53
#: Position in voxels.
POSITION = ["z", "y", "x"]
#: Position in micrometres, present where the voxel size is known.
POSITION_UM = ["z_um", "y_um", "x_um"]
#: Standard errors of position and radius, present where the particles were refined.
ERRORS = ["z_err", "y_err", "x_err", "radius_err"]
#: The columns that hold whole numbers.
WHOLE = frozenset(name for name, column in COLUMNS.items() if column.whole)
#: The properties of a particle, in order.
FEATURES = [name for name, column in COLUMNS.items() if column.feature]


def particle_table(
    positions: ArrayLike,
    *,
    voxel_size: Sequence[float] | None = None,
    errors: ArrayLike | None = None,
    **columns: ArrayLike | None,
) -> pd.DataFrame:
    """Make a particle table.

    Parameters
    ----------
    positions
        Shape ``(N, 3)``: z, y, x in voxels; voxel centres lie at integers.
    voxel_size
        Micrometres ``(z, y, x)``; adds the columns in micrometres.
    errors
        Shape ``(N, 4)``: standard errors of z, y, x in voxels and of the radius in lateral voxels; NaN where unknown.
    **columns
        Further columns of `COLUMNS`, each with one value or N: ``radius`` (lateral voxels), ``confidence``, ``frame``,
        ``channel``, ``particle``, ``refined``, ...; None leaves one out.

    Returns
    -------
    pandas.DataFrame
        The given columns, in the order of `COLUMNS`.

    Raises
    ------
    ColloidsError
        If the positions are not ``(N, 3)``, there is no such column, the number of values is not that of the positions,
        or they are not whole numbers where these are needed.

    See Also
    --------
    read_particles, write_particles : tables in files.

    Examples
    --------
    >>> from napari_colloids import particle_table
    >>> table = particle_table([[3, 4, 5]], radius=2.5, frame=0, voxel_size=(0.2, 0.1, 0.1))
    >>> table[["frame", "z", "radius", "z_um", "radius_um"]].to_dict("records")
    [{'frame': 0, 'z': 3.0, 'radius': 2.5, 'z_um': 0.6000000000000001, 'radius_um': 0.25}]
    """
    centres = _numbers(positions, "Positions")
    if centres.size == 0:
        centres = centres.reshape(0, 3)
    if centres.ndim != 2 or centres.shape[1] != 3:
        raise ColloidsError(f"Positions must have shape (N, 3) for z, y, x; these have {centres.shape}.")
    unknown = set(columns) - set(COLUMNS)
    if unknown:
        raise ColloidsError(f"A particle table has no column {', '.join(sorted(unknown))}.")
    given: dict[str, ArrayLike | None] = {**columns, **dict(zip(POSITION, centres.T, strict=True))}
    if errors is not None:
        given |= dict(zip(ERRORS, _errors(errors).T, strict=True))
    made = {}
    for name in COLUMNS:
        values = given.get(name)
        if values is not None:
            made[name] = _column(name, values, len(centres))
    return with_micrometres(pd.DataFrame(made), voxel_size)


def _numbers(values: ArrayLike, name: str) -> NDArray[np.float64]:
    try:
        numbers = np.asanyarray(values, dtype=float)
        return np.ma.filled(numbers, np.nan) if np.ma.isMA(numbers) else np.asarray(numbers)
    except (TypeError, ValueError) as error:
        raise ColloidsError(f"{name} must be numbers, not {brief(values)}.") from error


def _errors(errors: ArrayLike) -> NDArray[np.float64]:
    values = _numbers(errors, "Errors")
    if values.size == 0:
        return values.reshape(0, len(ERRORS))
    if values.ndim != 2 or values.shape[1] != len(ERRORS):
        raise ColloidsError(
            f"Errors must have shape (N, {len(ERRORS)}) for {', '.join(ERRORS)}; these have {values.shape}."
        )
    return values


def _column(name: str, values: ArrayLike, count: int) -> NDArray[np.int_] | NDArray[np.float64]:
    given = _numbers(values, name) if np.ma.is_masked(values) else np.asarray(values)
    if given.dtype.kind not in "biuf":
        raise ColloidsError(f"'{name}' must hold numbers, not {brief(values)}.")
    if given.shape not in ((), (1,), (count,)):
        raise ColloidsError(f"'{name}' has shape {given.shape}, but there are {count} positions.")
    if name in WHOLE and not (given.dtype.kind in "bi" or _are_whole(given)):
        raise ColloidsError(f"'{name}' must hold whole numbers.")
    return np.broadcast_to(given.astype(int if name in WHOLE else float), count)


def _are_whole(values: NDArray[np.floating]) -> bool:
    """Whether floats are whole numbers, none too large for its exact neighbours to be floats too."""
    return bool(((np.abs(values) < _MAX_WHOLE) & (values == np.rint(values))).all())


def with_micrometres(particles: pd.DataFrame, voxel_size: Sequence[float] | None) -> pd.DataFrame:
    """Return the table with the columns in micrometres added; unchanged where the voxel size is None."""
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
    """Return a valid table, without the rows whose position is missing.

    Raises
    ------
    ColloidsError
        If a position column is missing, a position is infinite, a frame is no whole number, or a column of `COLUMNS`
        does not hold numbers.
    """
    if not isinstance(particles, pd.DataFrame):
        raise ColloidsError(f"{name} must be a pandas.DataFrame, not {brief(particles)}.")
    missing = [column for column in POSITION if column not in particles]
    if missing:
        raise ColloidsError(
            f"{name} has no column {', '.join(missing)}; it needs z, y, x in voxels "
            f"(its columns are: {', '.join(map(str, particles.columns)) or 'none'})."
        )
    particles = _with_numbers(particles, name)
    centres = particles[POSITION].to_numpy(dtype=float)
    if np.isinf(centres).any():
        raise ColloidsError(f"{name} has infinite positions.")
    missing_rows = np.isnan(centres).any(axis=1)
    return particles[~missing_rows].reset_index(drop=True) if missing_rows.any() else particles


def _with_numbers(particles: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return a table whose known columns are numbers, also where they were numbers among other objects."""
    known = [column for column in particles.columns if column in COLUMNS]
    if len(set(known)) < len(known):
        raise ColloidsError(f"{name} has two columns of the same name: {', '.join(known)}.")
    changed = {}
    for column in known:
        values = particles[column]
        try:
            if isinstance(values.dtype, np.dtype) and values.dtype.kind in "mMc":
                raise TypeError
            if not pd.api.types.is_numeric_dtype(values):
                changed[column] = values.to_numpy(dtype=float)
        except (TypeError, ValueError, OverflowError) as error:
            raise ColloidsError(f"{name} has a column '{column}' that should hold numbers but does not.") from error
    particles = particles.assign(**changed) if changed else particles
    frames = particles["frame"].dropna().to_numpy() if "frame" in particles else np.zeros(0)
    if frames.dtype.kind == "f" and not _are_whole(frames):
        raise ColloidsError(f"{name} has a column 'frame' that should hold whole numbers but does not.")
    return particles


def check_one_volume(particles: pd.DataFrame, name: str = "The particle table") -> None:
    """Refuse a table that holds the particles of several frames or channels.

    Raises
    ------
    ColloidsError
        If it does, or a row lacks its frame or channel.
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


def greedy_suppression(pairs: NDArray[np.intp], count: int) -> NDArray[np.bool_]:
    """Greedy suppression: keep each particle unless an earlier kept one conflicts with it.

    Parameters
    ----------
    pairs
        Particles that conflict, shape ``(M, 2)``: the earlier one first.
    count
        Number of particles.

    Returns
    -------
    numpy.ndarray
        Which are kept, shape ``(count,)``.
    """
    kept = [True] * count
    # In the order of the first of each pair: when its turn comes, all that could suppress it have been considered.
    for first, second in pairs[np.argsort(pairs[:, 0])].tolist():
        if kept[first]:
            kept[second] = False
    return np.array(kept, bool)
