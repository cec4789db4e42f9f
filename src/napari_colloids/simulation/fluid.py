"""Fluid of hard spheres in equilibrium: exact positions to compare a measurement with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.particles import particle_table
from napari_colloids.settings import check_value
from napari_colloids.simulation.arrangement import Composition, arrange
from napari_colloids.simulation.hard_spheres import HardSpheres
from napari_colloids.simulation.parameters import MAX_VOLUME_FRACTION

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

#: Distance that spheres move from their packing, root mean square without neighbours, in diameters: several times that
#: to a neighbour, after which g(r) no longer shows how they were packed.
_STEP_DIAMETERS = 0.7


def hard_sphere_fluid(
    shape: Sequence[float],
    *,
    volume_fraction: float,
    radius: float,
    polydispersity: float = 0.0,
    voxel_aspect: float = 1.0,
    seed: int = 0,
) -> pd.DataFrame:
    """Return the particles of a fluid of hard spheres that are seen in a window.

    Parameters
    ----------
    shape
        Shape ``(z, y, x)`` of the window in voxels.
    volume_fraction
        Of the spheres.
    radius
        Mean radius in lateral voxels.
    polydispersity
        Standard deviation of the radius over its mean.
    voxel_aspect
        Height of a voxel over its width.
    seed
        For repeatable results.

    Returns
    -------
    pandas.DataFrame
        Particle table: ``z, y, x`` in voxels, ``radius`` in lateral voxels.

    Raises
    ------
    ColloidsError
        If a number is out of range, or the spheres cannot be packed as densely.

    See Also
    --------
    simulate : Makes an image, too.

    Notes
    -----
    Spheres are packed in a larger periodic box (Lubachevsky and Stillinger), and move by small random steps until they
    have forgotten it. Above a volume fraction of 0.55 or so they do not forget: what comes is a glass, which depends on
    how it was made.

    Examples
    --------
    >>> from napari_colloids.simulation import hard_sphere_fluid
    >>> fluid = hard_sphere_fluid((40, 40, 40), volume_fraction=0.3, radius=3)
    >>> print(f"{len(fluid) * 4 / 3 * 3.1416 * 3**3 / 40**3:.1f}")
    0.3
    """
    check_value("shape", tuple(shape), tuple[float, float, float], low=1, unit="voxels")
    check_value("volume_fraction", volume_fraction, float, low=0, high=MAX_VOLUME_FRACTION)
    check_value("radius", radius, float, low=0.1)
    check_value("polydispersity", polydispersity, float, low=0, high=0.5)
    check_value("voxel_aspect", voxel_aspect, float, low=0.01)
    rng = np.random.default_rng(seed)
    aspect = np.array([voxel_aspect, 1.0, 1.0])
    window = np.asarray(shape, dtype=float) * aspect
    # A window of a larger sample, as in a microscope, in which the number of particles differs.
    z, y, x = window + 4 * radius
    spheres = HardSpheres(arrange("random", (z, y, x), Composition(volume_fraction, radius, polydispersity), rng))
    spheres.move(_STEP_DIAMETERS * 2 * radius, rng)
    moved = spheres.arrangement()
    inside = np.all(moved.positions < window, axis=1)
    return particle_table(moved.positions[inside] / aspect - 0.5, radius=moved.radii[inside])
