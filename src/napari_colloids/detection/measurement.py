"""Measurements on a part of a volume before the search: diameter, bright or dark, height of the voxels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_colloids.detection.diameter import estimate_diameter
from napari_colloids.detection.estimate import DiameterEstimate
from napari_colloids.detection.polarity import MIN_LIGHT, Evidence
from napari_colloids.detection.sparse import is_crowded, iter_sparse_diameter
from napari_colloids.detection.voxel_height import iter_height_factor

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_colloids.detection.trial import Trials
    from napari_colloids.progress import Progress

#: The inverted image is looked at where the particles explain less of the light than this: at a given diameter, where
#: one more part is searched, and at one that was estimated with certainty, where another estimate is made.
_MAX_LIGHT_GIVEN = 0.8
_MAX_LIGHT_CERTAIN = 0.6
#: Where particles are few, noise looks like many smaller than this.
_MIN_DIAMETER_PX = 5.0
#: Where the particles found are wider or narrower than assumed by more than this factor, the diameter is wrong: between
#: large particles the gaps fit a small diameter, and two particles above each other look like a large one.
_MAX_DIAMETER_RATIO = 1.4
#: Measurements that are remembered, in the order in which they were made, and how many: a small image that is searched
#: again with another setting, as in the window, is not measured again.
_REMEMBERED: dict[tuple[object, float | None], DiameterEstimate] = {}
_MAX_REMEMBERED = 16


def iter_measure(trials: Trials, given: float | None) -> Generator[Progress, None, DiameterEstimate]:
    """Measure the diameter where it is not given; check the polarity and the height of the voxels.

    Parameters
    ----------
    trials
        Of the volume.
    given
        Diameter in voxels along x, or None.
    """
    identity = trials.identity()
    if identity is None:
        return (yield from _measured(trials, given))
    known = _REMEMBERED.get((identity, given))
    if known is None:
        known = yield from _measured(trials, given)
        while len(_REMEMBERED) >= _MAX_REMEMBERED:
            _REMEMBERED.pop(next(iter(_REMEMBERED)), None)
        _REMEMBERED[identity, given] = known
    return known


def forget() -> None:
    """Forget what is remembered, as if all images were new."""
    _REMEMBERED.clear()


def _measured(trials: Trials, given: float | None) -> Generator[Progress, None, DiameterEstimate]:
    if given is None:
        estimate = yield from estimate_diameter(trials)
        small = estimate.diameter < _MIN_DIAMETER_PX
        if small or (not estimate.certain and not is_crowded((yield from trials.iter_at(estimate.diameter)))):
            sparse = yield from iter_sparse_diameter(trials)
            if sparse is not None:
                return sparse
        max_light = _MAX_LIGHT_CERTAIN if estimate.certain else 1.0
    else:
        estimate, max_light = DiameterEstimate(given, certain=True), _MAX_LIGHT_GIVEN
    trial = yield from trials.iter_at(estimate.diameter)
    evidence = Evidence.of(trials, trial)
    fits = 1 / _MAX_DIAMETER_RATIO < evidence.score.ratio < _MAX_DIAMETER_RATIO
    if not fits and evidence.light >= MIN_LIGHT:
        return estimate
    if evidence.light <= max_light:
        inverted = trials.inverted()
        diameter = given or (yield from estimate_diameter(inverted)).diameter
        dark = yield from inverted.iter_at(diameter)
        if Evidence.of(inverted, dark).outweighs(evidence):
            return replace(estimate, negative_certain=True)
    if not fits:
        return estimate
    return replace(estimate, height_factor=(yield from iter_height_factor(trials, trial)))
