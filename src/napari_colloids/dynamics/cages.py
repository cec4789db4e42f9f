"""Neighbours of particles in the first shell, and lengths that the structure sets: what motion is measured against."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array, diags_array
from scipy.spatial import cKDTree

from napari_colloids.errors import ColloidsError
from napari_colloids.settings import check_value
from napari_colloids.structure.neighbours import (
    evenly_spread_frames,
    first_minimum,
    neighbour_distance,
    suggest_search_range,
)
from napari_colloids.structure.pair_correlation import pair_correlation
from napari_colloids.structure.scaling import scaling_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

#: End of the first shell over the distance of neighbours, where g(r) is too noisy to show it.
_SHELL_SPACINGS = 1.4


def distance_of_neighbours(tracks: pd.DataFrame, voxel_size: Sequence[float] | None) -> float:
    """Return the first peak of g(r) of a series in lateral voxels; NaN where there is none.

    Where all frames together show none, the first one is looked at alone: particles may have been arranged then.
    """
    distance = neighbour_distance(evenly_spread_frames(tracks), voxel_size=voxel_size)
    if math.isfinite(distance):
        return distance
    return neighbour_distance(tracks[tracks["frame"] == tracks["frame"].min()], voxel_size=voxel_size)


def shell_radius(tracks: pd.DataFrame, voxel_size: Sequence[float] | None, cutoff: float | None) -> float:
    """Return the distance within which particles are neighbours, in the unit of the table.

    Parameters
    ----------
    tracks
        Particle table of a series.
    voxel_size
        Micrometres ``(z, y, x)``, or None.
    cutoff
        What a user has given, in lateral voxels; None takes the first minimum of g(r) or, where that does not show,
        1.4 times the distance of neighbours.

    Raises
    ------
    ColloidsError
        If the cutoff is not positive, or none can be told from the particles.
    """
    check_value("cutoff", cutoff, float | None, unit="px")
    lateral = scaling_of(tracks, voxel_size).lateral
    if cutoff is not None:
        if cutoff <= 0:
            raise ColloidsError("The cutoff of neighbours must be a positive length.")
        return cutoff * lateral
    some = evenly_spread_frames(tracks)
    try:
        correlation = pair_correlation(some, voxel_size=voxel_size)
        radius = first_minimum(correlation.r, correlation.g)
    except ColloidsError:  # all lie in one plane, or alone
        radius = math.nan
    if not math.isfinite(radius):
        with suppress(ColloidsError):  # a single particle
            radius = _SHELL_SPACINGS * 2 * suggest_search_range(some, voxel_size=voxel_size) * lateral
    if not radius > 0:
        raise ColloidsError("The particles do not tell which of them are neighbours: give a cutoff.")
    return radius


def neighbour_matrix(positions: Array, radius: float) -> csr_array:
    """Return which particles are neighbours: a sparse symmetric matrix of ones, shape ``(N, N)``.

    Parameters
    ----------
    positions
        Of the particles of a frame, shape ``(N, 3)``.
    radius
        Distance within which they are neighbours.
    """
    pairs = cKDTree(positions).query_pairs(radius, output_type="ndarray")
    source, target = np.concatenate([pairs, pairs[:, ::-1]]).T
    return csr_array((np.ones(len(source)), (source, target)), shape=(len(positions), len(positions)))


def relative_to_cage(
    displacements: Array, variances: Array | None, neighbours: csr_array
) -> tuple[Array, Array | None, NDArray[np.int64], NDArray[np.int64]]:
    """Return displacements less the mean of those of the neighbours, for the particles that have neighbours.

    Parameters
    ----------
    displacements
        Shape ``(N, 3)``.
    variances
        Of their errors, or None.
    neighbours
        From `neighbour_matrix`, of the same particles.

    Returns
    -------
    relative
        Shape ``(M, 3)``.
    variances
        Of their errors: those of the neighbours add to them.
    rows
        The particles that have neighbours, shape ``(M,)``.
    counts
        How many each of these has.
    """
    counts = np.diff(neighbours.indptr)
    rows = np.flatnonzero(counts)
    share = (diags_array(1 / counts[rows]) @ neighbours[rows]).tocsr()
    relative = displacements[rows] - share @ displacements
    if variances is not None:
        share.data **= 2
        variances = variances[rows] + share @ variances
    return relative, variances, rows, counts[rows].astype(np.int64)
