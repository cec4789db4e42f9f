"""Estimate of the diameter where particles are few and far between, from the places that stand out from the noise.

In a part of such a stack there is hardly a particle, but much noise, which looks like small ones at a small scale. So
the network is applied around the places alone, and what it finds elsewhere does not count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_colloids.detection.candidates import Candidates, suppress_overlaps
from napari_colloids.detection.contrast import iter_places
from napari_colloids.detection.estimate import DiameterEstimate
from napari_colloids.detection.inference import candidates_in
from napari_colloids.detection.methods import DEFAULT_THRESHOLD, FLOOR
from napari_colloids.detection.network import MULTIPLE
from napari_colloids.detection.scale import CANONICAL_DIAMETER, MARGIN, Scale
from napari_colloids.detection.tiles import Tile
from napari_colloids.progress import Progress
from napari_colloids.volumes import shape_of

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

    from napari_colloids.detection.trial import Trial, Trials

    Array = NDArray[np.float64]

#: Diameters at which places are looked for, in lateral voxels.
_DIAMETERS = (4.0, 6.5, 10.5, 17.0, 27.0)
#: At most this fraction of the volume may be filled by them.
_MAX_FILLED = 0.05
#: Most places that the network is applied to, and the edge of the box around each in canonical voxels.
_MAX_PLACES = 8
_EDGE_VOXELS = 32
#: Factors of the diameter at which places stand out the most, at which the network is tried.
_FACTORS = (0.5, 0.63, 0.8, 1.0, 1.25)
#: Standard deviation of the logarithm of predicted over assumed diameter, in the score of a scale.
_LOG_RATIO_SIGMA = 0.2
#: Least mean confidence at the places, and the number of particles from which, and mean confidence from which, the
#: estimate is certain.
_MIN_CONFIDENCE = 0.8
_CERTAIN_COUNT = 6
_CERTAIN_CONFIDENCE = 0.93


class _Tried(NamedTuple):
    """What the network finds at the places: diameter, its median ratio to the assumed one, confidence at each place."""

    diameter: float
    ratio: float
    confidence: Array

    @property
    def score(self) -> float:
        return float(self.confidence.mean() * np.exp(-0.5 * (np.log(self.ratio) / _LOG_RATIO_SIGMA) ** 2))


def iter_sparse_diameter(trials: Trials) -> Generator[Progress, None, DiameterEstimate | None]:
    """Estimate the diameter of particles that fill next to nothing of a volume.

    Parameters
    ----------
    trials
        Of the volume.

    Yields
    ------
    Progress
        After every part of the volume and every scale.

    Returns
    -------
    DiameterEstimate or None
        None where nothing stands out, much does, or the network does not take it for particles.
    """
    places, widths, filled = yield from _iter_outstanding(trials)
    if len(places) == 0 or filled > _MAX_FILLED:
        return None
    tried: list[_Tried] = []
    for factor in _FACTORS:
        tried.append(_try(trials, places, factor * float(np.median(widths))))
        yield Progress(len(tried), len(_FACTORS) + 1, "estimating the diameter")
    best = max(tried, key=lambda one: one.score)
    best = max(best, _try(trials, places, best.diameter * best.ratio), key=lambda one: one.score)
    yield Progress(1, 1, "estimating the diameter")
    if best.confidence.mean() < _MIN_CONFIDENCE or is_crowded(trials.at(best.diameter * best.ratio)):
        return None
    seen = best.confidence >= DEFAULT_THRESHOLD["network"]
    certain = seen.sum() >= _CERTAIN_COUNT and best.confidence[seen].mean() >= _CERTAIN_CONFIDENCE
    return DiameterEstimate(best.diameter * best.ratio, bool(certain))


def is_crowded(trial: Trial) -> bool:
    """Whether what was found in a part of a volume fills more than a little of it."""
    return float(4 / 3 * np.pi * (trial.found.radii**3).sum()) > _MAX_FILLED * trial.volume


def _iter_outstanding(trials: Trials) -> Generator[Progress, None, tuple[Array, Array, float]]:
    """Return the places that stand out the most, the diameters at which they do, and the fraction that all fill."""
    shape, proportions = shape_of(trials.volume), trials.proportions
    found, contrasts, widths, share = [np.empty((0, 3))], [np.empty(0)], [np.empty(0)], [np.empty(0)]
    for diameter in _DIAMETERS:
        if diameter > max(shape[1:]) / 2:
            break
        positions, contrast, volume = yield from iter_places(trials.volume, diameter, proportions)
        found.append(positions * proportions)
        contrasts.append(contrast)
        widths.append(np.full(len(contrast), diameter))
        share.append(np.full(len(contrast), np.pi / 6 / volume))
    places, width = np.concatenate(found), np.concatenate(widths)
    # One particle stands out at several scales; the one at which it does the most is kept.
    order = np.argsort(-np.concatenate(contrasts), kind="stable")
    kept: list[int] = []
    for one in order.tolist():
        apart = np.linalg.norm(places[kept] - places[one], axis=1)
        if np.all(apart > np.maximum(width[kept], width[one])):
            kept.append(one)
        if np.concatenate(share)[kept].sum() > _MAX_FILLED:
            break
    filled = float(np.concatenate(share)[kept].sum())
    return places[kept[:_MAX_PLACES]] / proportions, width[kept[:_MAX_PLACES]], filled


def _try(trials: Trials, places: Array, diameter: float) -> _Tried:
    """Apply the network around the places, at a diameter in lateral voxels."""
    scale = Scale.for_diameter(diameter, shape_of(trials.volume), trials.proportions)
    centres = scale.to_canonical(places)
    confidence, ratio = np.zeros(len(places)), np.ones(len(places))
    tiles = [_tile(centre, scale) for centre in centres]
    steps = candidates_in(tiles, trials.volume, scale, trials.levels, trials.network, "cpu", FLOOR)
    boxes = (step for step in steps if isinstance(step, Candidates))
    for number, (centre, box) in enumerate(zip(centres, boxes, strict=True)):
        found = suppress_overlaps(box)
        found = found[np.linalg.norm(found.positions - centre, axis=1) < CANONICAL_DIAMETER / 2]
        if len(found):
            clearest = int(np.argmax(found.confidence))
            confidence[number] = found.confidence[clearest]
            ratio[number] = 2 * found.radii[clearest] / CANONICAL_DIAMETER
    seen = confidence > 0
    middle = float(np.median(ratio[seen])) if seen.any() else 1.0
    return _Tried(CANONICAL_DIAMETER * scale.lateral_step, middle, confidence)


def _tile(centre: Array, scale: Scale) -> Tile:
    """Return the box of the padded canonical volume around a place, which begins at a cell of the network."""
    padded = np.array(scale.padded_shape)
    size = np.minimum(padded, _EDGE_VOXELS)
    first = np.rint((centre + MARGIN - size / 2) / MULTIPLE).astype(int) * MULTIPLE
    low = np.clip(first, 0, (padded - size) // MULTIPLE * MULTIPLE)
    (a, b, c), (d, e, f) = low.tolist(), (low + size).tolist()
    return Tile((a, b, c), (d, e, f), (a, b, c), (d, e, f))
