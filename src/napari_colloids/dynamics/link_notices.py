"""What was predicted, reduced or lost in linking, as sentences for the user."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_colloids.dynamics.assignment import Trajectories

#: Particles without a partner in the next frame, of those that should have one, from which it is told.
MANY_LOST = 0.3
#: Displacement that a tenth of the links exceed from which it is told, over the search range: links at random have .97.
LONG_LINK = 0.8
_MIN_LINKS = 30
#: Particles of a frame from which such a fraction means something.
_MIN_PARTICLES = 10


def lost_fractions(found: Trajectories, search_range: float) -> NDArray[np.float64]:
    """Return which fraction of the particles of each frame but the last goes on nowhere.

    Where enough others are left, those are not counted that are expected outside the box that the particles of the next
    frame fill, or within the search range of its faces: they are the ones that leave.

    Parameters
    ----------
    found
        Trajectories of one channel.
    search_range
        The unit is that of the positions.

    Returns
    -------
    ndarray
        NaN where the frame has too few particles to say.
    """
    ends = np.ones(len(found.numbers), dtype=bool)
    order = np.argsort(found.numbers, kind="stable")
    ends[order[:-1]] = np.diff(found.numbers[order]) != 0
    borders = np.cumsum([len(positions) for positions in found.positions])[:-1]
    fractions = np.full(max(len(found.positions) - 1, 0), np.nan)
    for step, end in enumerate(np.split(ends, borders)[:-1]):
        following = found.positions[step + 1]
        low, high = following.min(axis=0), following.max(axis=0)
        margin = np.where(high - low > 4 * search_range, search_range, 0.0)
        places = found.positions[step] + found.displacements(step)
        for border in (margin, 0.0, -np.inf):
            inside = np.all((places >= low + border) & (places <= high - border), axis=1)
            if inside.sum() >= _MIN_PARTICLES:
                fractions[step] = end[inside].mean()
                break
    return fractions


def long_links(found: Trajectories, search_range: float) -> NDArray[np.float64]:
    """Return how far the particles lay from where they were expected, over the search range: one number a link.

    Links over frames in which a particle was missing are left out.
    """
    numbers = np.split(found.numbers, np.cumsum([len(positions) for positions in found.positions])[:-1])
    lengths = [np.empty(0)]
    for step in range(len(found.positions) - 1):
        _, here, there = np.intersect1d(numbers[step], numbers[step + 1], return_indices=True)
        expected = found.positions[step] + found.displacements(step)
        lengths.append(np.linalg.norm(found.positions[step + 1][there] - expected[here], axis=1))
    return np.concatenate(lengths) / search_range


def link_notices(
    channels: Sequence[Trajectories], search_range: float, least_range: float, drift_subtracted: bool, joined: int
) -> list[str]:
    """Return sentences on the common motion, reduced ranges, joins, lost particles and links that may be wrong."""
    notices = _on_motion(channels, drift_subtracted)
    if joined:
        notices.append(
            f"{joined} times a particle that was missed was found again farther away than {search_range:.3g} px: the "
            "search range grows with the square root of the frames that it was missing."
        )
    if any(found.reduced for found in channels):
        notices.append(
            f"In crowded places the search range was reduced, to no less than {least_range:.3g} px: within "
            f"{search_range:.3g} px too many particles could be each other's next position."
        )
    for found in channels:
        notices += _on_lost(found, search_range)
        notices += _on_long_links(found, search_range)
    return notices


def _on_motion(channels: Sequence[Trajectories], drift_subtracted: bool) -> list[str]:
    steps = [(found, step) for found in channels for step, motion in enumerate(found.motions) if motion is not None]
    if not steps:
        return []
    moves = np.concatenate([found.displacements(step) for found, step in steps])
    lengths = np.linalg.norm(moves, axis=1)
    z, y, x = moves.mean(axis=0).round(1) + 0.0
    notices = [
        f"A common motion of {lengths.mean():.1f} px from frame to frame (at most {lengths.max():.1f} px; on average "
        f"{z:.1f} along z, {y:.1f} along y, {x:.1f} along x) was estimated and predicted in {len(steps)} of "
        f"{sum(len(found.motions) for found in channels)} steps."
    ]
    if not drift_subtracted:
        notices[0] += " Displacements contain it, and so do MSD and D: subtract drift to take its mean off."
    if any(motion is not None and motion.ambiguous for found in channels for motion in found.motions):
        notices.append(
            "The particles are so regularly arranged that another common motion, by one lattice vector more, is as "
            "likely; the shortest was taken. Take frames closer in time to be sure."
        )
    return notices


def _on_lost(found: Trajectories, search_range: float) -> list[str]:
    fractions = lost_fractions(found, search_range)
    many = np.flatnonzero(np.nan_to_num(fractions) > MANY_LOST)
    if len(many) == 0:
        return []
    worst = int(many[np.argmax(fractions[many])])
    steps = f"{len(many)} of {len(fractions)} steps"
    most = f"{found.frames[worst]} to {found.frames[worst + 1]}"
    return [
        f"{fractions[many].mean():.0%} of the particles find no partner in the next frame within {search_range:.3g} px "
        f"in {steps} (most from frame {most}), those that leave at the faces not counted: they move too far, or many "
        "are missed. Take frames closer in time, or raise the search range or the memory."
    ]


def _on_long_links(found: Trajectories, search_range: float) -> list[str]:
    lengths = long_links(found, search_range)
    if len(lengths) < _MIN_LINKS or np.quantile(lengths, 0.9) < LONG_LINK:
        return []
    return [
        f"Particles lie up to the search range of {search_range:.3g} px from where they are expected: many may have "
        "been taken for a neighbour, and displacements are cut off. Take frames closer in time, or raise a search "
        "range that is shorter than half the distance of neighbours."
    ]
