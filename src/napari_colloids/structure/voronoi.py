"""Voronoi cells of particles in a finite window, and the neighbours that share a face of them.

References
----------
Rycroft, Chaos 19, 041111 (2009): Voro++, which freud computes the cells with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from napari_colloids.particles import greedy_suppression
from napari_colloids.structure.libraries import freud

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_colloids.structure.window import Window

    Array = NDArray[np.float64]

#: Distance of the particles from their periodic images, in mean spacings: cells at a face of the window are wrong
#: whatever it is, those inside do not see it.
_PADDING_SPACINGS = 4.0
#: Part of the surface of a cell that a face has to have for its particles to be neighbours. Of the faces of perfect
#: crystals the smallest has 3.7 % (body-centred cubic); those that noise makes at a vertex are smaller.
_MIN_FACE_FRACTION = 0.01
#: Distance of particles that lie at the same place, in mean spacings, and in the largest edge of the box, which freud
#: has in single precision: Voro++ ends the whole process where two of them share a place.
_COINCIDENT_SPACINGS, _COINCIDENT_EDGES = 1e-4, 1e-5


class VoronoiCells(NamedTuple):
    """Voronoi cells of particles.

    Attributes
    ----------
    volumes
        Shape ``(N,)``; NaN for a particle at the place of an earlier one, which has no cell and no neighbours.
    bonds
        Pairs of neighbours, shape ``(M, 2)``, sorted by the first; each pair is there both ways.
    """

    volumes: Array
    bonds: NDArray[np.intp]


def voronoi_cells(positions: Array, window: Window) -> VoronoiCells:
    """Return the Voronoi cells of particles.

    Neighbours are particles whose cells share a face of at least 1 % of the surface of one of the two: smaller faces
    come and go with the least noise of the positions, as where many cells of a crystal meet at one point.

    Parameters
    ----------
    positions
        Shape ``(N, 3)``.
    window
        That they were seen in. Cells of particles near its faces reach to where particles were not seen, and are wrong.

    Raises
    ------
    ColloidsError
        If freud is not installed.
    """
    volumes = np.full(len(positions), np.nan)
    apart = _apart(positions, (window.volume / max(len(positions), 1)) ** (1 / 3))
    if len(apart) < 2:
        return VoronoiCells(volumes, np.zeros((0, 2), np.intp))
    volumes[apart], bonds = _cells(positions[apart], (window.volume / len(apart)) ** (1 / 3))
    return VoronoiCells(volumes, apart[bonds])


def _apart(positions: Array, spacing: float) -> NDArray[np.intp]:
    """Return the particles that do not lie at the place of an earlier one."""
    if len(positions) < 2:
        return np.arange(len(positions))
    tolerance = max(_COINCIDENT_SPACINGS * spacing, _COINCIDENT_EDGES * float(np.ptp(positions, axis=0).max()))
    pairs = np.sort(cKDTree(positions).query_pairs(tolerance, output_type="ndarray"), axis=1)
    return np.flatnonzero(greedy_suppression(pairs, len(positions)))


def _cells(positions: Array, spacing: float) -> tuple[Array, NDArray[np.intp]]:
    """Return volumes and neighbours of particles that lie apart."""
    count = len(positions)
    middle = (positions.max(axis=0) + positions.min(axis=0)) / 2
    edges = np.ptp(positions, axis=0) + _PADDING_SPACINGS * spacing
    library = freud()
    box = library.box.Box(*edges)
    found = library.locality.Voronoi().compute((box, positions - middle))
    nlist = found.nlist
    bonds = np.column_stack([nlist.query_point_indices, nlist.point_indices]).astype(np.intp)
    areas = np.asarray(nlist.weights, dtype=float)
    surface = np.bincount(bonds[:, 0], areas, minlength=count)
    # Over the padding, particles see their images.
    direct = np.all(np.abs(positions[bonds[:, 0]] - positions[bonds[:, 1]]) <= edges / 2, axis=1)
    shared = direct & (areas >= _MIN_FACE_FRACTION * surface[bonds].min(axis=1))
    return np.asarray(found.volumes, dtype=float), bonds[shared]
