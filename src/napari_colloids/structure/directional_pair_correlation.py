"""Pair correlation function along the optical axis and across it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.settings import check_value
from napari_colloids.structure.frames import frames_of
from napari_colloids.structure.pair_correlation import distance_bins, shell_volumes
from napari_colloids.structure.pair_correlations import pair_correlations
from napari_colloids.structure.pair_counts import PairCounts, count_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import ArrayLike

    from napari_colloids.structure.pair_correlations import PairCorrelations


def directional_pair_correlation(
    particles: pd.DataFrame | ArrayLike,
    *,
    directions: int = 2,
    shape: Sequence[float] | None = None,
    voxel_size: Sequence[float] | None = None,
    diameter: float | None = None,
    cutoff: float | None = None,
    bins: int = 100,
) -> PairCorrelations:
    r"""Return the pair correlation function by the angle between pairs and the optical axis z.

    .. math::

        g(r, \theta) = \frac{1}{\rho N} \left\langle \sum_{i} \sum_{j \neq i}
        \frac{\delta(r - r_{ij})\, \delta(|\cos \theta| - |\cos \theta_{ij}|)}{4 \pi r^2} \right\rangle

    in ranges of :math:`|\cos \theta|` that are equally wide, and so hold equally many pairs of an isotropic sample. In
    such a sample all are the same: where they differ, either it is anisotropic (sediment, shear, strings in an electric
    field), or the height of the voxels is wrong (peaks at other distances), or positions along z are worse than those
    across (lower and wider peaks along z).

    Parameters
    ----------
    particles
        Particle table, or array of shape ``(N, 3)``: z, y, x in voxels. The frames of a time series are averaged.
    directions
        Number of ranges.
    shape, voxel_size, diameter, cutoff, bins
        As in `pair_correlation`.

    Returns
    -------
    PairCorrelations
        From that across (``"|cos| < 0.5"`` of two) to that along z (``"|cos| >= 0.5"``).

    Raises
    ------
    ColloidsError
        As `pair_correlation` does.

    See Also
    --------
    pair_correlation : Of all directions.

    Examples
    --------
    Twice the height of the voxels of a simple cubic crystal takes the next particles along z away:

    >>> import numpy as np
    >>> from napari_colloids.structure import directional_pair_correlation
    >>> crystal = 10.0 * np.indices((8, 8, 8)).reshape(3, -1).T
    >>> found = directional_pair_correlation(
    ...     crystal, shape=(80, 80, 80), voxel_size=(0.2, 0.1, 0.1), cutoff=1.2, bins=12
    ... )
    >>> {name: bool(part.g.any()) for name, part in found.parts.items()}
    {'|cos| < 0.5': True, '|cos| >= 0.5': False}
    """
    check_value("directions", directions, int, low=1, high=100)
    seen = frames_of(particles, shape, voxel_size, "g(r)")
    edges = distance_bins(seen, diameter, cutoff, bins)
    names = _names([f"{cut:.3g}" for cut in np.linspace(0, 1, directions + 1)[1:-1]])
    counts, expected = PairCounts.none(directions, bins), 0.0
    for positions in seen.positions:
        counts = counts.plus(count_pairs(positions, seen.window.edges, edges[-1], bins, directions=directions))
        expected += len(positions) * (len(positions) - 1) / 2 / directions
    of_gas = np.tile(expected * shell_volumes(edges) / seen.window.volume**2, (directions, 1))
    return pair_correlations(names, edges, counts, of_gas, seen.unit)


def _names(cuts: list[str]) -> list[str]:
    if not cuts:
        return ["all directions"]
    middle = [f"{low} <= |cos| < {high}" for low, high in pairwise(cuts)]
    return [f"|cos| < {cuts[0]}", *middle, f"|cos| >= {cuts[-1]}"]
