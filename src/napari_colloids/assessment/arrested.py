"""Recall from two frames of an arrested sample: the same particles, with independent noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.assessment.capture_recapture import CaptureRecapture, chapman
from napari_colloids.errors import ColloidsError
from napari_colloids.interval import Interval
from napari_colloids.scoring import compare
from napari_colloids.scoring.inputs import checked_aspect, checked_positions, checked_shape
from napari_colloids.scoring.score import off_border

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import ArrayLike

#: Median distance of the particles of two frames, over the greatest of a match, up to which they are the same ones. Of
#: normally distributed displacements of this median, 2 % are longer than the greatest distance.
_MAX_MEDIAN_DISTANCE = 0.5
#: Particles in both frames that are needed.
_MIN_COMMON = 10


@dataclass(frozen=True)
class ArrestedRecall:
    """Recall in two frames of an arrested sample.

    An estimate where all particles are about as easily found; where some hardly ever are, recall is lower. False
    particles of the other frame lower it, so that it is best taken at a threshold of high precision.

    Attributes
    ----------
    first, second
        Recall in either frame.
    particles
        How many are in either, in both, and there.
    median_distance
        Median distance of the particles in both, a drift of all taken off, in lateral voxels.

    See Also
    --------
    arrested_recall : Makes one.
    """

    first: Interval
    second: Interval
    particles: CaptureRecapture
    median_distance: float

    def __repr__(self) -> str:
        return f"ArrestedRecall({self.words()})"

    def words(self) -> str:
        """Return what it says, in one line."""
        return f"recall {self.first!r} and {self.second!r}, of {self.particles.number.value:.0f} particles"


def arrested_recall(
    frame_a: pd.DataFrame | ArrayLike,
    frame_b: pd.DataFrame | ArrayLike,
    diameter: float,
    *,
    shape: Sequence[int] | None = None,
    voxel_size: Sequence[float] | None = None,
    max_distance: float | None = None,
) -> ArrestedRecall:
    r"""Estimate the recall in two frames of a sample whose particles do not move, by capture and recapture.

    With :math:`n_a` and :math:`n_b` particles, :math:`m` of them in both, and Chapman's estimate :math:`\hat N`,

    .. math:: R_a = \frac{n_a}{\hat N} \approx \frac{m}{n_b}, \qquad R_b = \frac{n_b}{\hat N} \approx \frac{m}{n_a}.

    Parameters
    ----------
    frame_a, frame_b
        Particle tables, or arrays of shape ``(N, 3)``: z, y, x in voxels; found with the same settings.
    diameter
        Of a particle in lateral voxels.
    shape
        Of the stack ``(z, y, x)`` in voxels: particles at its border are left out, as in `score`; None counts all.
    voxel_size
        Edges of a voxel ``(z, y, x)`` in any unit; None as in `score`.
    max_distance
        Greatest distance of a particle in one frame from itself in the other, in lateral voxels; half a diameter where
        None.

    Returns
    -------
    ArrestedRecall

    Raises
    ------
    ColloidsError
        If the sample is not arrested, too few particles are in both frames, or positions, diameter, shape, voxel size
        or distance are not valid.

    See Also
    --------
    assess : From one stack alone.
    compare : Two detections.

    References
    ----------
    .. [1] D. G. Chapman, "Some properties of the hypergeometric distribution with applications to zoological sample
       censuses", Univ. Calif. Publ. Stat. 1, 131 (1951).

    Examples
    --------
    >>> import numpy as np
    >>> from napari_colloids.assessment import arrested_recall
    >>> rng = np.random.default_rng(0)
    >>> there = 10.0 * np.indices((10, 10, 10)).reshape(3, -1).T
    >>> frames = [(there + rng.normal(0, 0.3, there.shape))[rng.uniform(size=1000) < 0.8] for _ in range(2)]
    >>> arrested_recall(*frames, diameter=8)
    ArrestedRecall(recall 0.809 (0.795 to 0.820) and 0.803 (0.789 to 0.814), of 1003 particles)
    """
    scale = checked_aspect(voxel_size, frame_a, frame_b)
    one, other = checked_positions(frame_a, "The first frame"), checked_positions(frame_b, "The second frame")
    reach = diameter / 2 if max_distance is None else max_distance
    drift = np.zeros(3)
    # The second time without the drift that the first one showed.
    for _ in range(2):
        seen = compare(one, other - drift, diameter=diameter, max_distance=reach, voxel_size=tuple(scale))
        if seen.common < _MIN_COMMON:
            raise ColloidsError(
                f"Only {seen.common} particles are in both frames within {reach:g} px of each other: it takes "
                f"{_MIN_COMMON}. Take frames of an arrested sample, and correct a drift first."
            )
        drift = drift + np.array(list(seen.offset.values()))
    apart = (other[seen.second_index] - drift - one[seen.first_index]) * scale
    distance = float(np.median(np.linalg.norm(apart, axis=1)))
    if distance > _MAX_MEDIAN_DISTANCE * reach:
        raise ColloidsError(
            f"The sample is not arrested: from one frame to the other its particles move by {distance:.2g} px, more "
            f"than half of the {reach:g} px within which they are taken for the same ones. Take frames that are nearer "
            "in time."
        )
    counted = [
        np.ones(len(centres), bool) if shape is None else off_border(centres, diameter, checked_shape(shape), scale)
        for centres in (one, other - drift)
    ]
    both = counted[0][seen.first_index]
    in_both = int(both.sum())
    # A particle in both is where the first frame has it.
    particles = chapman(int(counted[0].sum()), in_both + int((counted[1] & seen.only_second).sum()), in_both)
    first, second = (_share(count, particles.number) for count in (particles.first, particles.second))
    return ArrestedRecall(first, second, particles, distance)


def _share(count: int, number: Interval) -> Interval:
    return Interval(*(min(count / there, 1.0) for there in (number.value, number.high, number.low)))
