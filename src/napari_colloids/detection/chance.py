"""What the network finds by chance, in images that have the scale of the given one but none of its particles.

One is a surrogate with random phases. The other is the inverse: noise is symmetric about its mean, so that it has as
many clear dark particles as bright ones, and an image of particles has not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.detection.candidates import Candidates, suppress_overlaps
from napari_colloids.detection.explained import explained_fraction
from napari_colloids.detection.inference import candidates_in, prepare
from napari_colloids.detection.methods import DEFAULT_THRESHOLD
from napari_colloids.detection.scale import CANONICAL_DIAMETER, Scale
from napari_colloids.detection.surrogate import surrogate
from napari_colloids.detection.tiles import Tile
from napari_colloids.detection.voxel_height import is_striped, lateral_half_width
from napari_colloids.detection.weights import network_of
from napari_colloids.progress import Progress
from napari_colloids.volumes import read_box

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

    from napari_colloids.detection.plan import Plan
    from napari_colloids.volumes import Volume

    Logits = NDArray[np.float64]

#: Fewer detections in the box are not compared with a surrogate.
_MIN_COUNT = 10
#: Higher confidences count as this one: their logits would outweigh all others.
_MAX_CONFIDENCE = 0.999
#: Edge of the box that is compared, in canonical voxels: about ten particles.
_EDGE_VOXELS = 104
#: Largest edge of the box in voxels of the volume: its spectrum is that of the volume's own voxels, as they may be
#: correlated.
_MAX_EDGE_VOXELS = 192
#: Surrogates in which the network finds what is compared with what it finds in the image.
_N_SURROGATES = 6
_MIN_LOGIT = float(np.log(DEFAULT_THRESHOLD["network"] / (1 - DEFAULT_THRESHOLD["network"])))


@dataclass(frozen=True, eq=False)
class ComparedBox:
    """Part of a volume that is compared with what looks like it but has no particles.

    Attributes
    ----------
    image
        Shape ``(z, y, x)``, grey levels of the volume.
    plan
        Of the search.
    """

    image: NDArray[np.float32]
    plan: Plan

    @classmethod
    def around(cls, centre: NDArray[np.float64], volume: Volume, plan: Plan) -> ComparedBox:
        """Read the box of a volume whose centre lies nearest to z, y, x in voxels."""
        size = np.ceil(np.minimum(_EDGE_VOXELS * np.array(plan.scale.step), _MAX_EDGE_VOXELS)).astype(int)
        first = np.clip(np.rint(centre - size / 2).astype(int), 0, np.maximum(np.array(plan.shape) - size, 0))
        box = tuple(slice(a, a + n) for a, n in zip(first.tolist(), size.tolist(), strict=True))
        image = read_box(volume, box).astype(np.float32)
        return cls(np.nan_to_num(image, posinf=plan.levels.high, neginf=plan.levels.low), plan)

    def smoothness(self) -> float:
        """Return the lateral half width of the autocorrelation over the diameter; infinite of mere noise."""
        return lateral_half_width(self._canonical(self.image)) / CANONICAL_DIAMETER

    def is_striped(self) -> bool:
        """Whether it is the same all along an axis, as rows and columns of a scanner are."""
        return is_striped(self._canonical(self.image))

    def iter_seen(self) -> Generator[Progress, None, Logits]:
        """Return the logits of the confidences above the default threshold."""
        return (yield from self._iter_logits(self.image))

    def iter_excess(self, seen: Logits) -> Generator[Progress, None, tuple[float, float]]:
        """Measure how much more confident the network is than in the surrogate.

        Parameters
        ----------
        seen
            What `iter_seen` returned.

        Yields
        ------
        Progress
            Several times.

        Returns
        -------
        excess : float
            Mean logit of the confidences, less that in the surrogate.
        error : float
            Standard error of it; infinite where there are too few detections in the box.
        """
        if len(seen) < _MIN_COUNT:
            return 0.0, np.inf
        chance = yield from self._iter_logits(surrogate(self.image))
        variance = seen.var(ddof=1) / len(seen)
        if len(chance) < 2:  # next to nothing is found by chance: as if all of it had the lowest confidence
            return float(seen.mean() - _MIN_LOGIT), float(np.sqrt(variance))
        return float(seen.mean() - chance.mean()), float(np.sqrt(variance + chance.var(ddof=1) / len(chance)))

    def iter_asymmetry(self, seen: Logits) -> Generator[Progress, None, tuple[float, float]]:
        """Measure how different the image and its inverse are to the network.

        Parameters
        ----------
        seen
            What `iter_seen` returned.

        Yields
        ------
        Progress
            Several times.

        Returns
        -------
        asymmetry : float
            Absolute logarithm of the sum of the logits above the least one in the image over that in the inverse.
        error : float
            Standard deviation of it in noise, as far as its detections are independent.
        """
        inverse = yield from self._iter_logits(self.plan.levels.low + self.plan.levels.high - self.image)
        one, other = (max(float((logits - _MIN_LOGIT).sum()), 1.0) for logits in (seen, inverse))
        # The logits above the least one are about exponentially distributed: the variance of a sum is twice the number.
        return abs(np.log(one / other)), float(np.sqrt(8 / max(len(seen) + len(inverse), 1)))

    def iter_explained(self) -> Generator[Progress, None, tuple[float, list[float]]]:
        """Measure how much of the image equal spheres explain where the network finds particles.

        Yields
        ------
        Progress
            Several times.

        Returns
        -------
        explained : float
            See `explained_fraction`.
        by_chance : list of float
            The same in surrogates, each with what the network finds there.
        """
        explained = yield from self._iter_explained(self.image)
        by_chance: list[float] = []
        for seed in range(_N_SURROGATES):
            by_chance.append((yield from self._iter_explained(surrogate(self.image, seed))))
        return explained, by_chance

    def _iter_explained(self, image: NDArray[np.float32]) -> Generator[Progress, None, float]:
        found = yield from self._iter_found(image)
        return explained_fraction(self._canonical(image), found)

    def _canonical(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return an image of the box in canonical voxels, as the network sees it."""
        scale = self._scale()
        return prepare(image, (0, 0, 0), scale.canonical_shape, scale, self.plan.levels).numpy()

    def _scale(self) -> Scale:
        z, y, x = self.image.shape
        return Scale.for_diameter(self.plan.diameter, (z, y, x), self.plan.proportions)

    def _iter_logits(self, image: NDArray[np.float32]) -> Generator[Progress, None, Logits]:
        """Return the logits of the confidences above the default threshold that the network has in an image."""
        found = yield from self._iter_found(image)
        likely = np.minimum(found.confidence, _MAX_CONFIDENCE)
        return np.log(likely / (1 - likely))

    def _iter_found(self, image: NDArray[np.float32]) -> Generator[Progress, None, Candidates]:
        """Return the candidates above the default threshold in an image of the box, in its canonical voxels."""
        scale = self._scale()
        tile = Tile((0, 0, 0), scale.padded_shape, (0, 0, 0), scale.padded_shape)
        network = network_of(self.plan.options.weights)
        found = Candidates.joined([])
        for step in candidates_in([tile], image, scale, self.plan.levels, network, "cpu", DEFAULT_THRESHOLD["network"]):
            if isinstance(step, Candidates):
                found = suppress_overlaps(step)
            else:
                yield Progress(1, 1, "telling particles from noise")
        return found
