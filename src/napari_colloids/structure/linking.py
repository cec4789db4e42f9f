"""Linking of particles into trajectories: assignment from frame to frame within a search range, and drift.

References
----------
Crocker and Grier, J. Colloid Interface Sci. 179, 298 (1996); Allan et al., trackpy, doi:10.5281/zenodo.4682814.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from napari_colloids.errors import ColloidsError
from napari_colloids.particles import POSITION, POSITION_UM, check_particles, positions_of
from napari_colloids.progress import Progress, result_of
from napari_colloids.settings import changed, takes_settings
from napari_colloids.structure.inputs import require_columns
from napari_colloids.structure.link_settings import LinkSettings
from napari_colloids.structure.neighbours import suggest_search_range
from napari_colloids.structure.scaling import scaling_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from typing import Unpack

    from numpy.typing import NDArray

    from napari_colloids.structure.link_settings import LinkChanges


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
        drift is subtracted. ``attrs["search_range"]`` is the range that was used.

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

    References
    ----------
    .. [1] Crocker and Grier, "Methods of digital video microscopy for colloidal studies", J. Colloid Interface Sci.
       179, 298 (1996).
    .. [2] Allan et al., trackpy, doi:10.5281/zenodo.4682814.

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
    >>> from napari_colloids.structure import iter_link
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
    positions = positions_of(table) * scaling_of(table, voxel_size).aspect
    channels = table["channel"].to_numpy() if "channel" in table else np.zeros(len(table), dtype=int)
    numbers = np.empty(len(table), dtype=np.int64)
    first = 0
    for channel in np.unique(channels):
        rows = np.flatnonzero(channels == channel)
        numbers[rows] = first + (
            yield from _trajectory_numbers(
                table["frame"].to_numpy()[rows], positions[rows], float(search_range), how.memory
            )
        )
        first = int(numbers[rows].max()) + 1
    table["particle"] = numbers
    if how.subtract_drift:
        table = without_drift(table)
    lengths = table.groupby("particle")["frame"].transform("size")
    table = table[lengths >= how.min_length].reset_index(drop=True)
    table["particle"] = pd.factorize(table["particle"])[0].astype(np.int64)
    table.attrs["search_range"] = float(search_range)
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


def _trajectory_numbers(
    frames: NDArray[np.int64], positions: NDArray[np.float64], search_range: float, memory: int
) -> Generator[Progress, None, NDArray[np.int64]]:
    """Yield after each frame, and return the number of each particle's trajectory.

    Parameters
    ----------
    frames
        Of each particle, rising.
    positions
        Of each particle, shape ``(N, 3)``, in the unit of the search range.
    search_range, memory
        As in `link`.
    """
    import trackpy
    from trackpy.linking import SubnetOversizeException

    occupied, number = np.unique(frames, return_inverse=True)
    # After more empty frames than `memory` no trajectory continues, however many there are: long gaps are shortened.
    steps = np.minimum(np.diff(occupied, prepend=occupied[0]), memory + 2)
    frames = np.cumsum(steps)[number]
    span = np.arange(frames[-1] + 1)
    borders = np.searchsorted(frames, span[1:])
    numbers: list[int] = []
    with _quiet_trackpy():
        linked = trackpy.link_iter(
            zip(span.tolist(), np.split(positions, borders), strict=True), search_range, memory=memory
        )
        for done in range(1, len(span) + 1):
            try:
                _, found = next(linked)
            except SubnetOversizeException as error:
                raise ColloidsError(
                    f"Within a search range of {search_range:.3g} px too many particles could be each other's next "
                    f"position (frame {occupied[number[borders[done - 2]]]}): lower the search range."
                ) from error
            numbers.extend(found)
            yield Progress(done, len(span), f"Linked frame {done} of {len(span)}.")
    return np.asarray(numbers, dtype=np.int64)


@contextmanager
def _quiet_trackpy() -> Iterator[None]:
    """Keep trackpy from logging a line for every frame."""
    logger = logging.getLogger("trackpy")
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)
