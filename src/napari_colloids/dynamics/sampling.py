"""Sums over the displacements between all pairs of frames, frame by frame, so that memory is bounded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from napari_colloids.dynamics.cages import neighbour_matrix, relative_to_cage
from napari_colloids.dynamics.moments import blocks_of, number_of_sums, sums
from napari_colloids.dynamics.overlap_errors import length_counts
from napari_colloids.dynamics.time_lags import origins
from napari_colloids.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from numpy.typing import NDArray

    from napari_colloids.dynamics.tracks import Tracks

    Array = NDArray[np.float64]
    Numbers = NDArray[np.int64]

#: The particles are halved so often into blocks, from which the standard errors come.
_BLOCK_DEPTH = 3
#: Errors of a pair of frames that stand for all of them, about.
_SAMPLE = 1000


@dataclass(frozen=True)
class Moved:
    """Displacements of particles between two frames.

    Attributes
    ----------
    start
        First frame, as a place in the frames of the tracks.
    lag
        Place of the lag in the list of lags.
    rows
        Rows of the particles in the first frame, shape ``(N,)``.
    displacements
        Shape ``(N, 3)``.
    variances
        Of their errors, of the same shape; None where they are unknown.
    neighbours
        Number of neighbours that they are relative to, shape ``(N,)``; None where they are relative to none.
    tracked
        Number of particles that are in both frames, those without neighbours included.
    """

    start: int
    lag: int
    rows: Numbers
    displacements: Array
    variances: Array | None
    neighbours: Numbers | None
    tracked: int


def displacements(moving: Tracks, lags: Numbers, shell: float | None, max_origins: int) -> Iterator[Moved]:
    """Yield the displacements of all pairs of frames, by their first frame.

    Parameters
    ----------
    moving
        The particles.
    lags
        In frames.
    shell
        Distance of the neighbours whose mean displacement is subtracted; None subtracts nothing.
    max_origins
        Pairs of frames of a lag, at most.
    """
    pairs = [
        (start, end, number)
        for number, lag in enumerate(lags.tolist())
        for start, end in origins(moving.frames, lag, max_origins)
    ]
    cages, of = csr_array((0, 0)), -1
    for start, end, number in sorted(pairs):
        here, there = moving.common(start, end)
        tracked = len(here)
        moves = moving.positions[there] - moving.positions[here]
        blur, later = moving.variances_at(here), moving.variances_at(there)
        if blur is not None and later is not None:
            blur = blur + later
        counts = None
        if shell is not None and tracked:
            if of != start:
                cages, of = neighbour_matrix(moving.positions[moving.rows(start)], shell), start
            inside = here - moving.first[start]
            moves, blur, rows, counts = relative_to_cage(moves, blur, cages[inside][:, inside])
            here = here[rows]
        yield Moved(start, number, here, moves, blur, counts, tracked)


@dataclass(frozen=True)
class Sampled:
    """Sums over the displacements of each lag, and what the errors of the overlap are taken off with.

    Attributes
    ----------
    lags, survivors
        Shape ``(L,)``.
    sums
        Shape ``(L, blocks, sums)``, from `moments.sums`.
    starts, numbers, overlaps
        For each lag: starting frames, numbers of particles, and the overlap of each.
    lengths, variances
        For each lag: counts of the lengths of displacements, and variances of the errors of some.
    distance
        Of the overlap.
    """

    lags: Numbers
    survivors: Array
    sums: Array
    starts: list[Numbers]
    numbers: list[Array]
    overlaps: list[Array]
    lengths: list[Array]
    variances: list[Array]
    distance: float


def sample(
    moving: Tracks,
    lags: Numbers,
    *,
    places: list[int],
    q: float,
    distance: float,
    shell: float | None,
    max_origins: int,
) -> Generator[Progress, None, Sampled]:
    """Sum over the displacements of all lags that occur, and yield `Progress` after each pair of frames.

    Parameters
    ----------
    moving, lags, shell, max_origins
        As in `displacements`.
    places
        Axes that count.
    q, distance
        Wave number, and distance of the overlap, in the unit of the tracks.
    """
    # Blocks hold whole trajectories, by where they were first seen.
    particles, seen = np.unique(moving.particle, return_index=True)
    blocks = blocks_of(moving.positions[seen], min(_BLOCK_DEPTH, int(np.log2(len(particles)))))
    count = int(blocks.max()) + 1
    total = np.zeros((len(lags), count, number_of_sums(len(places))))
    tracked, first = np.zeros(len(lags)), np.zeros(len(lags))
    series: list[list[tuple[int, int, float]]] = [[] for _ in lags]
    lengths: list[Array] = [np.zeros(0) for _ in lags]
    variances: list[list[Array]] = [[] for _ in lags]
    for moved in displacements(moving, lags, shell, max_origins):
        lag, frame, frames = moved.lag, moving.rows(moved.start), len(moving.frames)
        yield Progress(moved.start, frames, f"Compared frame {moved.start + 1} of {frames} with later ones.")
        tracked[lag] += moved.tracked
        first[lag] += frame.stop - frame.start
        if len(moved.rows) == 0:
            continue
        moves = moved.displacements[:, places]
        blur = None if moved.variances is None else moved.variances[:, places]
        total[lag] += sums(moves, blur, blocks[moving.particle[moved.rows]], count, q, distance)
        if blur is not None:
            found = length_counts(moves, distance)
            lengths[lag] = lengths[lag] + found if len(lengths[lag]) else found
            variances[lag].append(blur[:: len(blur) // _SAMPLE + 1])
        overlap = float(np.mean(np.sum(moves**2, axis=1) < distance**2))
        series[lag].append((int(moving.frames[moved.start]), len(moves), overlap))
    kept = [lag for lag in range(len(lags)) if series[lag]]
    return Sampled(
        lags=lags[kept],
        survivors=tracked[kept] / first[kept],
        sums=total[kept],
        starts=[np.array([start for start, _, _ in series[lag]]) for lag in kept],
        numbers=[np.array([number for _, number, _ in series[lag]], dtype=float) for lag in kept],
        overlaps=[np.array([overlap for _, _, overlap in series[lag]]) for lag in kept],
        lengths=[lengths[lag] for lag in kept],
        variances=[np.concatenate(variances[lag]) if variances[lag] else np.zeros((0, len(places))) for lag in kept],
        distance=distance,
    )
