"""The diameter of the particles, from the image alone.

The network is shown a part of the stack at many magnifications. It was trained on particles near one size, so only
near the right magnification does it find many of them, is it confident, and do the radii that it predicts agree with
the one that was assumed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

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

    FoundAt = Callable[[float, int], tuple[float, Candidates, float]]

#: Diameters that are tried first, in lateral voxels; then those halfway to the ones beside the best.
_STEP = 1.25
_DIAMETERS = tuple(4.0 * _STEP**k for k in range(0, 15, 2))
#: Edge of the part that is looked at, in canonical voxels: about eight particles, and six at a glance.
_EDGE = 80
_GLANCE = 64
#: Candidates below this confidence say nothing about the scale: noise has many of them, and the wrong scale.
_FLOOR = 0.6
#: How steeply a particle's say grows with its confidence above the floor.
_STEEPNESS = 4
#: How far (as a logarithm) predicted and assumed size may differ before a scale counts little.
_AGREEMENT = 0.2
#: An estimate is certain when the particles found there are this confident on average,
_SURE_CONFIDENCE = 0.93
#: are at least so many,
_SURE_COUNT = 6
#: and no scale that is really different explains more than this fraction of what the best one does.
_SURE_RIVAL = 0.6
_DIFFERENT = np.log(1.7)
#: Where large and small particles are mixed, the large ones explain most. They are if, seen at a scale smaller by this,
_BETWEEN = 1.5
#: at least this share of the particles of at least this confidence are less than half as large as the estimate.
_MIXED = 0.12
_CLEAR = 0.8
#: Where few are large, the small ones may explain more. So many of the clear ones are then so many times as large.
_FEW = 0.03
_LARGE = 1.6


@dataclass(frozen=True)
class _Look:
    """What was seen at one assumed diameter.

    Attributes
    ----------
    diameter
        The assumed one, in lateral voxels.
    ratio
        Median of the predicted diameters over the assumed one.
    explained
        Fraction of the volume in confident particles, the less the less they agree with the assumed size, and the less
        if they are few: light that falls off to the sides, or a half that is empty, looks like one particle as large as
        the stack.
    confidence
        Mean over the particles.
    count
        Of the particles.
    large
        Share of the clear particles that are much larger than the median.
    """

    diameter: float
    ratio: float
    explained: float
    confidence: float
    count: int
    large: float

    @classmethod
    def at(cls, diameter: float, found: Candidates, volume: float) -> _Look:
        """Sum up what `_found` found."""
        if len(found) == 0:
            return cls(diameter, 1.0, 0.0, 0.0, 0, 0.0)
        ratio = _weighted_median(2 * found.radii / CANONICAL_DIAMETER, found.confidence)
        filled = float((_say(found.confidence) * 4 / 3 * np.pi * found.radii**3).sum() / volume)
        agreement = float(np.exp(-0.5 * (np.log(ratio) / _AGREEMENT) ** 2))
        mean = float((found.confidence**2).sum() / found.confidence.sum())
        many = min(1.0, len(found) / _SURE_COUNT) ** 2
        large = _share(_clear_sizes(found) > _LARGE * ratio)
        return cls(diameter, ratio, filled * agreement * float(_say(mean)) * many, mean, len(found), large)


def estimate_diameter(
    volume: Any, overview: Overview, levels: GreyLevels, proportions: VoxelSize, network: CentreNet
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
        After every magnification.

    Returns
    -------
    DiameterEstimate
        The estimate is the best guess, if not a certain one, whatever the image shows; of a mixture of large and small
        particles it is about the mean of all, where both are found.
    """
    found_at = partial(_found, volume, overview, levels, proportions, network)

    def look(diameter: float, edge: int = _GLANCE) -> _Look:
        return _Look.at(*found_at(diameter, edge))

    widest = max(volume.shape[1:])
    wanted = [d for d in _DIAMETERS if d <= widest] or [_DIAMETERS[0]]
    total = len(wanted) + 5  # with those beside the best, two close looks, and one for small particles
    looks: list[_Look] = []

    def best_of_all() -> _Look:
        return max(looks, key=lambda seen: seen.explained)

    for diameter in wanted:
        looks.append(look(diameter))
        yield Progress(len(looks), total, "estimating the diameter")
    rough = best_of_all().diameter
    beside = [d for d in (rough / _STEP, rough * _STEP) if _DIAMETERS[0] <= d <= min(widest, _DIAMETERS[-1])]
    for diameter in beside:
        looks.append(look(diameter))
        yield Progress(len(looks), total, "estimating the diameter")
    best = best_of_all()
    # The predicted sizes lead to the scale at which they agree with the assumed one.
    for edge, left in ((_GLANCE, 2), (_EDGE, 1)):
        diameter = float(np.clip(best.diameter * best.ratio, _DIAMETERS[0], _DIAMETERS[-1]))
        closer = look(diameter, edge)
        best = closer if closer.count else best
        yield Progress(total - left, total, "estimating the diameter")
    rivals = [seen.explained for seen in looks if abs(np.log(seen.diameter / best.diameter)) > _DIFFERENT]
    certain = (
        best.count >= _SURE_COUNT
        and best.confidence >= _SURE_CONFIDENCE
        and max(rivals, default=0.0) <= _SURE_RIVAL * best.explained
    )
    diameter = best.diameter * best.ratio
    between = diameter / _BETWEEN
    # Below the smallest scale noise has small particles.
    if between >= _DIAMETERS[0] and _share(_clear_sizes(found_at(between, _EDGE)[1]) < _BETWEEN / 2) >= _MIXED:
        diameter = _mean_diameter(found_at, between, between)
    elif best.large >= _FEW:
        diameter = _mean_diameter(found_at, diameter, _BETWEEN * diameter)
    yield Progress(total, total, "estimating the diameter")
    return DiameterEstimate(diameter, certain)


def _found(
    volume: Any,
    overview: Overview,
    levels: GreyLevels,
    proportions: VoxelSize,
    network: CentreNet,
    diameter: float,
    edge: int,
) -> tuple[float, Candidates, float]:
    """Apply the network to a part of the volume as if the particles had about this diameter.

    Returns
    -------
    tuple
        The diameter, as the scale has it; what is found, in canonical voxels; and the volume of that part in these.
    """
    scale = Scale.for_diameter(diameter, volume.shape, proportions)
    tile = _most_varied_part(overview, scale, edge)
    steps = candidates_in([tile], volume, scale, levels, network, "cpu", _FLOOR)
    (found,) = (step for step in steps if isinstance(step, Candidates))
    visible = np.minimum(without_margin(tile.high), scale.canonical_shape) - np.maximum(without_margin(tile.low), 0)
    return CANONICAL_DIAMETER * scale.lateral_step, suppress_overlaps(found), float(np.prod(visible))


def _mean_diameter(found_at: FoundAt, diameter: float, most: float) -> float:
    """Return the mean diameter of a mixture, but not more than `most`, from a guess.

    In the mixtures that the network learnt from, the mean is the canonical diameter. What is found at the guess has a
    mean that is nearer to the true one, so that a second look finds more.
    """
    for _ in range(2):
        at, found, _volume = found_at(diameter, _EDGE)
        sizes = _clear_sizes(found)
        if len(sizes):
            diameter = min(most, at * float(sizes.mean()))
    return diameter


def _clear_sizes(found: Candidates) -> NDArray[np.float64]:
    """Return the diameters of the clear ones over the canonical one."""
    return 2 * found.radii[found.confidence >= _CLEAR] / CANONICAL_DIAMETER


def _share(which: NDArray[np.bool_]) -> float:
    return float(which.mean()) if len(which) else 0.0


def _say(confidence: Any) -> Any:
    """Return how much particles of such a confidence have to say about the scale, between 0 and 1."""
    return (np.maximum(confidence - _FLOOR, 0) / (1 - _FLOOR)) ** _STEEPNESS


def _most_varied_part(overview: Overview, scale: Scale, edge: int) -> Tile:
    """Return the box among some in which the grey levels vary most, which means particles; its edge is canonical."""
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


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(values)
    below = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(below, below[-1] / 2)])
