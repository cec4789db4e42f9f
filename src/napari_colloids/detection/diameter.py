"""Estimate of the particles' diameter from the image alone.

The network is applied to a part of the stack at several scales. It was trained on particles near one size, so only near
the right scale does it find many of them, with a high confidence, and with radii that agree with the assumed one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.detection.candidates import Candidates, suppress_overlaps
from napari_colloids.detection.estimate import DiameterEstimate
from napari_colloids.detection.inference import candidates_in, without_margin
from napari_colloids.detection.network import MULTIPLE
from napari_colloids.detection.scale import CANONICAL_DIAMETER, Scale
from napari_colloids.detection.tiles import Tile
from napari_colloids.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from numpy.typing import NDArray

    from napari_colloids.detection.network import CentreNet
    from napari_colloids.detection.normalise import GreyLevels
    from napari_colloids.detection.overview import Overview
    from napari_colloids.stack import VoxelSize
    from napari_colloids.volumes import Volume

    #: See `_found`, with the volume given: diameter and edge of the part -> what is found there.
    FoundAt = Callable[[float, int], tuple[float, Candidates, float]]

#: Diameters of the coarse search, in lateral voxels: every second power of the factor; the best one's neighbours at one
#: power follow.
_DIAMETER_FACTOR = 1.25
_COARSE_DIAMETERS = tuple(4.0 * _DIAMETER_FACTOR**k for k in range(0, 15, 2))
#: Edge of the part that is searched, in canonical voxels: about six particles for the search of the scale, eight for
#: the final estimate.
_COARSE_EDGE_VOXELS = 64
_FINE_EDGE_VOXELS = 80
#: Candidates of a lower confidence are left out: noise has many of them, at the wrong scale.
_MIN_CONFIDENCE = 0.6
#: Exponent with which the weight of a detection grows with its confidence above the minimum.
_WEIGHT_EXPONENT = 4
#: Standard deviation of the logarithm of predicted over assumed diameter, in the score of a scale.
_LOG_RATIO_SIGMA = 0.2
#: An estimate is certain where at least so many particles are found, of at least this mean confidence, and where every
#: scale that differs by at least this logarithm of the diameter has at most this fraction of the best one's score.
_CERTAIN_MIN_COUNT = 6
_CERTAIN_MIN_CONFIDENCE = 0.93
_CERTAIN_MAX_SCORE_RATIO = 0.6
_DISTINCT_LOG_RATIO = np.log(1.7)
#: Detections of at least this confidence decide whether sizes are mixed.
_MIXTURE_MIN_CONFIDENCE = 0.8
#: In a mixture the large particles mostly have the best score. They do if, at a diameter smaller by this factor, at
#: least this fraction of the detections is less than half as large as the estimate.
_SMALLER_SCALE_FACTOR = 1.5
_MIN_SMALL_FRACTION = 0.12
#: Where few are large, the small ones may have the best score: at least this fraction of the detections is then larger
#: than the median by this factor.
_MIN_LARGE_FRACTION = 0.03
_LARGE_SIZE_RATIO = 1.6


@dataclass(frozen=True)
class _ScaleScore:
    """How well the detections at one assumed diameter fit it.

    Attributes
    ----------
    diameter
        The assumed one, in lateral voxels.
    ratio
        Median of the predicted diameters over the assumed one.
    score
        Fraction of the volume in particles, weighted by their confidence, by the agreement of predicted and assumed
        diameter, and less where they are few: uneven illumination, or a half that is empty, looks like one particle as
        large as the stack.
    confidence
        Mean over the particles.
    count
        Number of particles.
    large_fraction
        Fraction of the confident particles that are much larger than the median.
    """

    diameter: float
    ratio: float
    score: float
    confidence: float
    count: int
    large_fraction: float

    @classmethod
    def of(cls, diameter: float, found: Candidates, volume: float) -> _ScaleScore:
        """Score what `_found` returns."""
        if len(found) == 0:
            return cls(diameter, 1.0, 0.0, 0.0, 0, 0.0)
        ratio = _weighted_median(2 * found.radii / CANONICAL_DIAMETER, found.confidence)
        filled = float((_weight(found.confidence) * 4 / 3 * np.pi * found.radii**3).sum() / volume)
        agreement = float(np.exp(-0.5 * (np.log(ratio) / _LOG_RATIO_SIGMA) ** 2))
        mean = float((found.confidence**2).sum() / found.confidence.sum())
        enough = min(1.0, len(found) / _CERTAIN_MIN_COUNT) ** 2
        large = _fraction(_relative_diameters(found) > _LARGE_SIZE_RATIO * ratio)
        return cls(diameter, ratio, filled * agreement * float(_weight(mean)) * enough, mean, len(found), large)


def estimate_diameter(
    volume: Volume, overview: Overview, levels: GreyLevels, proportions: VoxelSize, network: CentreNet
) -> Generator[Progress, None, DiameterEstimate]:
    """Estimate the typical diameter of the particles in a volume.

    Parameters
    ----------
    volume
        Array-like ``(z, y, x)``.
    overview, levels
        Of the volume.
    proportions
        Edges ``(z, y, x)`` of a voxel over the one along x.
    network
        On the CPU.

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
    found_at = partial(_found, volume, overview, levels, proportions, network)

    def score_at(diameter: float, edge: int = _COARSE_EDGE_VOXELS) -> _ScaleScore:
        return _ScaleScore.of(*found_at(diameter, edge))

    widest = max(volume.shape[1:])
    coarse = [d for d in _COARSE_DIAMETERS if d <= widest] or [_COARSE_DIAMETERS[0]]
    total = len(coarse) + 5  # with two neighbours, two refinements, and one search for small particles
    scores: list[_ScaleScore] = []
    for diameter in coarse:
        scores.append(score_at(diameter))
        yield Progress(len(scores), total, "estimating the diameter")
    rough = _best(scores).diameter
    last = min(widest, _COARSE_DIAMETERS[-1])
    neighbours = [d for d in (rough / _DIAMETER_FACTOR, rough * _DIAMETER_FACTOR) if _COARSE_DIAMETERS[0] <= d <= last]
    for diameter in neighbours:
        scores.append(score_at(diameter))
        yield Progress(len(scores), total, "estimating the diameter")
    best = _best(scores)
    # The predicted diameters lead to the scale at which they agree with the assumed one.
    for edge, left in ((_COARSE_EDGE_VOXELS, 2), (_FINE_EDGE_VOXELS, 1)):
        diameter = float(np.clip(best.diameter * best.ratio, _COARSE_DIAMETERS[0], _COARSE_DIAMETERS[-1]))
        closer = score_at(diameter, edge)
        best = closer if closer.count else best
        yield Progress(total - left, total, "estimating the diameter")
    diameter = _of_mixture(found_at, best)
    yield Progress(total, total, "estimating the diameter")
    return DiameterEstimate(diameter, _is_certain(best, scores))


def _best(scores: list[_ScaleScore]) -> _ScaleScore:
    return max(scores, key=lambda one: one.score)


def _is_certain(best: _ScaleScore, scores: list[_ScaleScore]) -> bool:
    """Whether the particles of the best scale are many and clear, and no distinct scale has a score like its."""
    distinct = [one.score for one in scores if abs(np.log(one.diameter / best.diameter)) > _DISTINCT_LOG_RATIO]
    return (
        best.count >= _CERTAIN_MIN_COUNT
        and best.confidence >= _CERTAIN_MIN_CONFIDENCE
        and max(distinct, default=0.0) <= _CERTAIN_MAX_SCORE_RATIO * best.score
    )


def _of_mixture(found_at: FoundAt, best: _ScaleScore) -> float:
    """Return the diameter of the best scale, or the mean diameter where there are small or large particles as well."""
    diameter = best.diameter * best.ratio
    smaller = diameter / _SMALLER_SCALE_FACTOR
    # Below the smallest scale noise has small particles.
    if smaller >= _COARSE_DIAMETERS[0]:
        small = _relative_diameters(found_at(smaller, _FINE_EDGE_VOXELS)[1]) < _SMALLER_SCALE_FACTOR / 2
        if _fraction(small) >= _MIN_SMALL_FRACTION:
            return _mean_diameter(found_at, smaller, smaller)
    if best.large_fraction >= _MIN_LARGE_FRACTION:
        return _mean_diameter(found_at, diameter, _SMALLER_SCALE_FACTOR * diameter)
    return diameter


def _found(
    volume: Volume,
    overview: Overview,
    levels: GreyLevels,
    proportions: VoxelSize,
    network: CentreNet,
    diameter: float,
    edge: int,
) -> tuple[float, Candidates, float]:
    """Apply the network to a part of the volume on the scale of an assumed diameter.

    Returns
    -------
    tuple
        The diameter, as the scale rounds it; the candidates, in canonical voxels; and the volume of that part in these.
    """
    scale = Scale.for_diameter(diameter, (volume.shape[0], volume.shape[1], volume.shape[2]), proportions)
    tile = _most_varied_part(overview, scale, edge)
    steps = candidates_in([tile], volume, scale, levels, network, "cpu", _MIN_CONFIDENCE)
    (found,) = (step for step in steps if isinstance(step, Candidates))
    visible = np.minimum(without_margin(tile.high), scale.canonical_shape) - np.maximum(without_margin(tile.low), 0)
    return CANONICAL_DIAMETER * scale.lateral_step, suppress_overlaps(found), float(np.prod(visible))


def _mean_diameter(found_at: FoundAt, diameter: float, highest: float) -> float:
    """Return the mean diameter of a mixture, but not more than `highest`, from a first guess.

    In the mixtures of the training the mean is the canonical diameter. The detections at the guess have a mean that is
    nearer to the true one, so that a second iteration finds more.
    """
    for _ in range(2):
        assumed, found, _volume = found_at(diameter, _FINE_EDGE_VOXELS)
        sizes = _relative_diameters(found)
        if len(sizes):
            diameter = min(highest, assumed * float(sizes.mean()))
    return diameter


def _relative_diameters(found: Candidates) -> NDArray[np.float64]:
    """Return the diameters of the confident detections over the canonical one."""
    return 2 * found.radii[found.confidence >= _MIXTURE_MIN_CONFIDENCE] / CANONICAL_DIAMETER


def _fraction(marked: NDArray[np.bool_]) -> float:
    """Return the fraction that is marked; 0 of nothing."""
    return float(marked.mean()) if len(marked) else 0.0


def _weight(confidence: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Return the weight of detections in the score of a scale, between 0 and 1, from their confidence."""
    above: NDArray[np.float64] = np.maximum(confidence - _MIN_CONFIDENCE, 0) / (1 - _MIN_CONFIDENCE)
    return above**_WEIGHT_EXPONENT


def _most_varied_part(overview: Overview, scale: Scale, edge: int) -> Tile:
    """Return the box, out of a grid, whose grey levels vary most, which means particles; its edge is canonical."""
    shape = scale.padded_shape
    size = [min(n, edge) for n in shape]
    corners = [
        sorted({(n - s) * k // 4 // MULTIPLE * MULTIPLE for k in range(5)}) for n, s in zip(shape, size, strict=True)
    ]

    def tile(corner: tuple[int, int, int]) -> Tile:
        high = corner[0] + size[0], corner[1] + size[1], corner[2] + size[2]
        return Tile(corner, high, corner, high)

    def spread(tile: Tile) -> float:
        part = overview.part(scale.source_slices(without_margin(tile.low), without_margin(tile.high)))
        step = max(1, round((np.prod(part.shape) / 4000) ** (1 / 3)))
        return float(np.nan_to_num(part[::step, ::step, ::step]).std())

    return max((tile((z, y, x)) for z, y, x in product(*corners)), key=spread)


def _weighted_median(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    order = np.argsort(values)
    below = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(below, below[-1] / 2)])
