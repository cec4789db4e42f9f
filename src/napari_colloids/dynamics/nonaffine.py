"""Non-affine motion: what a uniform deformation of a particle's surroundings leaves unexplained.

References
----------
Falk and Langer, Phys. Rev. E 57, 7192 (1998).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from napari_colloids.dynamics.cages import neighbour_matrix, shell_radius
from napari_colloids.dynamics.tracks import checked_tracks
from napari_colloids.errors import ColloidsError
from napari_colloids.settings import check_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    Array = NDArray[np.float64]

#: Particles whose bonds are in memory at a time.
_BLOCK_PARTICLES = 20_000
#: Neighbours that a deformation needs; three are always explained.
_MIN_NEIGHBOURS = 4
#: Smallest spread of the neighbours over the largest, squared: others lie in one plane.
_MIN_SPREAD = 1e-6


def nonaffine_displacement(
    tracks: pd.DataFrame,
    first: int,
    second: int,
    *,
    cutoff: float | None = None,
    errors: Sequence[float] | None = None,
    voxel_size: Sequence[float] | None = None,
) -> pd.DataFrame:
    r"""Return the non-affine displacement :math:`D^2_\mathrm{min}` [1]_ of each particle between two frames.

    .. math::

        D^2_{\mathrm{min}, i} = \min_{\mathbf{F}_i} \sum_j
        \left| \mathbf{d}_{ij}(t_2) - \mathbf{F}_i \, \mathbf{d}_{ij}(t_1) \right|^2

    with the vectors :math:`\mathbf{d}_{ij}` from the particle to those in its first shell at :math:`t_1`.

    Parameters
    ----------
    tracks
        Particle table with ``frame`` and ``particle``, as `link` returns it. Neighbours are of all channels.
    first, second
        The frames :math:`t_1` and :math:`t_2`.
    cutoff
        Distance within which particles are neighbours, in lateral voxels; None takes the first minimum of g(r).
    errors
        Standard errors of a position along z, y, x in voxels, of all particles; None takes those of the table.
    voxel_size
        Micrometres ``(z, y, x)``; None takes what the table's columns in micrometres imply.

    Returns
    -------
    pandas.DataFrame
        One row for each particle that is in both frames: ``particle``; ``d2min``; ``d2min_errors``, the part of it that
        localisation errors are expected to make (where they are known); ``strain``, the von Mises strain of the best
        deformation; ``neighbours``. Lengths are squared in ``attrs["unit"]``: ``"um"`` or ``"px"`` (lateral voxels).
        Values are NaN with fewer than four neighbours, or where these lie in one plane.

    Raises
    ------
    ColloidsError
        If the table is not linked, a frame has no particles, or an argument makes no sense.

    See Also
    --------
    cage_relative_displacements : Subtracts the mean motion of the neighbours only.

    Notes
    -----
    :math:`D^2_\mathrm{min}` is a sum over the neighbours, as in [1]_: divide it by ``neighbours`` to compare particles
    with different numbers of them. The expected part of the errors counts those of the displacements, in which the
    three coefficients of each axis fit some: with the hat matrix :math:`\mathbf{H}` of the fit, it is
    :math:`\sum_a \sum_j s_{ja}^2 (1 - H_{jj}) + s_{ia}^2 \sum_{jk} (1 - H)_{jk}`. Those of the vectors at :math:`t_1`
    matter with large strains only, and are neglected. The strain is
    :math:`\sqrt{\tfrac{1}{2} \mathrm{tr}(\mathbf{E}'^2)}` of the deviator of the strain
    :math:`\mathbf{E} = \tfrac{1}{2} (\mathbf{F}^T \mathbf{F} - 1)`: :math:`\gamma / 2` for a small shear
    :math:`\gamma`.

    References
    ----------
    .. [1] Falk and Langer, "Dynamics of viscoplastic deformation in amorphous solids", Phys. Rev. E 57, 7192 (1998).

    Examples
    --------
    A crystal in simple shear by 10 %, in which one particle has moved by itself:

    >>> import numpy as np
    >>> from napari_colloids import particle_table
    >>> from napari_colloids.dynamics import nonaffine_displacement
    >>> before = 10.0 * np.indices((5, 5, 5)).reshape(3, -1).T
    >>> after = before + [0, 0, 0.1] * before[:, :1]
    >>> after[62] += [0, 2, 0]
    >>> tracks = particle_table(
    ...     np.concatenate([before, after]), frame=np.repeat([0, 1], 125), particle=np.tile(np.arange(125), 2)
    ... )
    >>> found = nonaffine_displacement(tracks, 0, 1, cutoff=12)
    >>> print(found.loc[[62, 61, 37], ["d2min", "strain"]].round(2).to_string())
        d2min  strain
    62   24.0    0.05
    61    2.0    0.07
    37    2.0    0.07
    """
    for name, value in (("first", first), ("second", second)):
        check_value(name, value, int)
    moving = checked_tracks(tracks, voxel_size=voxel_size, errors=errors)
    for frame in (first, second):
        if frame not in moving.frames:
            raise ColloidsError(f"Frame {frame} has no particles: give two frames that have some.")
    shell = shell_radius(tracks, voxel_size, cutoff)
    start, end = np.searchsorted(moving.frames, (first, second)).tolist()
    here, there = moving.common(start, end)
    before, after = moving.positions[here], moving.positions[there]
    neighbours = neighbour_matrix(before, shell)
    blur, later = moving.variances_at(here), moving.variances_at(there)
    variances = None if blur is None or later is None else blur + later
    parts = [
        _fitted(before, after, variances, neighbours, range(low, min(low + _BLOCK_PARTICLES, len(here))))
        for low in range(0, len(here), _BLOCK_PARTICLES)
    ]
    d2min, noise, strain = np.concatenate([*parts, np.empty((3, 0))], axis=1)
    table = pd.DataFrame({"particle": moving.labels[here], "d2min": d2min, "d2min_errors": noise, "strain": strain})
    table["neighbours"] = np.diff(neighbours.indptr)
    if variances is None:
        del table["d2min_errors"]
    table.attrs |= {"unit": moving.scaling.unit, "cutoff": shell}
    return table


def _fitted(before: Array, after: Array, variances: Array | None, neighbours: csr_array, block: range) -> Array:
    """Return misfit, its part from errors, and von Mises strain of the particles of a block, shape ``(3, N)``."""
    rows = neighbours[block.start : block.stop]
    counts = np.diff(rows.indptr)
    owner = np.repeat(np.arange(len(block)), counts)
    centre = owner + block.start
    old, new = before[rows.indices] - before[centre], after[rows.indices] - after[centre]

    def summed(values: Array) -> Array:
        """Sum over the bonds of each particle, along the first axis."""
        flat = values.reshape(len(values), int(np.prod(values.shape[1:])))
        columns = [np.bincount(owner, weights=column, minlength=len(block)) for column in flat.T]
        return np.stack(columns, axis=1, dtype=np.float64).reshape(len(block), *values.shape[1:])

    spread = summed(old[:, :, None] * old[:, None, :])
    edges = np.linalg.eigvalsh(spread)
    good = (counts >= _MIN_NEIGHBOURS) & (edges[:, 0] > _MIN_SPREAD * edges[:, 2])
    inverse = np.linalg.inv(np.where(good[:, None, None], spread, np.eye(3)))
    deformation = summed(new[:, :, None] * old[:, None, :]) @ inverse
    misfit = summed(np.sum((new - np.einsum("nij,nj->ni", deformation[owner], old)) ** 2, axis=1)[:, None])[:, 0]
    noise = np.full(len(block), np.nan)
    if variances is not None:
        leverage = np.einsum("ni,nij,nj->n", old, inverse[owner], old)
        own = counts - np.einsum("ni,nij,nj->n", *(summed(old), inverse, summed(old)))
        noise = summed(((1 - leverage) * variances[rows.indices].sum(axis=1))[:, None])[:, 0]
        noise += own * variances[block.start : block.stop].sum(axis=1)
    strain: Array = (np.swapaxes(deformation, 1, 2) @ deformation - np.eye(3)) / 2
    deviator = strain - np.trace(strain, axis1=1, axis2=2)[:, None, None] / 3 * np.eye(3)
    shear = np.sqrt(np.sum(deviator**2, axis=(1, 2)) / 2)
    return np.asarray(np.where(good, np.stack([misfit, noise, shear]), np.nan), dtype=np.float64)
