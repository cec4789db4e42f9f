"""Assignment of particles from frame to frame by trackpy, at the positions that their common motion predicts."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.dynamics.common_motion import common_motion
from napari_colloids.errors import ColloidsError
from napari_colloids.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from numpy.typing import NDArray
    from trackpy.linking.utils import Point

    from napari_colloids.dynamics.common_motion import CommonMotion

    Array = NDArray[np.float64]

#: Common motion that changes no assignment and is not predicted: its root mean square, over the search range.
_NEGLIGIBLE_MOTION = 0.1
#: Least search range that is tried where too many particles could be each other's, over the one that was asked for.
LEAST_RANGE = 0.5


@dataclass
class Trajectories:
    """Trajectories of the particles of one channel, and how they were found.

    Attributes
    ----------
    frames
        Frames that have particles, rising.
    positions
        Of each of them, shape ``(N, 3)``, in the unit of the search range.
    motions
        From each of them to the next; None where there is none to speak of, or where no trajectory can continue.
    numbers
        Of the trajectory of each particle, in the order of the frames.
    reduced
        Whether the search range had to be reduced in places.
    """

    frames: NDArray[np.int64]
    positions: list[Array]
    motions: list[CommonMotion | None] = field(default_factory=list)
    numbers: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    reduced: bool = False

    def displacements(self, step: int) -> Array:
        """Return the predicted displacements of the particles of a frame, given as a place in `frames`."""
        motion, positions = self.motions[step], self.positions[step]
        return np.zeros_like(positions) if motion is None else motion.at(positions)


def assign(
    frames: NDArray[np.int64], positions: Array, search_range: float, memory: int, predict: bool
) -> Generator[Progress, None, Trajectories]:
    """Yield after each frame, and return the trajectories.

    Parameters
    ----------
    frames
        Of each particle, rising.
    positions
        Of each particle, shape ``(N, 3)``, in the unit of the search range.
    search_range, memory
        As in `link`.
    predict
        Whether to estimate the common motion, and to look for particles where it takes them.
    """
    from trackpy.linking import SubnetOversizeException

    occupied, first = np.unique(frames, return_index=True)
    found = Trajectories(occupied, np.split(positions, first[1:]))
    try:
        found.numbers = yield from _linked(found, search_range, memory, predict)
    except SubnetOversizeException:
        # trackpy can reduce the range there, but then solves smaller groups only: not where it is not needed.
        found.reduced = True
        try:
            found.numbers = yield from _linked(found, search_range, memory, predict, LEAST_RANGE * search_range)
        except SubnetOversizeException as error:
            raise ColloidsError(
                f"Within a search range of {search_range:.3g} px, and even within half of it, too many particles could "
                f"be each other's next position (frame {occupied[len(found.motions)]}): lower the search range."
            ) from error
    return found


def _linked(
    found: Trajectories, search_range: float, memory: int, predict: bool, least_range: float | None = None
) -> Generator[Progress, None, NDArray[np.int64]]:
    """Yield after each frame, and return the number of each particle's trajectory; write down the motions.

    Raises
    ------
    SubnetOversizeException
        If too many particles could be each other's next position.
    """
    import trackpy

    # After more empty frames than `memory` no trajectory continues, however many there are: long gaps are shortened.
    steps = np.minimum(np.diff(found.frames, prepend=found.frames[0]), memory + 2)
    times = np.cumsum(steps)
    place = {int(time): number for number, time in enumerate(times)}
    span = np.arange(times[-1] + 1).tolist()
    levels = [(time, found.positions[place[time]] if time in place else np.empty((0, 3))) for time in span]
    last: CommonMotion | None = None

    def predictor(time: int, particles: Sequence[Point]) -> Array:
        """Return where particles, that may have been missing for some frames, are expected: trackpy asks for it."""
        seen = np.array([place[particle.t] for particle in particles])
        positions = np.array([particle.pos for particle in particles])
        for step in range(seen.min(initial=place[time]), place[time]):
            motion = found.motions[step]
            if motion is not None:
                positions[seen <= step] += motion.at(positions[seen <= step])
        return positions

    found.motions.clear()
    numbers: list[int] = []
    with _quiet_trackpy():
        linked = trackpy.link_iter(
            levels, search_range, memory=memory, predictor=predictor if predict else None, adaptive_stop=least_range
        )
        for time in span:
            number = place.get(time, 0)
            if number > 0:
                before, after = found.positions[number - 1 : number + 1]
                continues = predict and steps[number] <= memory + 1
                motion = last = common_motion(before, after, last) if continues else None
                if motion is not None:
                    squares = np.sum(motion.at(before) ** 2, axis=1)
                    if squares.mean() < (_NEGLIGIBLE_MOTION * search_range) ** 2:
                        motion = None
                found.motions.append(motion)
            numbers.extend(next(linked)[1])
            yield Progress(time + 1, len(span), f"Linked frame {time + 1} of {len(span)}.")
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
