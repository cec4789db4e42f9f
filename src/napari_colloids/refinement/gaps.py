"""Refinement of a volume with slices that were never recorded: what lies between gaps is fitted on its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.progress import Progress
from napari_colloids.refinement.results import Refinement

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from numpy.typing import NDArray

    from napari_colloids.volumes import Volume

    Array = NDArray[np.float64]
    #: Fits the particles of a volume without gaps: volume, positions, radii -> refinement.
    Fit = Callable[[Volume, Array, Array], Generator[Progress, None, Refinement]]


def slabs_of(recorded: NDArray[np.bool_]) -> list[slice]:
    """Return the runs of recorded slices.

    Examples
    --------
    >>> import numpy as np
    >>> slabs_of(np.array([True, True, False, True]))
    [slice(0, 2, None), slice(3, 4, None)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], recorded.astype(int), [0]])))
    return [slice(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def recorded_bins(recorded: NDArray[np.bool_], width: int, count: int) -> NDArray[np.bool_]:
    """Return whether all slices of each bin along z were recorded.

    Parameters
    ----------
    recorded
        Whether each slice was recorded, shape ``(z,)``.
    width
        Slices in a bin.
    count
        Number of bins.
    """
    bins: NDArray[np.bool_] = np.array([recorded[k * width : (k + 1) * width].all() for k in range(count)], bool)
    return bins


def iter_refine_slabs(
    fit: Fit, volume: Volume, slabs: list[slice], positions: Array, radii: Array, reach: float
) -> Generator[Progress, None, Refinement]:
    """Fit the particles of each slab as those of a volume of its own; those in the gaps stay as they are.

    Parameters
    ----------
    fit
        Fits a volume without gaps.
    volume
        Array-like ``(z, y, x)``.
    slabs
        Runs of recorded slices.
    positions, radii
        The detections, shapes ``(N, 3)`` and ``(N,)``.
    reach
        Distance along z, in voxels, from which the light of a particle beyond a gap is taken into account.

    Returns
    -------
    Refinement
        Its optics are those of the slab with the most particles.
    """
    z = positions[:, 0]
    fits: list[Refinement] = []
    owned = np.zeros(len(z), bool)
    for slab in slabs:
        first, last = slab.start - 0.5, slab.stop - 0.5
        near = np.flatnonzero((z >= first - reach) & (z < last + reach))
        corner = np.array([slab.start, 0, 0], dtype=float)
        steps = fit(volume[slab], positions[near] - corner, radii[near])
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                found: Refinement = end.value
                break
            yield Progress(len(fits) * step.total + step.done, len(slabs) * step.total, step.message)
        own = (z[near] >= first) & (z[near] < last)
        owned[near[own]] = True
        kept = np.where(found.source < 0, _within(found.positions, slab), own[np.maximum(found.source, 0)]).astype(bool)
        source = np.where(found.source < 0, -1, near[np.maximum(found.source, 0)]) if len(near) else found.source
        fits.append(
            Refinement(
                found.positions[kept] + corner,
                found.radii[kept],
                found.errors[kept],
                found.refined[kept],
                source[kept],
                found.misfit[kept],
                found.common,
                found.notices,
                found.declined,
            )
        )
    lost = np.flatnonzero(~owned)
    beyond = replace(Refinement.unchanged(positions[lost], radii[lost], ""), source=lost, notices=[])
    return _joined([*fits, beyond], len(z))


def _within(positions: Array, slab: slice) -> NDArray[np.bool_]:
    """Mark positions, counted from the first slice of a slab, that lie in it."""
    inside: NDArray[np.bool_] = (positions[:, 0] >= -0.5) & (positions[:, 0] < slab.stop - slab.start - 0.5)
    return inside


def _joined(fits: list[Refinement], count: int) -> Refinement:
    """Join fits in the order of `count` detections; what the residual showed comes last."""
    source = np.concatenate([one.source for one in fits])
    order = np.argsort(np.where(source < 0, count, source), kind="stable")
    best = max(fits, key=lambda one: -1 if one.common is None else int(one.refined.sum()))
    return Refinement(
        np.concatenate([one.positions for one in fits])[order],
        np.concatenate([one.radii for one in fits])[order],
        np.concatenate([one.errors for one in fits])[order],
        np.concatenate([one.refined for one in fits])[order],
        source[order],
        np.concatenate([one.misfit for one in fits])[order],
        best.common,
        list(dict.fromkeys(notice for one in fits for notice in one.notices)),
        best.declined,
    )
