"""Intensity of each particle: its mean grey level above the background around it, in every channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.errors import ColloidsError, UnusableVolumeError
from napari_colloids.particles import INTENSITY_CHANNELS, check_one_volume, check_particles, positions_of
from napari_colloids.stack import as_stack, proportions_of
from napari_colloids.volumes import read_box, recorded_slices

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from napari_colloids.stack import Stack, VoxelSize
    from napari_colloids.volumes import Volume

    Array = NDArray[np.float64]

#: Outer radius of the shell in which the background is measured, in radii of the particle.
_SHELL_RADII = 2.0
#: Voxels of the shell outside of all particles that a background needs at least.
_MIN_SHELL_VOXELS = 10
#: Slices that are measured at a time.
_SLAB_SLICES = 64


def intensities(stack: Stack | ArrayLike, particles: pd.DataFrame, *, frame: int = 0, channel: int = 0) -> pd.DataFrame:
    r"""Measure the intensity of particles above their background.

    The intensity of particle :math:`k` is the mean grey level :math:`I` in its sphere less that of its background,

    .. math::

        A_k = \langle I(\mathbf r) \rangle_{|\mathbf r - \mathbf r_k| < R_k}
        - \operatorname{median}\, I(\mathbf r)_{R_k < |\mathbf r - \mathbf r_k| < 2 R_k}

    where the second term leaves out voxels in other particles. Where fewer than ten are left, it is the median of all
    voxels outside particles in the slices around. Blur spreads light beyond the sphere, so that intensities are
    comparable among particles of one size; dark particles have negative ones.

    Parameters
    ----------
    stack
        A `Stack`, or an array ``(z, y, x)``.
    particles
        Particle table of one volume: ``z, y, x`` in voxels and ``radius`` in lateral voxels.
    frame, channel
        Which volume they were found in.

    Returns
    -------
    pandas.DataFrame
        The table with the columns ``intensity``, of the channel in which the particles were found, and, where there are
        several channels, ``intensity_0``, ``intensity_1``, ...: of each of the first sixteen. In grey levels; NaN where
        nothing of a sphere was recorded, or another channel cannot be read.

    Raises
    ------
    ColloidsError
        If there is no such frame or channel, the table is of several volumes, or the radii are unknown.

    See Also
    --------
    detect : measures them with ``intensity=True``.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_colloids as nc
    >>> image = np.full((9, 9, 9), 10.0)
    >>> z, y, x = np.ogrid[:9, :9, :9]
    >>> image[(z - 4) ** 2 + (y - 4) ** 2 + (x - 4) ** 2 <= 4] = 60
    >>> nc.intensities(image, nc.particle_table([(4, 4, 4)], radius=2))["intensity"].tolist()
    [50.0]
    """
    stack = as_stack(stack)
    table = check_particles(particles).copy()
    table.attrs = dict(particles.attrs)
    check_one_volume(table)
    if "radius" not in table or not (table["radius"] > 0).all():
        raise ColloidsError("To measure intensities the radius of each particle is needed: a column 'radius' (px).")
    positions, radii = positions_of(table), table["radius"].to_numpy(dtype=float)
    proportions = proportions_of(stack.voxel_size)
    names = {channel: ["intensity"]}
    if stack.n_channels > 1:
        for number in range(min(stack.n_channels, INTENSITY_CHANNELS)):
            names.setdefault(number, []).append(f"intensity_{number}")
    for number, columns in names.items():
        try:
            values = _measured(stack.volume(frame, number), positions, radii, proportions)
        except UnusableVolumeError:
            if number == channel:
                raise
            values = np.full(len(table), np.nan)
        for column in columns:
            table[column] = values
    return table


def _measured(volume: Volume, positions: Array, radii: Array, proportions: VoxelSize) -> Array:
    """Return the intensity of each particle in one volume, a slab of slices at a time."""
    found = np.full(len(radii), np.nan)
    recorded = recorded_slices(volume)
    depth = len(recorded)
    reach = int(np.ceil(_SHELL_RADII * radii.max(initial=0) / proportions[0])) + 1
    slab_of = np.clip(np.rint(positions[:, 0]).astype(int), 0, depth - 1) // _SLAB_SLICES
    for slab in np.unique(slab_of):
        first = max(int(slab) * _SLAB_SLICES - reach, 0)
        last = min((int(slab) + 1) * _SLAB_SLICES + reach, depth)
        image = read_box(volume, (slice(first, last), slice(None), slice(None))).astype(np.float32)
        image[~recorded[first:last]] = np.nan
        here = positions - [first, 0, 0]
        near = np.flatnonzero((here[:, 0] > -reach) & (here[:, 0] < last - first + reach))
        outside = np.ones(image.shape, bool)
        for k in near:
            box, squared = _sphere(here[k], radii[k], image.shape, proportions)
            outside[box] &= squared > radii[k] ** 2
        typical = float(np.nanmedian(image[outside])) if np.isfinite(image[outside]).any() else np.nan
        for k in np.flatnonzero(slab_of == slab):
            found[k] = _above_background(image, outside, here[k], radii[k], proportions, typical)
    return found


def _above_background(
    image: NDArray[np.float32],
    outside: NDArray[np.bool_],
    centre: Array,
    radius: float,
    proportions: VoxelSize,
    typical: float,
) -> float:
    """Return the mean in a sphere less the median of what is `outside` of all particles in the shell around it."""
    box, squared = _sphere(centre, _SHELL_RADII * radius, image.shape, proportions)
    part = image[box]
    inner = part[squared <= max(radius, 0.5) ** 2]
    inner = inner[np.isfinite(inner)]
    if not len(inner):
        return np.nan
    shell = part[outside[box] & (squared <= (_SHELL_RADII * radius) ** 2)]
    shell = shell[np.isfinite(shell)]
    background = float(np.median(shell)) if len(shell) >= _MIN_SHELL_VOXELS else typical
    return float(inner.mean(dtype=float)) - background


def _sphere(
    centre: Array, radius: float, shape: tuple[int, ...], proportions: VoxelSize
) -> tuple[tuple[slice, ...], Array]:
    """Return the box around a sphere and the squared distances of its voxels from the centre, in lateral voxels."""
    box, squared = [], np.zeros((1, 1, 1))
    for axis, (middle, length, edge) in enumerate(zip(centre, shape, proportions, strict=True)):
        first = int(np.clip(np.floor(middle - radius / edge), 0, length))
        last = int(np.clip(np.ceil(middle + radius / edge) + 1, first, length))
        box.append(slice(first, last))
        along = (np.arange(first, last) - middle) * edge
        squared = squared + along.reshape([-1 if k == axis else 1 for k in range(3)]) ** 2
    return tuple(box), squared
