"""Partial pair correlation functions: of classes of particles, as species or sizes."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from napari_colloids.errors import ColloidsError, brief
from napari_colloids.structure.frames import frames_of, rows_by_frame
from napari_colloids.structure.inputs import checked_particles, require_columns
from napari_colloids.structure.pair_correlation import distance_bins, shell_volumes
from napari_colloids.structure.pair_correlations import pair_correlations
from napari_colloids.structure.pair_counts import PairCounts, count_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_colloids.structure.pair_correlations import PairCorrelations

#: Different values of a column up to which each is a class; more are cut into classes.
_MAX_VALUES = 5


def partial_pair_correlation(
    particles: pd.DataFrame,
    by: str,
    *,
    boundaries: Sequence[float] | None = None,
    shape: Sequence[float] | None = None,
    voxel_size: Sequence[float] | None = None,
    diameter: float | None = None,
    cutoff: float | None = None,
    bins: int = 100,
) -> PairCorrelations:
    r"""Return the partial pair correlation functions of classes of particles.

    .. math::

        g_{ab}(r) = \frac{V}{N_a N_b} \left\langle \sum_{i \in a} \sum_{j \in b,\; j \neq i}
        \frac{\delta(r - |\mathbf{r}_j - \mathbf{r}_i|)}{4 \pi r^2} \right\rangle

    with :math:`N_a (N_a - 1)` pairs within a class. Faces are corrected for as in `pair_correlation`, of which the
    partial ones are the parts: :math:`g = \sum_{ab} x_a x_b g_{ab}` with the fractions :math:`x_a` of the classes.

    Parameters
    ----------
    particles
        Particle table. Frames are averaged; channels lie in the same sample.
    by
        Column that tells the classes, as ``"channel"`` or ``"radius"``.
    boundaries
        Values of the column between classes, ascending. None makes a class of each value where there are five at most,
        else two with as many particles each.
    shape, voxel_size, diameter, cutoff, bins
        As in `pair_correlation`.

    Returns
    -------
    PairCorrelations
        Named as ``"channel 0 - channel 1"``, ``"radius < 5 - radius >= 5"``.

    Raises
    ------
    ColloidsError
        If the column is missing or has no values, boundaries do not ascend or belong to no numbers, or as in
        `pair_correlation`.

    See Also
    --------
    pair_correlation : Of all particles.
    directional_pair_correlation : Along z and across.

    References
    ----------
    .. [1] Hansen and McDonald, Theory of Simple Liquids, 4th ed. (Academic Press, 2013), section 4.1.

    Examples
    --------
    A crystal of the structure of caesium chloride has the other kind next to each particle:

    >>> import numpy as np
    >>> from napari_colloids.particles import particle_table
    >>> from napari_colloids.structure import partial_pair_correlation
    >>> corners = 10.0 * np.indices((6, 6, 6)).reshape(3, -1).T
    >>> table = particle_table(np.concatenate([corners, corners + 5]), channel=np.repeat([0, 1], 216))
    >>> found = partial_pair_correlation(table, "channel", shape=(60, 60, 60), cutoff=11, bins=11)
    >>> for name, part in found.parts.items():
    ...     print(name, part.r[np.argmax(part.g)])
    channel 0 - channel 0 10.5
    channel 0 - channel 1 8.5
    channel 1 - channel 1 10.5
    """
    table = checked_particles(particles)
    require_columns(table, [by], "give one that tells the classes, as 'channel' or 'radius'.")
    labels, names = _classes(table[by], by, boundaries)
    table = table[labels >= 0].drop(columns="channel", errors="ignore")
    labels = labels[labels >= 0]
    seen = frames_of(table, shape, voxel_size, "g(r)")
    edges = distance_bins(seen, diameter, cutoff, bins)
    first, second = np.triu_indices(len(names))
    parts = np.zeros((len(names),) * 2, np.intp)
    parts[first, second] = parts[second, first] = np.arange(len(first))
    counts, expected = PairCounts.none(len(first), bins), np.zeros(len(first))
    for rows, positions in zip((rows for rows in rows_by_frame(table) if len(rows) > 1), seen.positions, strict=True):
        kinds = labels[rows]
        counts = counts.plus(count_pairs(positions, seen.window.edges, edges[-1], bins, kinds=kinds, parts=parts))
        many = np.bincount(kinds, minlength=len(names)).astype(float)
        expected += np.where(first == second, many[first] * (many[first] - 1) / 2, many[first] * many[second])
    return pair_correlations(
        [f"{names[a]} - {names[b]}" for a, b in zip(first, second, strict=True)],
        edges,
        counts,
        np.outer(expected, shell_volumes(edges)) / seen.window.volume**2,
        seen.unit,
    )


def _classes(column: pd.Series, by: str, boundaries: Sequence[float] | None) -> tuple[NDArray[np.intp], list[str]]:
    """Return the number of the class of each particle, -1 where its value is unknown, and the names of the classes."""
    known = column.dropna()
    values = sorted(known.unique())
    if not values:
        raise ColloidsError(f"The column '{by}' has no values to tell classes by.")
    if boundaries is None and len(values) <= _MAX_VALUES:
        labels, _ = pd.factorize(column, sort=True)
        return labels.astype(np.intp), [f"{by} {value}" for value in values]
    if not pd.api.types.is_numeric_dtype(column):
        raise ColloidsError(
            f"The column '{by}' holds {len(values)} different words: only numbers are cut into classes."
        )
    try:
        cuts = np.asarray([known.median()] if boundaries is None else boundaries, dtype=float)
    except (TypeError, ValueError):
        cuts = np.empty(0)
    if cuts.ndim != 1 or not cuts.size or not np.isfinite(cuts).all() or (np.diff(cuts) <= 0).any():
        raise ColloidsError(f"The boundaries of the classes must be ascending numbers, not {brief(boundaries)}.")
    labels = np.where(column.notna(), np.searchsorted(cuts, column.to_numpy(dtype=float), side="right"), -1)
    words = [f"{cut:.4g}" for cut in cuts]
    middle = [f"{low} <= {by} < {high}" for low, high in pairwise(words)]
    return labels.astype(np.intp), [f"{by} < {words[0]}", *middle, f"{by} >= {words[-1]}"]
