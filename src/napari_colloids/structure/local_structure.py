"""Local structure: what the neighbours of each particle decide, as columns of its table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.particles import positions_of
from napari_colloids.progress import Progress, result_of
from napari_colloids.settings import changed, takes_settings
from napari_colloids.structure.bond_order import bond_order, nearest_bonds, tetrahedrality
from napari_colloids.structure.frames import frames_of, rows_by_frame
from napari_colloids.structure.inputs import checked_particles
from napari_colloids.structure.neighbours import neighbour_distance
from napari_colloids.structure.settings import StructureSettings
from napari_colloids.structure.voronoi import laguerre_cells, voronoi_cells

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from typing import Unpack

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from napari_colloids.structure.settings import StructureChanges
    from napari_colloids.structure.window import Window

    Array = NDArray[np.float64]

#: Distance from the faces of the window, in mean spacings and at least in diameters, from which averaged bond order is
#: that of the bulk: it takes the neighbours of the neighbours.
_INTERIOR_SPACINGS, _INTERIOR_DIAMETERS = 3.0, 2.5
#: The same for Voronoi cells.
_VORONOI_SPACINGS, _VORONOI_DIAMETERS = 1.75, 1.5
#: Columns that are added.
LOCAL_COLUMNS = (
    *("neighbours", "q4", "q6", "w6", "q4_averaged", "q6_averaged", "solid_bonds", "crystalline", "tetrahedrality"),
    *("voronoi_volume", "local_volume_fraction", "interior"),
)
_WHOLE = ("neighbours", "solid_bonds", "crystalline", "interior")


@takes_settings(StructureSettings)
def local_structure(
    particles: pd.DataFrame | ArrayLike,
    *,
    shape: Sequence[float] | None = None,
    voxel_size: Sequence[float] | None = None,
    progress: Callable[[int, int], None] | None = None,
    **settings: Unpack[StructureChanges],
) -> pd.DataFrame:
    r"""Return bond order, Voronoi volume and local volume fraction of each particle, and where they are to be trusted.

    Parameters
    ----------
    particles
        Particle table, or array of shape ``(N, 3)``: z, y, x in voxels. Frames and channels are each on their own.
    shape
        Shape ``(z, y, x)`` of the stack in voxels; None takes the box that the particles fill.
    voxel_size
        Micrometres ``(z, y, x)``; None takes what the table's columns in micrometres imply.
    progress
        Called with the number of steps done and their total.
    {settings}

    Returns
    -------
    pandas.DataFrame
        The table, with the columns ``neighbours`` (their number), ``q4``, ``q6``, ``w6``, ``q4_averaged``,
        ``q6_averaged``, ``solid_bonds`` (their number), ``crystalline`` (1 where seven of twelve bonds are solid),
        ``tetrahedrality``, ``voronoi_volume`` (of the Voronoi or Laguerre cell; cubic micrometres where the voxel size
        is known, else cubic lateral voxels), ``local_volume_fraction`` (volume of the particle over that of its cell;
        NaN without a radius) and ``interior``: 1 at least 3 mean spacings and 2.5 diameters inside all faces, where all
        these are those of the bulk, else 0: do not use them there. ``attrs["unit"]`` is ``"um"`` or ``"px"``.

    Raises
    ------
    ColloidsError
        If freud, or for Laguerre cells multivoro, is not installed, no frame has two particles, or a setting cannot be
        used.

    See Also
    --------
    pair_correlation, structure_factor : Structure as an average over all pairs.

    References
    ----------
    .. [1] Steinhardt, Nelson and Ronchetti, "Bond-orientational order in liquids and glasses", Phys. Rev. B 28, 784
       (1983).
    .. [2] Lechner and Dellago, "Accurate determination of crystal structures based on averaged local bond order
       parameters", J. Chem. Phys. 129, 114707 (2008).

    Examples
    --------
    A body-centred cubic crystal:

    >>> import numpy as np
    >>> from napari_colloids.structure import local_structure
    >>> corners = 10.0 * np.indices((8, 8, 8)).reshape(3, -1).T
    >>> crystal = np.concatenate([corners, corners + 5])
    >>> table = local_structure(crystal, shape=(80, 80, 80), diameter=8)
    >>> inside = table[table["interior"] == 1]
    >>> inside[["neighbours", "q6", "voronoi_volume"]].round(3).drop_duplicates().to_dict("records")
    [{'neighbours': 14, 'q6': 0.511, 'voronoi_volume': 500.0}]
    """
    return result_of(iter_local_structure(particles, shape=shape, voxel_size=voxel_size, **settings), progress)


@takes_settings(StructureSettings)
def iter_local_structure(
    particles: pd.DataFrame | ArrayLike,
    *,
    shape: Sequence[float] | None = None,
    voxel_size: Sequence[float] | None = None,
    **settings: Unpack[StructureChanges],
) -> Generator[Progress, None, pd.DataFrame]:
    """Compute the local structure in steps, for worker threads; closing the generator cancels.

    Parameters
    ----------
    particles, shape, voxel_size
        As in `local_structure`.
    {settings}

    Yields
    ------
    Progress
        Before each frame.

    Returns
    -------
    pandas.DataFrame
        As that of `local_structure`.

    Raises
    ------
    ColloidsError
        As `local_structure` does.
    """
    how = changed(StructureSettings(), settings, "setting of the structure")
    table = checked_particles(particles)
    seen = frames_of(table, shape, voxel_size, "Local structure")
    lateral = seen.scaling.lateral
    radii = _radii(table, how.diameter)
    size = mean_diameter(table, how.diameter, voxel_size) * lateral
    columns = {name: np.full(len(table), np.nan) for name in LOCAL_COLUMNS}
    groups = rows_by_frame(table)
    for number, rows in enumerate(groups):
        yield Progress(number, len(groups), "bond order and Voronoi cells")
        positions = positions_of(table.iloc[rows]) * seen.scaling.scale
        # Particles that lie together follow each other, so that blocks of them have most of their neighbours.
        order = np.argsort(positions[:, np.argmax(np.ptp(positions, axis=0))], kind="stable")
        rows, positions = rows[order], positions[order]
        sizes = radii[rows] * lateral
        made = _of_frame(positions, sizes, seen.window, how, size)
        made["local_volume_fraction"] = 4 / 3 * np.pi * sizes**3 / made["voronoi_volume"]
        for name, values in made.items():
            columns[name][rows] = values
    result = table.assign(**{name: _typed(name, columns[name]) for name in LOCAL_COLUMNS})
    result.attrs = {**table.attrs, "unit": seen.unit}
    return result


def interior_margin(window: Window, count: int, diameter: float, *, cells: bool = False) -> float:
    """Return how far inside the window bond order, or Voronoi cells alone, are those of the bulk.

    Parameters
    ----------
    window, count, diameter
        Window, number of particles in it, and their diameter (NaN where it is unknown) in its unit.
    cells
        Whether only Voronoi cells are meant.
    """
    spacings, diameters = (
        (_VORONOI_SPACINGS, _VORONOI_DIAMETERS) if cells else (_INTERIOR_SPACINGS, _INTERIOR_DIAMETERS)
    )
    return float(np.nanmax([spacings * (window.volume / count) ** (1 / 3), diameters * diameter]))


def mean_diameter(table: pd.DataFrame, diameter: float | None, voxel_size: Sequence[float] | None) -> float:
    """Return the mean diameter of particles in lateral voxels: given, of their radii, or the distance of neighbours.

    NaN where there is none of these.
    """
    if diameter is not None:
        return diameter
    radii = _radii(table, None)
    known = radii[np.isfinite(radii)]
    return 2 * float(known.mean()) if len(known) else neighbour_distance(table, voxel_size=voxel_size)


def _radii(table: pd.DataFrame, diameter: float | None) -> Array:
    """Return the radii in lateral voxels; NaN where they are unknown."""
    if diameter is not None:
        return np.full(len(table), diameter / 2)
    return table["radius"].to_numpy(dtype=float) if "radius" in table else np.full(len(table), np.nan)


def _of_frame(
    positions: Array, radii: Array, window: Window, how: StructureSettings, diameter: float
) -> dict[str, Array]:
    """Return the columns of one frame, but for the local volume fraction; all lengths in the unit of the positions."""
    cells = laguerre_cells(positions, radii, window) if how.laguerre else voronoi_cells(positions, window)
    bonds = cells.bonds if how.neighbours is None else nearest_bonds(positions, how.neighbours)
    return {
        **bond_order(positions, bonds),
        "tetrahedrality": tetrahedrality(positions),
        "voronoi_volume": cells.volumes,
        "interior": (window.depths(positions) >= interior_margin(window, len(positions), diameter)).astype(float),
    }


def _typed(name: str, values: Array) -> Array | NDArray[np.int_]:
    return values.astype(int) if name in _WHOLE else values
