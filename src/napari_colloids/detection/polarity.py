"""Bright or dark: which of an image and its inverse the particles found in it explain better.

Between dense bright particles there are dark gaps that look like particles, and around sparse ones a dark space that
large spheres fill. So what counts is not only how sure the network is, but also how much of the light it explains.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from napari_colloids.detection.scale import CANONICAL_DIAMETER
from napari_colloids.detection.trial import MIN_COUNT, ScaleScore

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_colloids.detection.trial import Trial, Trials

    Image = NDArray[np.float32]

#: Standard deviation of the Gaussian that smooths the image, in canonical voxels: less noise, the same particles.
_SMOOTHING_SIGMA = 1.0
#: Standard deviations of the blur of the spheres in canonical voxels: along z, of which the best counts, and laterally.
_AXIAL_SIGMAS = (2.0, 4.5, 7.0)
_LATERAL_SIGMA = 1.8
#: The other polarity is proposed only where its particles have at least this mean confidence and explain at least this
#: much of the light.
_MIN_CONFIDENCE = 0.9
MIN_LIGHT = 0.6
#: And where its evidence is larger by this factor. On right bright stacks the inverse never had more than 0.43 of the
#: evidence of the image.
_MIN_EVIDENCE_RATIO = 4.0


@dataclass(frozen=True)
class Evidence:
    """What speaks for the particles found in a part of a volume.

    Attributes
    ----------
    score
        How well they fit the assumed diameter.
    light
        Correlation of the image with blurred spheres in their place; 0 where it is negative.
    """

    score: ScaleScore
    light: float

    @classmethod
    def of(cls, trials: Trials, trial: Trial) -> Evidence:
        """Measure it for a trial."""
        return cls(ScaleScore.of(trial), explained_light(trials.image(trial), trial))

    @property
    def amount(self) -> float:
        """The score times the fraction of the variance of the image that is explained."""
        return self.score.score * self.light**2

    def outweighs(self, other: Evidence) -> bool:
        """Whether these particles are clear and explain the image far better than the other ones."""
        return (
            self.score.count >= MIN_COUNT
            and self.score.confidence >= _MIN_CONFIDENCE
            and self.light >= MIN_LIGHT
            and self.amount > _MIN_EVIDENCE_RATIO * other.amount
        )


def explained_light(image: Image, trial: Trial) -> float:
    """Return the correlation of an image with blurred spheres in the place of what was found in it.

    Differences over more than about a diameter, as uneven illumination makes them, do not count.

    Parameters
    ----------
    image
        Of the part that was searched, in canonical voxels.
    trial
        What was found.
    """
    spheres = _without_trend(gaussian_filter(_spheres(trial), (0, _LATERAL_SIGMA, _LATERAL_SIGMA)))
    seen = _without_trend(gaussian_filter(image, _SMOOTHING_SIGMA))
    best = 0.0
    for axial in _AXIAL_SIGMAS:
        model = gaussian_filter1d(spheres, axial, axis=0)
        model -= model.mean()
        norm = float(model.std() * seen.std())
        if norm > 0:
            best = max(best, float((model * seen).mean()) / norm)
    return best


def _spheres(trial: Trial) -> Image:
    """Draw the particles found as spheres of level 1."""
    found = trial.found
    image: Image = np.zeros(tuple(trial.high - trial.low), np.float32)
    for centre, radius in zip(found.positions - trial.low, found.radii, strict=True):
        low = np.clip(np.floor(centre - radius - 1), 0, image.shape).astype(int)
        high = np.clip(np.ceil(centre + radius + 2), 0, image.shape).astype(int)
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        z, y, x = (np.arange(a, b) - c for a, b, c in zip(low, high, centre, strict=True))
        distance = np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2)
        image[box] = np.maximum(image[box], np.clip(radius - distance + 0.5, 0, 1))
    return image


def _without_trend(image: Image) -> Image:
    """Subtract in each slice what varies over more than about a diameter, and the mean."""
    flat: Image = image - gaussian_filter(image, (0, CANONICAL_DIAMETER, CANONICAL_DIAMETER))
    return flat - flat.mean()
