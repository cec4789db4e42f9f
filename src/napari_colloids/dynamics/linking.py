"""Linking of particles into trajectories: assignment from frame to frame within a search range, and drift.

References
----------
Crocker and Grier, J. Colloid Interface Sci. 179, 298 (1996); Allan et al., trackpy, doi:10.5281/zenodo.4682814.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from napari_colloids.dynamics.assignment import LEAST_RANGE, assign
from napari_colloids.dynamics.gap_closing import close_gaps
from napari_colloids.dynamics.link_notices import link_notices
from napari_colloids.dynamics.link_settings import LinkSettings
from napari_colloids.errors import ColloidsError
from napari_colloids.particles import POSITION, POSITION_UM, check_particles, positions_of
from napari_colloids.progress import result_of
from napari_colloids.settings import changed, takes_settings
from napari_colloids.structure.inputs import require_columns
from napari_colloids.structure.neighbours import suggest_search_range
from napari_colloids.structure.scaling import scaling_of

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from typing import Unpack

    from numpy.typing import NDArray

    from napari_colloids.dynamics.assignment import Trajectories
    from napari_colloids.dynamics.link_settings import LinkChanges
    from napari_colloids.progress import Progress


@takes_settings(LinkSettings)
def link(
    particles: pd.DataFrame,
    *,
    voxel_size: Sequence[float] | None = None,
    **settings: Unpack[LinkChanges],
) -> pd.DataFrame:
    r"""Link the particles of a time series into trajectories.

    From each frame to the next, particles are assigned one-to-one so that the sum of the squared displacements is
    least, where one that is left without a partner costs the square of the search range :math:`R` [1]_:

    .. math::

        \min_{\text{assignments}} \; \sum_{\text{linked } i}
        \left| \mathbf{r}_i(t + 1) - \mathbf{r}_i(t) \right|^2 + \sum_{\text{unlinked } i} R^2

    Parameters
    ----------
    particles
        Particle table with ``frame``. Several channels are linked each on its own.
    voxel_size
        Micrometres ``(z, y, x)``, so that distances are right with anisotropic voxels; None takes what the table's
        columns in micrometres imply.
    {settings}

    Returns
    -------
    pandas.DataFrame
        The rows ordered by frame, with ``particle``: the number of the trajectory, from 0. Positions change only where
        drift is subtracted. ``attrs["search_range"]`` is the range that was used, ``attrs["common_motion"]`` lists the
        displacements z, y, x (voxels, mean over the particles) that were predicted, with the frame they start from,
        and ``attrs["notices"]`` says what the user should know.

    Raises
    ------
    ColloidsError
        If the table has no frames, an argument makes no sense, or the search range is so large that too many particles
        could be each other's.

    See Also
    --------
    suggest_search_range : The default of `search_range`.
    mean_squared_displacement : Evaluates the trajectories.

    Notes
    -----
    The assignment is trackpy's [2]_, on coordinates that are scaled to lateral voxels.

    Where particles move together, :math:`\mathbf{r}_i(t)` is replaced by the place that the common motion takes it to.
    This motion is estimated from the two frames alone, before anything is linked: the differences of all positions
    pile up at the common displacement, up to three times the distance of neighbours; a polynomial of degree 0 to 3 in
    z, y, x is fitted to it, for shear, rotation and curved profiles. A motion whose root mean square is under a tenth
    of the search range is left alone. In a crystal, one lattice vector more is nearly as likely, and the motion nearest
    to that of the step before is taken, which a notice says; one that moves by exactly a lattice vector looks still. A
    particle that was missing is expected where the motion of all steps takes it.

    Within the memory, trajectories that end are then joined with those that begin later, as in [3]_: after :math:`k`
    frames within :math:`\sqrt{k}` times the search range, or 3.5 standard deviations of the displacements, whichever
    is less; those of a single position are left alone.

    Where too many particles could be each other's next position, the search range is reduced there, down to half.

    References
    ----------
    .. [1] Crocker and Grier, "Methods of digital video microscopy for colloidal studies", J. Colloid Interface Sci.
       179, 298 (1996).
    .. [2] Allan et al., trackpy, doi:10.5281/zenodo.4682814.
    .. [3] Jaqaman et al., "Robust single-particle tracking in live-cell time-lapse sequences", Nature Methods 5, 695
       (2008).

    Examples
    --------
    >>> from napari_colloids import link
    >>> from napari_colloids.particles import particle_table
    >>> positions = [[5, 5, 0], [5, 5, 20], [5, 5, 21], [5, 5, 2]]
    >>> tracks = link(particle_table(positions, frame=[0, 0, 1, 1]), search_range=4)
    >>> print(tracks[["frame", "x", "particle"]].to_string(index=False))
     frame    x  particle
         0  0.0         0
         0 20.0         1
         1 21.0         1
         1  2.0         0
    """
    return result_of(iter_link(particles, voxel_size=voxel_size, **settings))


@takes_settings(LinkSettings)
def iter_link(
    particles: pd.DataFrame,
    *,
    voxel_size: Sequence[float] | None = None,
    **settings: Unpack[LinkChanges],
) -> Generator[Progress, None, pd.DataFrame]:
    """Link as `link` does, and yield `Progress` after every frame, so that the caller can report it or stop.

    Parameters
    ----------
    particles, voxel_size
        As in `link`, which returns the same table.
    {settings}

    Examples
    --------
    >>> from napari_colloids.particles import particle_table
    >>> from napari_colloids.dynamics import iter_link
    >>> for progress in iter_link(particle_table([[5, 5, 0], [5, 5, 2]], frame=[0, 1]), search_range=4):
    ...     print(progress.message)
    Linked frame 1 of 2.
    Linked frame 2 of 2.
    """
    table = _ordered_by_frame(particles)
    how = changed(LinkSettings(), settings, "link setting")
    search_range = how.search_range
    if search_range is None:
        search_range = suggest_search_range(table, voxel_size=voxel_size)
    if not search_range > 0:
        raise ColloidsError("The particles of a frame all lie in one place: give a search range.")
    aspect = scaling_of(table, voxel_size).aspect
    positions = positions_of(table) * aspect
    channels = table["channel"].to_numpy() if "channel" in table else np.zeros(len(table), dtype=int)
    numbers = np.empty(len(table), dtype=np.int64)
    every: dict[int, Trajectories] = {}
    first = joined = 0
    for channel in np.unique(channels):
        rows = np.flatnonzero(channels == channel)
        frames = table["frame"].to_numpy()[rows]
        found = yield from assign(frames, positions[rows], float(search_range), how.memory, how.predict_motion)
        joined += close_gaps(found, float(search_range), how.memory)
        numbers[rows] = first + found.numbers
        first = int(numbers[rows].max()) + 1
        every[int(channel)] = found
    table["particle"] = numbers
    if how.subtract_drift:
        table = without_drift(table)
    lengths = table.groupby("particle")["frame"].transform("size")
    table = table[lengths >= how.min_length].reset_index(drop=True)
    table["particle"] = pd.factorize(table["particle"])[0].astype(np.int64)
    table.attrs["search_range"] = float(search_range)
    table.attrs["common_motion"] = [
        {**({"channel": channel} if "channel" in table else {}), **motion}
        for channel, found in every.items()
        for motion in _motions(found, aspect)
    ]
    table.attrs["notices"] = link_notices(
        list(every.values()), search_range, LEAST_RANGE * search_range, how.subtract_drift, joined
    )
    return table


def without_drift(tracks: pd.DataFrame) -> pd.DataFrame:
    """Return the trajectories with the drift, the mean motion of all particles since the first frame, subtracted.

    Parameters
    ----------
    tracks
        Particle table with ``frame`` and ``particle``.
    """
    import trackpy

    # Empty frames are skipped: trajectories that continue after them give the drift in between.
    frames, number = np.unique(tracks["frame"], return_inverse=True)
    steps = trackpy.compute_drift(tracks.assign(frame=number).reset_index(drop=True), pos_columns=POSITION)
    # Where no trajectory continues from the frame before, the drift is unknown and taken as zero.
    drift = steps.reindex(np.arange(len(frames))).ffill().fillna(0.0)
    shift = drift[POSITION].to_numpy()[number]
    scale = scaling_of(tracks).scale
    tracks = tracks.copy()
    tracks[POSITION] -= shift
    if set(POSITION_UM) <= set(tracks.columns):
        tracks[POSITION_UM] -= shift * scale
    return tracks


def _motions(found: Trajectories, aspect: NDArray[np.float64]) -> list[dict[str, float]]:
    """Return the mean displacements in voxels that were predicted, each with the frame that it starts from."""
    return [
        {"frame": int(frame), **dict(zip(POSITION, (moves.mean(axis=0) / aspect).tolist(), strict=True))}
        for step, frame in enumerate(found.frames[:-1])
        if found.motions[step] is not None
        for moves in [found.displacements(step)]
    ]


def _ordered_by_frame(particles: pd.DataFrame) -> pd.DataFrame:
    """Return a copy of the table, ordered by frame.

    Raises
    ------
    ColloidsError
        If there is nothing to link in it.
    """
    require_columns(particles, ["frame"], "linking needs the particles of a time series.")
    table = check_particles(particles)
    frames = table["frame"].to_numpy(dtype=float)
    if len(table) == 0:
        raise ColloidsError("The table has no particles to link.")
    if not np.all(frames == np.rint(frames)):
        raise ColloidsError("The column 'frame' must hold whole numbers.")
    table = table.assign(frame=frames.astype(np.int64)).sort_values("frame", kind="stable", ignore_index=True)
    table.attrs = dict(particles.attrs)
    return table
