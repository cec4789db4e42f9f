"""Estimate of the particles' diameter from the image alone.

The network is applied to a part of the stack at several scales. It was trained on particles near one size, so only near
the right scale does it find many of them, with a high confidence, and with radii that agree with the assumed one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.detection.estimate import DiameterEstimate
from napari_colloids.detection.trial import EDGE_VOXELS, MIN_COUNT, ScaleScore, fraction, relative_diameters
from napari_colloids.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_colloids.detection.trial import Trials

#: Diameters of the coarse search, in lateral voxels: every second power of the factor; the best one's neighbours at one
#: power follow.
_DIAMETER_FACTOR = 1.25
_COARSE_DIAMETERS = tuple(4.0 * _DIAMETER_FACTOR**k for k in range(0, 15, 2))
#: The coarse search is done without the point reflection first. What has at least this fraction of the best score is
#: scored with it: the two scores differ by up to a third, where few particles are found.
_MIN_CONTENDER_RATIO = 0.4
#: Edge of the part that is searched for the final estimate, in canonical voxels: about eight particles.
_FINE_EDGE_VOXELS = 80
#: An estimate is certain where enough particles are found, of at least this mean confidence, and where every scale that
#: differs by at least this logarithm of the diameter has at most this fraction of the best one's score.
_CERTAIN_MIN_CONFIDENCE = 0.93
_CERTAIN_MAX_SCORE_RATIO = 0.6
_DISTINCT_LOG_RATIO = np.log(1.7)
#: In a mixture the large particles mostly have the best score. They do if, at a diameter smaller by this factor, at
#: least this fraction of the detections is less than half as large as the estimate.
_SMALLER_SCALE_FACTOR = 1.5
_MIN_SMALL_FRACTION = 0.12
#: Where few are large, the small ones may have the best score: at least this fraction of the detections is then much
#: larger than the median.
_MIN_LARGE_FRACTION = 0.03


def estimate_diameter(trials: Trials) -> Generator[Progress, None, DiameterEstimate]:
    """Estimate the typical diameter of the particles in a volume.

    Parameters
    ----------
    trials
        Of the volume.

    Yields
    ------
    Progress
        After every scale.

    Returns
    -------
    DiameterEstimate
        The best guess, certain or not, whatever the image shows; of a mixture of large and small particles it is about
        the mean of all, where both are found.
    """

    def score_at(diameter: float, edge: int = EDGE_VOXELS) -> ScaleScore:
        return ScaleScore.of(trials.at(diameter, edge))

    widest = max(trials.volume.shape[1:])
    coarse = [d for d in _COARSE_DIAMETERS if d <= widest] or [_COARSE_DIAMETERS[0]]
    total = len(coarse) + 5  # with two neighbours, two refinements, and one search for small particles
    quick: list[ScaleScore] = []
    for diameter in coarse:
        quick.append(ScaleScore.of(trials.at(diameter, symmetrised=False)))
        yield Progress(len(quick), total, "estimating the diameter")
    least = _MIN_CONTENDER_RATIO * _best(quick).score
    scores = [score_at(d) if one.score >= least else one for d, one in zip(coarse, quick, strict=True)]
    rough = _best(scores).diameter
    last = min(widest, _COARSE_DIAMETERS[-1])
    neighbours = [d for d in (rough / _DIAMETER_FACTOR, rough * _DIAMETER_FACTOR) if _COARSE_DIAMETERS[0] <= d <= last]
    for diameter in neighbours:
        scores.append(score_at(diameter))
        yield Progress(len(scores), total, "estimating the diameter")
    best = _best(scores)
    # The predicted diameters lead to the scale at which they agree with the assumed one.
    for edge, left in ((EDGE_VOXELS, 2), (_FINE_EDGE_VOXELS, 1)):
        diameter = float(np.clip(best.diameter * best.ratio, _COARSE_DIAMETERS[0], _COARSE_DIAMETERS[-1]))
        closer = score_at(diameter, edge)
        best = closer if closer.count else best
        yield Progress(total - left, total, "estimating the diameter")
    diameter = _of_mixture(trials, best)
    yield Progress(total, total, "estimating the diameter")
    return DiameterEstimate(diameter, _is_certain(best, scores))


def _best(scores: list[ScaleScore]) -> ScaleScore:
    return max(scores, key=lambda one: one.score)


def _is_certain(best: ScaleScore, scores: list[ScaleScore]) -> bool:
    """Whether the particles of the best scale are many and clear, and no distinct scale has a score like its."""
    distinct = [one.score for one in scores if abs(np.log(one.diameter / best.diameter)) > _DISTINCT_LOG_RATIO]
    return (
        best.count >= MIN_COUNT
        and best.confidence >= _CERTAIN_MIN_CONFIDENCE
        and max(distinct, default=0.0) <= _CERTAIN_MAX_SCORE_RATIO * best.score
    )


def _of_mixture(trials: Trials, best: ScaleScore) -> float:
    """Return the diameter of the best scale, or the mean diameter where there are small or large particles as well."""
    diameter = best.diameter * best.ratio
    smaller = diameter / _SMALLER_SCALE_FACTOR
    # Below the smallest scale noise has small particles.
    if smaller >= _COARSE_DIAMETERS[0] and _has_small_particles(trials, smaller):
        return _mean_diameter(trials, smaller, smaller)
    if best.large_fraction >= _MIN_LARGE_FRACTION:
        return _mean_diameter(trials, diameter, _SMALLER_SCALE_FACTOR * diameter)
    return diameter


def _has_small_particles(trials: Trials, diameter: float) -> bool:
    """Whether many detections at a diameter are less than half as large as those of the best scale."""
    for symmetrised, least in ((False, _MIN_SMALL_FRACTION / 2), (True, _MIN_SMALL_FRACTION)):
        found = trials.at(diameter, _FINE_EDGE_VOXELS, symmetrised=symmetrised).found
        if fraction(relative_diameters(found) < _SMALLER_SCALE_FACTOR / 2) < least:
            return False
    return True


def _mean_diameter(trials: Trials, diameter: float, highest: float) -> float:
    """Return the mean diameter of a mixture, but not more than `highest`, from a first guess.

    In the mixtures of the training the mean is the canonical diameter. The detections at the guess have a mean that is
    nearer to the true one, so that a second iteration finds more.
    """
    for _ in range(2):
        trial = trials.at(diameter, _FINE_EDGE_VOXELS)
        sizes = relative_diameters(trial.found)
        if len(sizes):
            diameter = min(highest, trial.diameter * float(sizes.mean()))
    return diameter
