"""Voronoi and Laguerre cells of particles in a finite window, and the neighbours that share a face of them.

References
----------
Rycroft, Chaos 19, 041111 (2009): Voro++, which freud and multivoro compute the cells with.
Imai, Iri and Murota, SIAM J. Comput. 14, 93 (1985): the Voronoi diagram in the Laguerre geometry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from napari_colloids.errors import ColloidsError
from napari_colloids.particles import greedy_suppression
from napari_colloids.structure.libraries import freud, multivoro
from napari_colloids.structure.polyhedra import face_areas, polyhedron_volume

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
    """Voronoi or Laguerre cells of particles.

    Attributes
    ----------
    volumes
        Shape ``(N,)``; NaN for a particle at the place of an earlier one, and for one within a far larger one, which
        have no cell and no neighbours.
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


def laguerre_cells(positions: Array, radii: Array, window: Window) -> VoronoiCells:
    r"""Return the Laguerre cells (radical Voronoi cells, power diagram) of particles.

    The cell of a sphere has the points :math:`\mathbf r` whose power :math:`|\mathbf r - \mathbf r_i|^2 - R_i^2` is
    least for it, so that the face between two spheres lies where they touch, whatever their sizes. Of equal spheres
    they are the Voronoi cells. Neighbours are those of `voronoi_cells`.

    Parameters
    ----------
    positions
        Shape ``(N, 3)``.
    radii
        Shape ``(N,)``, in the unit of the positions.
    window
        That they were seen in.

    Raises
    ------
    ColloidsError
        If multivoro is not installed, or a radius is unknown.

    Examples
    --------
    A large sphere takes more of the space between two than a small one:

    >>> import numpy as np
    >>> from napari_colloids.structure import laguerre_cells
    >>> from napari_colloids.structure.window import Window
    >>> places = np.array([[5.0, 5.0, 2.0], [5.0, 5.0, 8.0]])
    >>> cells = laguerre_cells(places, np.array([1.0, 3.0]), Window(np.zeros(3), np.full(3, 10.0)))
    >>> bool(cells.volumes[1] > cells.volumes[0])
    True
    """
    volumes = np.full(len(positions), np.nan)
    if not np.isfinite(radii).all():
        raise ColloidsError("Laguerre cells need the radius of every particle: give a diameter, or take Voronoi cells.")
    spacing = (window.volume / max(len(positions), 1)) ** (1 / 3)
    apart = _apart(positions, spacing)
    if len(apart) < 2:
        return VoronoiCells(volumes, np.zeros((0, 2), np.intp))
    volumes[apart], bonds = _weighted_cells(positions[apart], radii[apart], spacing)
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
    surface = np.asarray(np.bincount(bonds[:, 0], areas, minlength=count), dtype=float)
    # Over the padding, particles see their images.
    direct = np.all(np.abs(positions[bonds[:, 0]] - positions[bonds[:, 1]]) <= edges / 2, axis=1)
    return np.asarray(found.volumes, dtype=float), bonds[direct & _are_shared(bonds, areas, surface)]


def _are_shared(bonds: NDArray[np.intp], areas: Array, surface: Array) -> NDArray[np.bool_]:
    """Whether the face of a bond is large enough for its particles to be neighbours."""
    return np.asarray(areas >= _MIN_FACE_FRACTION * surface[bonds].min(axis=1))


def _weighted_cells(positions: Array, radii: Array, spacing: float) -> tuple[Array, NDArray[np.intp]]:
    """Return volumes and neighbours of spheres that lie apart, between walls beyond them."""
    beyond = _PADDING_SPACINGS / 2 * spacing
    limits = np.array([positions.min(axis=0) - beyond, positions.max(axis=0) + beyond])
    cells = multivoro().compute_voronoi(positions, limits=limits, radii=radii)
    volumes, surface = np.full(len(cells), np.nan), np.zeros(len(cells))
    pairs, sizes = [np.zeros((0, 2), np.intp)], [np.zeros(0)]
    for number, cell in enumerate(cells):
        if not cell.is_successful:
            continue
        corners, faces = cell.get_vertices(), np.asarray(cell.get_face_vertices(), np.intp)
        others = np.asarray(cell.get_neighbors(), np.intp)
        areas = face_areas(corners, faces, len(others))
        volumes[number], surface[number] = polyhedron_volume(corners, faces), areas.sum()
        between = others >= 0  # the walls have negative numbers
        pairs.append(np.column_stack([np.full(between.sum(), number), others[between]]))
        sizes.append(areas[between])
    bonds = np.concatenate(pairs)
    shared = bonds[_are_shared(bonds, np.concatenate(sizes), surface)]
    # A face next to nothing may be there in one of its cells only.
    return volumes, np.unique(np.concatenate([shared, shared[:, ::-1]]), axis=0)
