"""Areas of the faces, and volume, of convex polyhedra."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@compiled
def face_areas(corners: Array, faces: NDArray[np.intp], count: int) -> Array:
    """Return the areas of the faces of a polyhedron.

    Parameters
    ----------
    corners
        Shape ``(V, 3)``.
    faces
        Of each face the number of its corners, and then these in turn around it.
    count
        Number of faces.
    """
    areas = np.zeros(count)
    place = 0
    for face in range(count):
        first = corners[faces[place + 1]]
        normal = np.zeros(3)
        for k in range(2, faces[place]):
            normal += np.cross(corners[faces[place + k]] - first, corners[faces[place + k + 1]] - first)
        areas[face] = np.sqrt((normal**2).sum()) / 2
        place += faces[place] + 1
    return areas


@compiled
def polyhedron_volume(corners: Array, faces: NDArray[np.intp]) -> float:
    """Return the volume of a convex polyhedron: that of the tetrahedra from its middle to the triangles of its faces.

    Parameters
    ----------
    corners, faces
        As in `face_areas`.
    """
    middle = np.zeros(3)
    for corner in corners:
        middle += corner / len(corners)
    volume = 0.0
    place = 0
    while place < len(faces):
        first = corners[faces[place + 1]] - middle
        for k in range(2, faces[place]):
            one, other = corners[faces[place + k]] - middle, corners[faces[place + k + 1]] - middle
            volume += abs((first * np.cross(one, other)).sum()) / 6
        place += faces[place] + 1
    return volume
