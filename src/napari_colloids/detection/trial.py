"""Trial: the network applied to one part of a volume at an assumed diameter, and how well what it finds fits that."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.detection.candidates import Candidates, suppress_overlaps
from napari_colloids.detection.inference import candidates_in, prepare, without_margin
from napari_colloids.detection.network import MULTIPLE
from napari_colloids.detection.normalise import GreyLevels
from napari_colloids.detection.scale import CANONICAL_DIAMETER, Scale
from napari_colloids.detection.tiles import Tile
from napari_colloids.errors import ColloidsError
from napari_colloids.progress import Progress, result_of
from napari_colloids.volumes import Inverted, shape_of

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

    from napari_colloids.detection.network import CentreNet
    from napari_colloids.detection.overview import Overview
    from napari_colloids.stack import VoxelSize
    from napari_colloids.volumes import Volume

#: Edge of the part that is searched, in canonical voxels: about six particles.
EDGE_VOXELS = 64
#: Fewer particles say nothing.
MIN_COUNT = 6
#: Candidates of a lower confidence are left out: noise has many of them, at the wrong scale.
_MIN_CONFIDENCE = 0.6
#: Exponent with which the weight of a detection grows with its confidence above the minimum.
_WEIGHT_EXPONENT = 4
#: Standard deviation of the logarithm of predicted over assumed diameter, in the score of a scale.
_LOG_RATIO_SIGMA = 0.2
#: Detections of at least this confidence decide whether sizes are mixed.
_MIXTURE_MIN_CONFIDENCE = 0.8
#: Where few are large, the small ones may have the best score: some detections are then larger than the median by this
#: factor.
_LARGE_SIZE_RATIO = 1.6


@dataclass(frozen=True, eq=False)
class Trial:
    """What the network finds in a part of a volume.

    Attributes
    ----------
    diameter
        The assumed one as the scale rounds it, in lateral voxels.
    found
        Candidates without overlaps, in canonical voxels of the volume.
    low, high
        Corners of the part ``(z, y, x)`` in canonical voxels.
    scale
        Of the volume.
    """

    diameter: float
    found: Candidates
    low: NDArray[np.intp]
    high: NDArray[np.intp]
    scale: Scale

    @property
    def volume(self) -> float:
        """Of the part, in canonical voxels."""
        return float(np.prod(self.high - self.low))


@dataclass(frozen=True, eq=False)
class Trials:
    """A volume with all that the network needs to be applied to parts of it.

    Attributes
    ----------
    volume
        Array-like ``(z, y, x)``.
    overview, levels
        Of the volume.
    proportions
        Edges ``(z, y, x)`` of a voxel over the one along x.
    network
        On the CPU.
    """

    volume: Volume
    overview: Overview
    levels: GreyLevels
    proportions: VoxelSize
    network: CentreNet
    _done: dict[tuple[Scale, int, bool], Trial] = field(default_factory=dict, init=False)

    def identity(self) -> tuple[object, ...] | None:
        """Return a key under which what is measured here can be kept; None where the overview has not every voxel."""
        if self.overview.step > 1:
            return None
        digest = hashlib.sha1(np.ascontiguousarray(self.overview.sample).data, usedforsecurity=False)
        return digest.hexdigest(), self.overview.sample.dtype, shape_of(self.volume), self.proportions, self.network

    def inverted(self) -> Trials:
        """Return those of the inverted volume."""
        overview = self.overview.inverted()
        return replace(self, volume=Inverted(self.volume), overview=overview, levels=GreyLevels.of(overview))

    def with_height(self, factor: float) -> Trials:
        """Return those of the volume with voxels that are higher by a factor."""
        z, y, x = self.proportions
        return replace(self, proportions=(z * factor, y, x))

    def at(self, diameter: float, edge: int = EDGE_VOXELS, *, symmetrised: bool = True) -> Trial:
        """Do as `iter_at`, in one go."""
        return result_of(self.iter_at(diameter, edge, symmetrised=symmetrised))

    def iter_at(
        self, diameter: float, edge: int = EDGE_VOXELS, *, symmetrised: bool = True
    ) -> Generator[Progress, None, Trial]:
        """Apply the network to the part whose grey levels vary most, on the scale of an assumed diameter.

        Parameters
        ----------
        diameter
            In voxels along x.
        edge
            Of the part, in canonical voxels.
        symmetrised
            Whether to average over the part and its point reflection; without, it takes half as long.

        Yields
        ------
        Progress
            Several times, so that a caller can stop.

        Raises
        ------
        ColloidsError
            If the network fails, or memory runs out.
        """
        scale = Scale.for_diameter(diameter, shape_of(self.volume), self.proportions)
        known = self._done.get((scale, edge, symmetrised))
        if known is not None:
            return known
        tile = _most_varied_part(self.overview, scale, edge)
        steps = candidates_in(
            [tile],
            self.volume,
            scale,
            self.levels,
            self.network,
            "cpu",
            _MIN_CONFIDENCE,
            symmetrised=symmetrised,
        )
        found = Candidates.joined([])
        try:
            for step in steps:
                if isinstance(step, Candidates):
                    found = step
                else:
                    yield Progress(0, 1, "checking the stack")
        except (RuntimeError, MemoryError) as error:
            raise ColloidsError(f"The network failed on cpu: {error}") from error
        low = np.maximum(without_margin(tile.low), 0)
        high = np.minimum(without_margin(tile.high), scale.canonical_shape)
        trial = Trial(CANONICAL_DIAMETER * scale.lateral_step, suppress_overlaps(found), low, high, scale)
        self._done[scale, edge, symmetrised] = trial
        return trial

    def image(self, trial: Trial) -> NDArray[np.float32]:
        """Return the normalised image of the part that was searched, in canonical voxels."""
        low, high = (tuple(corner.tolist()) for corner in (trial.low, trial.high))
        image: NDArray[np.float32] = prepare(self.volume, low, high, trial.scale, self.levels).numpy()
        return image


@dataclass(frozen=True)
class ScaleScore:
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
    def of(cls, trial: Trial) -> ScaleScore:
        """Score what was found."""
        found = trial.found
        if len(found) == 0:
            return cls(trial.diameter, 1.0, 0.0, 0.0, 0, 0.0)
        ratio = _weighted_median(2 * found.radii / CANONICAL_DIAMETER, found.confidence)
        filled = float((_weight(found.confidence) * 4 / 3 * np.pi * found.radii**3).sum() / trial.volume)
        agreement = float(np.exp(-0.5 * (np.log(ratio) / _LOG_RATIO_SIGMA) ** 2))
        mean = float((found.confidence**2).sum() / found.confidence.sum())
        enough = min(1.0, len(found) / MIN_COUNT) ** 2
        large = fraction(relative_diameters(found) > _LARGE_SIZE_RATIO * ratio)
        return cls(trial.diameter, ratio, filled * agreement * float(_weight(mean)) * enough, mean, len(found), large)


def relative_diameters(found: Candidates) -> NDArray[np.float64]:
    """Return the diameters of the confident detections over the canonical one."""
    return 2 * found.radii[found.confidence >= _MIXTURE_MIN_CONFIDENCE] / CANONICAL_DIAMETER


def fraction(marked: NDArray[np.bool_]) -> float:
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
    sides = [
        {corner: _source_side(scale, axis, corner, corner + size[axis]) for corner in corners[axis]}
        for axis in range(3)
    ]

    def spread(corner: tuple[int, int, int]) -> float:
        z, y, x = corner
        part = overview.part((sides[0][z], sides[1][y], sides[2][x]))
        step = max(1, round((math.prod(part.shape) / 4000) ** (1 / 3)))
        few = part[::step, ::step, ::step]
        if few.dtype.kind == "f":
            few = np.nan_to_num(few)
        with np.errstate(over="ignore", invalid="ignore"):  # of grey levels such as 1e38
            return float(few.std())

    z, y, x = max(((z, y, x) for z, y, x in product(*corners)), key=spread)
    high = z + size[0], y + size[1], x + size[2]
    return Tile((z, y, x), high, (z, y, x), high)


def _source_side(scale: Scale, axis: int, low: int, high: int) -> slice:
    """Return the source voxels along an axis of canonical ones that count from the margin."""
    return scale.source_slices(without_margin((low, low, low)), without_margin((high, high, high)))[axis]


def _weighted_median(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    order = np.argsort(values)
    below = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(below, below[-1] / 2)])
