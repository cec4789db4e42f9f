"""Collective overlap: which places are occupied again later, by whatever particle. It needs no trajectories.

References
----------
Kob and Coslovich, Phys. Rev. E 90, 052305 (2014): collective overlap beside the one of single particles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from napari_colloids.dynamics.cages import distance_of_neighbours
from napari_colloids.dynamics.relaxation_settings import RelaxationSettings
from napari_colloids.dynamics.time_lags import origins, spread_lags
from napari_colloids.errors import ColloidsError
from napari_colloids.particles import check_particles, positions_of
from napari_colloids.stack import checked_frame_interval
from napari_colloids.structure.inputs import require_columns
from napari_colloids.structure.scaling import scaling_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

#: Random points of a frame that tell how often a place is occupied by chance.
_POINTS = 20_000
#: Their seed: an odd one, as simulated positions may come from a usual one, and must not be the same.
_SEED = 902_513
#: Pairs of frames of a lag, at most.
_MAX_ORIGINS = 50


def collective_overlap(
    particles: pd.DataFrame,
    *,
    diameter: float | None = None,
    overlap_diameters: float = RelaxationSettings.overlap_diameters,
    frame_interval: float | None = None,
    voxel_size: Sequence[float] | None = None,
    max_lag: int | None = None,
) -> pd.DataFrame:
    r"""Return the collective overlap of a time series against the lag; particles need not be linked.

    .. math::

        q(\tau) = \left\langle \frac{1}{N(t + \tau)} \sum_j
        \Theta\Big(a - \min_i |\mathbf{r}_j(t + \tau) - \mathbf{r}_i(t)|\Big) \right\rangle_t, \qquad
        Q_c(\tau) = \frac{q(\tau) - p}{1 - p}

    with the chance :math:`p` that a random point of the box has a particle within :math:`a`: 1 where nothing has moved,
    0 where the positions know nothing of the earlier ones.

    Parameters
    ----------
    particles
        Particle table with ``frame``. Channels are compared each with itself, and averaged.
    diameter
        In lateral voxels; None takes the first peak of g(r).
    overlap_diameters
        Distance :math:`a` in diameters.
    frame_interval
        Seconds between frames, or None.
    voxel_size
        Micrometres ``(z, y, x)``; None takes what the table's columns in micrometres imply.
    max_lag
        Longest lag in frames; None takes half the series. Of more than twenty, twelve a decade are evaluated.

    Returns
    -------
    pandas.DataFrame
        One row a lag: ``lag`` (frames), ``lag_s`` (where the frame interval is known), ``overlap`` :math:`Q_c`,
        ``overlap_raw`` :math:`q`, ``chance`` :math:`p`, and ``count``, the number of positions. ``attrs["unit"]`` and
        ``attrs["overlap_distance"]`` tell :math:`a`.

    Raises
    ------
    ColloidsError
        If there are no frames, or no diameter is given and the particles do not tell it.

    See Also
    --------
    relaxation : The overlap of single particles.

    Notes
    -----
    A particle that replaces another in its place counts as one that stays: in a liquid this overlap decays as the
    positions forget each other, in a crystal it does not, though particles may exchange. It loses no mobile particles,
    as trajectories do; missed and false particles lower it by their fraction at all lags. It is not corrected for
    localisation errors.

    The chance is measured with random points in the box that the particles of the earlier frame fill. Particles that
    come in through the faces count as moved.

    References
    ----------
    .. [1] Kob and Coslovich, "Nonlinear dynamic response of glass-forming liquids to random pinning", Phys. Rev. E 90,
       052305 (2014).

    Examples
    --------
    Two particles have exchanged their places:

    >>> from napari_colloids import particle_table
    >>> from napari_colloids.dynamics import collective_overlap
    >>> positions = [[0, 0, 0], [20, 20, 20], [20, 20, 20], [0, 0, 0]]
    >>> found = collective_overlap(particle_table(positions, frame=[0, 0, 1, 1]), diameter=10)
    >>> print(found[["lag", "overlap"]].to_string(index=False))
     lag  overlap
       1      1.0
    """
    seconds = checked_frame_interval(frame_interval)
    require_columns(particles, ["frame"], "the overlap needs the particles of a time series.")
    RelaxationSettings(diameter=diameter, overlap_diameters=overlap_diameters, max_lag=max_lag)  # which checks them
    table = check_particles(particles)
    if len(table) == 0 or table["frame"].isna().any():
        raise ColloidsError("The overlap needs particles that all have a frame.")
    scaling = scaling_of(table, voxel_size)
    if diameter is None:
        diameter = distance_of_neighbours(table, voxel_size)
    if not diameter > 0:
        raise ColloidsError("The overlap needs a positive diameter, which these particles do not show: give it.")
    reach = overlap_diameters * diameter * scaling.lateral
    frames = np.unique(table["frame"].to_numpy().astype(np.int64))
    lags = spread_lags(frames, max_lag)
    found, chance, count = (np.zeros(len(lags)) for _ in range(3))
    for _, channel in table.groupby("channel") if "channel" in table else [(0, table)]:
        rows = {frame: positions_of(one) * scaling.scale for frame, one in channel.groupby("frame")}
        pairs = [
            (start, end, number)
            for number, lag in enumerate(lags.tolist())
            for start, end in origins(frames, lag, _MAX_ORIGINS)
            if frames[start] in rows and frames[end] in rows
        ]
        tree, by_chance, of = cKDTree(np.empty((0, 3))), 0.0, -1
        for start, end, number in sorted(pairs):
            if of != start:
                tree, of = cKDTree(rows[frames[start]]), start
                by_chance = _occupied(tree, _random_points(rows[frames[start]]), reach)
            later = rows[frames[end]]
            found[number] += len(later) * _occupied(tree, later, reach)
            chance[number] += len(later) * by_chance
            count[number] += len(later)
    seen = count > 0
    raw, by = found[seen] / count[seen], chance[seen] / count[seen]
    with np.errstate(invalid="ignore"):
        corrected = np.where(by < 1, (raw - by) / (1 - by), np.nan)
    result = pd.DataFrame(
        {"lag": lags[seen], "overlap": corrected, "overlap_raw": raw, "chance": by, "count": count[seen].astype(int)}
    )
    if seconds is not None:
        result.insert(1, "lag_s", result["lag"] * seconds)
    result.attrs |= {"unit": scaling.unit, "overlap_distance": reach}
    return result


def _occupied(tree: cKDTree, points: Array, reach: float) -> float:
    """Return the fraction of points that have a particle nearer than the reach."""
    return float(np.mean(np.isfinite(tree.query(points, distance_upper_bound=reach)[0])))


def _random_points(positions: Array) -> Array:
    """Return random points of the box that particles fill, the same ones whenever they are asked for."""
    low, high = positions.min(axis=0), positions.max(axis=0)
    return np.asarray(np.random.default_rng(_SEED).uniform(low, high, (_POINTS, 3)))
