"""A simulated fluid of hard spheres like a sample, to be measured beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_colloids.errors import ColloidsError
from napari_colloids.simulation import hard_sphere_fluid
from napari_colloids.structure.scaling import scaling_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from napari_colloids.structure import Structure


def fluid_like(sample: Structure, shape: Sequence[float] | None, *, seed: int = 0) -> pd.DataFrame:
    """Return a hard-sphere fluid of the volume fraction and the sizes of a sample.

    Measured with the errors of the sample, it tells what of the structure of the sample these errors make
    (`napari_colloids.structure.iter_simulation_comparison`).

    Parameters
    ----------
    sample
        Structure of the sample.
    shape
        Shape ``(z, y, x)`` of the window in voxels of the sample.
    seed
        For repeatable results.

    Returns
    -------
    pandas.DataFrame
        Particle table in the voxels of the sample.

    Raises
    ------
    ColloidsError
        If the window or the volume fraction is unknown.

    Examples
    --------
    >>> import napari_colloids as nc
    >>> from napari_colloids.assessment.fluid_like import fluid_like
    >>> from napari_colloids.simulation import hard_sphere_fluid
    >>> sample = hard_sphere_fluid((60, 60, 60), volume_fraction=0.3, radius=4, seed=1)
    >>> fluid = fluid_like(nc.measure_structure(sample, shape=(60, 60, 60), bands=False), (60, 60, 60))
    >>> abs(len(fluid) / len(sample) - 1) < 0.1
    True
    """
    if shape is None:
        raise ColloidsError("A fluid like the sample needs the shape of the window: give the shape of the stack.")
    if sample.volume_fraction is None:
        raise ColloidsError("A fluid like the sample needs its volume fraction: radii are missing, give a diameter.")
    scaling = scaling_of(sample.particles)
    radii = sample.particles["radius"].dropna() if "radius" in sample.particles else None
    return hard_sphere_fluid(
        shape,
        volume_fraction=sample.volume_fraction.value,
        radius=sample.diameter / 2 / scaling.lateral,
        polydispersity=0.0 if radii is None or len(radii) < 2 else float(radii.std() / radii.mean()),
        voxel_aspect=float(scaling.aspect[0]),
        seed=seed,
    )
