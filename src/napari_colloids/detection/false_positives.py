"""Test for false positives: whether a search found particles, or what the network finds in noise.

Where confidences are high there is nothing to test. Elsewhere the image is asked: do the candidates stand out from the
noise around them (`contrast`); where they are dense, is the network more confident than by chance (`chance`); where
they are few, do they explain more of the image than what is found by chance (`explained`)? What does none of these gets
half of its confidence, which is below the default threshold.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.detection.chance import ComparedBox
from napari_colloids.detection.contrast import CERTAIN_CONTRAST, iter_contrasts
from napari_colloids.detection.methods import DEFAULT_THRESHOLD

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

    from napari_colloids.detection.candidates import Candidates
    from napari_colloids.detection.plan import Plan
    from napari_colloids.progress import Progress
    from napari_colloids.volumes import Volume

#: Factor of the confidence of what looks like noise: less than the default threshold.
DOUBT = 0.5
#: Below this diameter single bright voxels look like clear particles, so that confidences say little; where the
#: diameter is uncertain, too, neither does it say anything that they stand out.
_MIN_DIAMETER_PX = 3.5
#: No microscope images a particle on fewer voxels than this: an estimate below it is that of single bright voxels.
_MIN_ESTIMATED_DIAMETER_PX = 2.5
#: Candidates whose median confidence is at least this are particles: of clouds it was 0.96 at most.
_CERTAIN_CONFIDENCE = 0.975
#: Those of at least this are particles unless their image is as smooth and as symmetric as clouds are.
_CLEAR_CONFIDENCE = 0.95
#: At an uncertain diameter the confidence of particles must be higher, and even more so of few.
_CERTAIN_CONFIDENCE_UNCERTAIN = 0.97
_CERTAIN_CONFIDENCE_OF_FEW = 0.995
_FEW = 6
#: Where a candidate stands out, those of at least this contrast are particles.
_MIN_CONTRAST = 5.0
#: Where at least this fraction is as high, the others are left as they are: they may be dim.
_MIN_FRACTION = 0.5
#: Candidates of at least this median confidence may be particles: of those that stand out, spots on uneven light have
#: less. Those that do not stand out may be dense: they are particles where the excess of the mean logit over that in a
#: surrogate is at least this. Of dense particles, however dim, it is .3 to 1.6, of noise -.5 to .15.
_MIN_CONFIDENCE = 0.80
_MIN_EXCESS = 0.2
#: The same at an uncertain diameter, where the excess must also be this many of its standard errors.
_MIN_CONFIDENCE_UNCERTAIN = 0.90
_MIN_EXCESS_ERRORS = 3.5
#: Where too few are in the box that is compared with a surrogate, those of at least this median confidence are
#: particles.
_MIN_CONFIDENCE_OF_FEW = 0.90
#: Clouds are smoother than this, and crowded spheres sharper: 0.33 to 1.1 and 0.1 to 0.3, dilute ones 0.3 to 0.5.
_MAX_SMOOTHNESS = 0.31
#: Hardly any spheres are as sharp as this; rows and columns of a scanner mostly are, 0.03 to 0.12, and they are
#: asymmetric.
_MIN_SMOOTHNESS = 0.1
#: Particles that fill less of the volume than this mostly stand out.
_MIN_CROWDED_FRACTION = 0.15
#: What is smooth, or neither crowded nor stands out, must be as asymmetric as this, and by so many errors: noise is by
#: less than 0.3, or 1 where few are found.
_MIN_ASYMMETRY = 0.34
_MIN_ASYMMETRY_ERRORS = 2.5
#: What is crowded may be less asymmetric by so many errors: of crowded particles it is 0.5 and more.
_CROWDED_ERRORS = 1.0
#: Excess from which what is crowded may be as dark as bright: of thin shells, which may be, it is 0.9 to 1.8; of noise
#: less than 0.3.
_MIN_EXCESS_OF_SYMMETRIC = 0.6
#: Few particles, whose excess and asymmetry each have large errors, are told by both: at least so much of each, and by
#: so many errors together (more at an uncertain diameter), of at least this median confidence. Of noise there was never
#: as much of both.
_MIN_CONFIDENCE_OF_BOTH = 0.85
_MIN_ASYMMETRY_OF_BOTH = 0.25
_MIN_ERRORS_OF_BOTH = 1.9
_MIN_ERRORS_OF_BOTH_UNCERTAIN = 2.5
#: Or by how much of the image spheres explain: at least so many, and at most so many in the box, of at least
#: `_MIN_CONFIDENCE`, are particles where it is at least this, and so many times the mean of what it is in surrogates.
#: Of noise without clouds it is mostly 0 to 0.1.
_MIN_EXPLAINING_COUNT, _MAX_EXPLAINING_COUNT = 6, 250
_MIN_EXPLAINED = 0.35
_MIN_EXPLAINED_OVER_CHANCE = 1.15
#: The same of an image as smooth as clouds, and how many times the most of any surrogate.
_MIN_EXPLAINED_SMOOTH = 0.5
_MIN_EXPLAINED_OVER_MOST_SMOOTH = 1.2
#: And, where these are told by confidence and are few, as clouds are, how many times the mean.
_MIN_EXPLAINED_OVER_CHANCE_SMOOTH = 1.1
_MAX_CLOUDS = 60
#: Where particles fill less of the volume than this, each that is not clear has to stand out as the others do, if by
#: less.
_MAX_SPARSE_FRACTION = 0.01
_MIN_FAINT_CONTRAST = 4.25


def iter_false_positives(
    volume: Volume, plan: Plan, found: Candidates, *, may_be_noise: bool = True
) -> Generator[Progress, None, NDArray[np.bool_]]:
    """Mark the candidates of the network that look like noise.

    Parameters
    ----------
    volume
        Array-like ``(z, y, x)`` that was searched.
    plan
        Of the search.
    found
        Candidates in voxels of the volume, without overlaps.
    may_be_noise
        Whether there may be no particles at all; else only doubtful ones among few that stand out are marked.

    Yields
    ------
    Progress
        Where the image is needed.

    Returns
    -------
    numpy.ndarray
        Shape ``(N,)``; all candidates, or those that do not stand out, also those below the threshold.
    """
    likely = found.confidence >= DEFAULT_THRESHOLD["network"]
    if not likely.any():
        return likely
    if may_be_noise:
        marked = yield from _iter_like_noise(volume, plan, found, likely)
        if marked.any():
            return marked
    return (yield from _iter_faint(volume, plan, found, likely))


def _iter_faint(
    volume: Volume, plan: Plan, found: Candidates, likely: NDArray[np.bool_]
) -> Generator[Progress, None, NDArray[np.bool_]]:
    """Mark single doubtful candidates among clear ones that are few: the noise between these is much."""
    doubtful = found.confidence < _CLEAR_CONFIDENCE
    if (
        _filled(found[likely], plan) > _MAX_SPARSE_FRACTION
        or not (likely & doubtful).any()
        or not (likely & ~doubtful).any()
    ):
        return np.zeros(len(found), bool)
    contrast = yield from iter_contrasts(volume, plan.diameter, plan.proportions, found)
    if np.median(contrast[likely & ~doubtful]) < CERTAIN_CONTRAST:
        return np.zeros(len(found), bool)
    return doubtful & (contrast < _MIN_FAINT_CONTRAST)


def _iter_like_noise(
    volume: Volume, plan: Plan, found: Candidates, likely: NDArray[np.bool_]
) -> Generator[Progress, None, NDArray[np.bool_]]:
    """Mark all candidates, or those that do not stand out, where the likely ones look like noise as a whole."""
    nothing = np.zeros(len(found), bool)
    if not plan.options.gives_diameter and plan.diameter < _MIN_ESTIMATED_DIAMETER_PX:
        return ~nothing
    certain, large = plan.estimate.certain, plan.diameter >= _MIN_DIAMETER_PX
    median = float(np.median(found.confidence[likely]))
    if large and median >= _certain_confidence(int(likely.sum()), certain):
        return nothing
    box = ComparedBox.around(np.median(found.positions[likely], axis=0), volume, plan)
    clear = large and certain and median >= _CLEAR_CONFIDENCE
    smooth = certain and box.smoothness() > _MAX_SMOOTHNESS
    if clear and not smooth:
        return nothing
    contrast = yield from iter_contrasts(volume, plan.diameter, plan.proportions, found)
    stands = likely & (contrast >= CERTAIN_CONTRAST)
    standing = bool(stands.any()) and float(np.median(found.confidence[stands])) >= _MIN_CONFIDENCE
    strict = not large and not certain
    if standing and not strict and (clear or float((contrast[likely] >= _MIN_CONTRAST).mean()) >= _MIN_FRACTION):
        return nothing
    if (yield from _iter_is_dense(box, found[likely], smooth)):
        return nothing
    return contrast < _MIN_CONTRAST if standing and not strict else ~nothing


def _certain_confidence(number: int, certain: bool) -> float:
    """Return the median confidence from which so many candidates at a diameter, certain or not, are particles."""
    if certain:
        return _CERTAIN_CONFIDENCE
    return _CERTAIN_CONFIDENCE_OF_FEW if number < _FEW else _CERTAIN_CONFIDENCE_UNCERTAIN


def _filled(likely: Candidates, plan: Plan) -> float:
    """Return the fraction of the volume that candidates fill."""
    volume = float(np.prod(plan.shape)) * float(np.prod(plan.proportions))
    return 4 / 3 * np.pi * float((likely.radii**3).sum()) / volume


def _iter_is_dense(box: ComparedBox, likely: Candidates, smooth: bool) -> Generator[Progress, None, bool]:
    """Whether candidates, none of which stands out, are more than what the network finds by chance."""
    median = float(np.median(likely.confidence))
    if median < _MIN_CONFIDENCE:
        return False
    seen = yield from box.iter_seen()
    sharp = box.smoothness() < _MIN_SMOOTHNESS or box.is_striped()
    confident = not sharp and (yield from _iter_is_confident(box, likely, seen, smooth))
    cloudy = box.smoothness() > _MAX_SMOOTHNESS
    unsuitable = len(likely) < _MIN_EXPLAINING_COUNT or len(seen) > _MAX_EXPLAINING_COUNT
    if unsuitable or (confident and not (cloudy and len(seen) <= _MAX_CLOUDS)):
        return confident
    explained, by_chance = yield from box.iter_explained()
    mean, most = float(np.mean(by_chance)), max(by_chance)
    if confident:
        return explained >= _MIN_EXPLAINED_OVER_CHANCE_SMOOTH * mean
    if cloudy:
        return explained >= max(_MIN_EXPLAINED_SMOOTH, _MIN_EXPLAINED_OVER_MOST_SMOOTH * most)
    return explained >= max(_MIN_EXPLAINED, _MIN_EXPLAINED_OVER_CHANCE * mean)


def _iter_is_confident(
    box: ComparedBox, likely: Candidates, seen: NDArray[np.float64], smooth: bool
) -> Generator[Progress, None, bool]:
    """Whether the network is more confident about candidates, or more in the image than its inverse, than by chance."""
    certain = box.plan.estimate.certain
    median = float(np.median(likely.confidence))
    excess, error = yield from box.iter_excess(seen)
    if not certain and median >= _MIN_CONFIDENCE_UNCERTAIN and excess >= max(_MIN_EXCESS, _MIN_EXCESS_ERRORS * error):
        return True
    asymmetry, asymmetry_error = yield from box.iter_asymmetry(seen)
    if not certain or smooth or _filled(likely, box.plan) < _MIN_CROWDED_FRACTION:
        if (
            median >= _MIN_CONFIDENCE_OF_BOTH
            and min(excess / _MIN_EXCESS, asymmetry / _MIN_ASYMMETRY_OF_BOTH) >= 1
            and excess / error + asymmetry / asymmetry_error
            >= (_MIN_ERRORS_OF_BOTH if certain else _MIN_ERRORS_OF_BOTH_UNCERTAIN)
        ):
            return True
        if not certain or asymmetry < max(_MIN_ASYMMETRY, _MIN_ASYMMETRY_ERRORS * asymmetry_error):
            return False
    elif asymmetry < _MIN_ASYMMETRY - _CROWDED_ERRORS * asymmetry_error and excess < _MIN_EXCESS_OF_SYMMETRIC:
        return False
    if median >= _CLEAR_CONFIDENCE:
        return True
    return excess >= _MIN_EXCESS if np.isfinite(error) else median >= _MIN_CONFIDENCE_OF_FEW


def doubted(found: Candidates, false: NDArray[np.bool_]) -> Candidates:
    """Return the candidates with `DOUBT` about those that look like noise."""
    return replace(found, confidence=np.where(false, DOUBT * found.confidence, found.confidence))


def false_positive_notices(plan: Plan, found: Candidates, false: NDArray[np.bool_]) -> list[str]:
    """Return what the user should know about candidates, before any `doubted`, that look like noise."""
    threshold = DEFAULT_THRESHOLD["network"]
    likely = found.confidence >= threshold
    if not (likely & false).any():
        return []
    insist = f"a threshold of {DOUBT * threshold:.2g} shows them"
    if not plan.options.gives_diameter:
        insist = f"the diameter, where you know it, may find more, and {insist}"
    median = float(np.median(found.confidence[likely & false]))
    if (likely & ~false).any():
        return [
            f"Candidates that do not stand out from the noise were left out (median confidence {median:.2f}). If they "
            f"are particles, {insist}."
        ]
    return [
        f"No clear particles: what was found looks like noise (median confidence {median:.2f}"
        f"{'' if plan.estimate.certain else ', diameter uncertain'}). If there are particles, {insist}."
    ]
