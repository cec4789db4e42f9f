"""Linking in time: which particle of one frame is which in the next.

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
from napari_colloids.structure.pair_correlation import suggest_search_range
from napari_colloids.structure.space import space_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from numpy.typing import NDArray


def link(
    particles: pd.DataFrame,
    *,
    search_range: float | None = None,
    memory: int = 0,
    voxel_size: Sequence[float] | None = None,
    subtract_drift: bool = False,
    min_length: int = 1,
) -> pd.DataFrame:
    """Link the particles of a time series into trajectories.

    Parameters
    ----------
    particles
        Particle table with ``frame``. Several channels are linked each on its own.
    search_range
        How far a particle may move from one frame to the next, in lateral voxels; None takes
        `suggest_search_range`. It must stay below about half the distance between neighbours.
    memory
        For how many frames a particle may go unseen and still be the same one.
    voxel_size
        Micrometres ``(z, y, x)``, so that distances are right where voxels are no cubes; None takes what the table's
        columns in micrometres imply.
    subtract_drift
        Take the mean motion of all particles (of the stage, mostly) off the positions, once they are linked.
    min_length
        Drop trajectories of fewer positions than this.

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
    """
    steps = iter_link(
        particles,
        search_range=search_range,
        memory=memory,
        voxel_size=voxel_size,
        subtract_drift=subtract_drift,
        min_length=min_length,
    )
    return result_of(steps)


def iter_link(
    particles: pd.DataFrame,
    *,
    search_range: float | None = None,
    memory: int = 0,
    voxel_size: Sequence[float] | None = None,
    subtract_drift: bool = False,
    min_length: int = 1,
) -> Generator[Progress, None, pd.DataFrame]:
    """Link as `link` does, and yield after every frame, so that a window stays alive and the work can be stopped."""
    table = _in_order(particles)
    if memory < 0 or min_length < 1:
        raise ColloidsError("memory must be 0 or more frames, min_length 1 or more positions.")
    if search_range is None:
        search_range = suggest_search_range(table, voxel_size=voxel_size)
    if not (np.isfinite(search_range) and search_range > 0):
        raise ColloidsError(f"The search range must be a positive number of voxels, not {search_range:g}.")
    places = positions_of(table) * space_of(table, voxel_size).aspect
    channels = table["channel"].to_numpy() if "channel" in table else np.zeros(len(table), dtype=int)
    numbers = np.empty(len(table), dtype=np.int64)
    first = 0
    for channel in np.unique(channels):
        rows = np.flatnonzero(channels == channel)
        numbers[rows] = first + (
            yield from _linked(table["frame"].to_numpy()[rows], places[rows], float(search_range), memory)
        )
        first = int(numbers[rows].max()) + 1
    table["particle"] = numbers
    if subtract_drift:
        table = without_drift(table)
    lengths = table.groupby("particle")["frame"].transform("size")
    table = table[lengths >= min_length].reset_index(drop=True)
    table["particle"] = pd.factorize(table["particle"])[0].astype(np.int64)
    table.attrs["search_range"] = float(search_range)
    return table


def without_drift(tracks: pd.DataFrame) -> pd.DataFrame:
    """Return the trajectories with the mean motion of all particles taken off, the first frame being the reference.

    Parameters
    ----------
    tracks
        Particle table with ``frame`` and ``particle``.
    """
    import trackpy

    # Frames without particles are passed over: those that go on behind tell what happened meanwhile.
    frames, number = np.unique(tracks["frame"], return_inverse=True)
    steps = trackpy.compute_drift(tracks.assign(frame=number).reset_index(drop=True), pos_columns=POSITION)
    # Over frames that nothing links to the one before, the drift is unknown and taken as none.
    drift = steps.reindex(np.arange(len(frames))).ffill().fillna(0.0)
    shift = drift[POSITION].to_numpy()[number]
    scale = space_of(tracks).scale
    tracks = tracks.copy()
    tracks[POSITION] -= shift
    if set(POSITION_UM) <= set(tracks.columns):
        tracks[POSITION_UM] -= shift * scale
    return tracks


def _in_order(particles: pd.DataFrame) -> pd.DataFrame:
    """Return a copy of the table, ordered by frame.

    Raises
    ------
    ColloidsError
        If there is nothing to link in it.
    """
    if "frame" not in particles:
        raise ColloidsError("The table has no column 'frame': linking needs the particles of a time series.")
    table = check_particles(particles)
    frames = table["frame"].to_numpy(dtype=float)
    if len(table) == 0:
        raise ColloidsError("The table has no particles to link.")
    if not np.all(frames == np.rint(frames)):
        raise ColloidsError("The column 'frame' must hold whole numbers.")
    table = table.assign(frame=frames.astype(np.int64)).sort_values("frame", kind="stable", ignore_index=True)
    table.attrs = dict(particles.attrs)
    return table


def _linked(
    frames: NDArray[np.int64], places: NDArray[np.float64], search_range: float, memory: int
) -> Generator[Progress, None, NDArray[np.int64]]:
    """Return the number of each particle's trajectory, for particles that are ordered by frame."""
    import trackpy
    from trackpy.linking import SubnetOversizeException

    there, number = np.unique(frames, return_inverse=True)
    # Over more empty frames than `memory` all particles are forgotten, however many there are.
    steps = np.minimum(np.diff(there, prepend=there[0]), memory + 2)
    frames = np.cumsum(steps)[number]
    span = np.arange(frames[-1] + 1)
    borders = np.searchsorted(frames, span[1:])
    numbers: list[int] = []
    with _hushed():
        linked = trackpy.link_iter(
            zip(span.tolist(), np.split(places, borders), strict=True), search_range, memory=memory
        )
        for done in range(1, len(span) + 1):
            try:
                _, found = next(linked)
            except SubnetOversizeException as error:
                raise ColloidsError(
                    f"Within a search range of {search_range:.3g} px too many particles could be each other's next "
                    f"position (frame {there[number[borders[done - 2]]]}): lower the search range."
                ) from error
            numbers.extend(found)
            yield Progress(done, len(span), f"Linked frame {done} of {len(span)}.")
    return np.asarray(numbers, dtype=np.int64)


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep trackpy from printing a line for every frame."""
    logger = logging.getLogger("trackpy")
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)
