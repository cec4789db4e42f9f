r"""Data thinning: an image divided into two of independent noise, each with half of the light.

To an image :math:`X` of noise :math:`\sigma`, more noise of that size is added and subtracted,

.. math:: X_{1, 2} = X \pm \sigma Z, \qquad \operatorname{cov}(X_1, X_2) = \operatorname{var}(X) - \sigma^2 = 0

with standard normal :math:`Z` [1]_. Both have the expectation of :math:`X` and twice the variance of its noise, as if
either had been taken with half of the light, and their mean is :math:`X`. Normal noise makes them independent; that of
few photons is uncorrelated, voxel by voxel. Where the noise is taken for less than it is, as in a particle that the
model does not have, they are correlated a little.

**What it says of recall.** With the probability :math:`p_i` to find particle :math:`i` in a half, both of it is found
with :math:`p_i^2`, as the halves are independent. Of the :math:`n` particles found in the whole image, let :math:`n_1`
and :math:`n_2` be in the halves, too, and :math:`m` in both. As what both halves show, the whole does, too,

.. math:: \langle n_{1, 2} \rangle \le \sum_i p_i, \qquad \langle m \rangle \approx \sum_i p_i^2, \qquad
    \frac{\langle n_1 \rangle \langle n_2 \rangle}{\langle m \rangle}
    \le \frac{\left(\sum_i p_i\right)^2}{\sum_i p_i^2} \le N

by the inequality of Cauchy and Schwarz: there are at least that many particles, and the recall of the whole image is at
most

.. math:: R \le \frac{n m}{n_1 n_2}.

It is a bound and no estimate: particles that are never found, in no half, do not count. Candidates that only a half
has are left out, since most of them are noise, which would raise the number of particles, and the bound would not hold.
False ones that halves and whole share raise numerator and denominator alike, and so the bound. It says something where
chance decides which particles are found; where the same ones are always missed, as those that merge, it is near 1.

**What it says of positions.** Those in both halves differ by :math:`\sqrt 2` times the error of a half, which is
:math:`\sqrt 2` times that of the whole where noise alone makes it: the error is half of the root mean square
difference. What the halves share, as a bias or a merged neighbour, does not show.

References
----------
.. [1] A. Neufeld, A. Dharamshi, L. L. Gao and D. Witten, "Data thinning for convolution-closed distributions", J. Mach.
   Learn. Res. 25, 1 (2024).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.assessment.capture_recapture import CaptureRecapture, chapman
from napari_colloids.assessment.twin import iter_search
from napari_colloids.formatting import errors_by_axis
from napari_colloids.interval import Interval
from napari_colloids.particles import POSITION, positions_of
from napari_colloids.scoring import match
from napari_colloids.scoring.score import off_border
from napari_colloids.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Generator

    import pandas as pd
    from numpy.typing import NDArray

    from napari_colloids.assessment.sample import Sample
    from napari_colloids.assessment.sample_model import SampleModel
    from napari_colloids.detection import Options
    from napari_colloids.progress import Progress

    Image = NDArray[np.float32]

#: Particles in both halves that are needed.
_MIN_COMMON = 10


@dataclass(frozen=True)
class Thinning:
    """What two halves of the light of a sample say of a detection.

    Attributes
    ----------
    found
        Particles in the whole image, those at its border left out.
    halves
        How many of them are in either half and in both, and so how many there are at least.
    rmse
        Localisation error that noise alone makes in the whole image, along z, y and x in voxels.
    """

    found: int
    halves: CaptureRecapture
    rmse: dict[str, float]

    @property
    def recall_bound(self) -> Interval:
        """What the recall is at most; only the upper end of the interval can be relied on."""
        number = self.halves.number
        return Interval(*(min(self.found / there, 1.0) for there in (number.value, number.high, number.low)))

    def __repr__(self) -> str:
        return f"Thinning({self.words()})"

    def words(self) -> str:
        """Return what it says, in one line."""
        return f"recall at most {self.recall_bound!r}; errors from noise alone (voxels): {errors_by_axis(self.rmse)}"


def thinned(levels: Image, noise: Image, rng: np.random.Generator) -> tuple[Image, Image]:
    """Divide an image into two of independent noise, whose mean it is.

    Parameters
    ----------
    levels
        Grey levels, not cut off.
    noise
        Standard deviation of the noise of each voxel.
    rng
        Source of randomness.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> noise = rng.normal(0, 5, (32, 32, 32)).astype(np.float32)
    >>> one, other = thinned(100 + noise, np.full_like(noise, 5), rng)
    >>> bool(abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.02)
    True
    """
    added = noise * rng.standard_normal(levels.shape, dtype=np.float32)
    return levels + added, levels - added


def iter_thinning(
    sample: Sample, model: SampleModel, likely: pd.DataFrame, options: Options, diameter: float, seed: int = 0
) -> Generator[Progress, None, Thinning | str]:
    """Search two halves of the light of a sample.

    Digitisation needs no noise of its own: that of a camera whose noise is a fraction of a grey level is taken for that
    of the rounding, and the halves are rounded anew.

    Parameters
    ----------
    sample, model
        The image, and the model of its noise.
    likely
        Particles in it above the threshold.
    options
        Of the search.
    diameter
        That is searched for, in lateral voxels.
    seed
        Of the added noise.

    Returns
    -------
    Thinning or str
        Why it says nothing, where that is so.
    """
    rng = np.random.default_rng(seed)
    scale = np.array([sample.aspect, 1.0, 1.0])
    centres = positions_of(likely)
    counted = off_border(centres, diameter, sample.stack.shape, scale)
    if counted.sum() < _MIN_COMMON:
        return "too few particles lie wholly in the part that is assessed"
    # Where each particle is in either half, NaN where it is not there.
    places = []
    for half in thinned(model.uncut(rng), model.noise(model.light), rng):
        image = model.recorded(half, sample.image)
        found = yield from iter_search(Stack(image, voxel_size=sample.stack.voxel_size), options, diameter)
        there = positions_of(found[found["confidence"] >= options.effective_threshold])
        pairs = match(centres * scale, there * scale, diameter / 2)
        place = np.full(centres.shape, np.nan)
        place[pairs.truth_index] = there[pairs.prediction_index]
        places.append(place)
    first, second = (np.isfinite(place[:, 0]) & counted for place in places)
    both = first & second
    if both.sum() < _MIN_COMMON:
        return "with half of the light next to nothing is found"
    apart = places[0][both] - places[1][both]
    rmse = np.sqrt(np.mean(apart**2, axis=0)) / 2
    halves = chapman(int(first.sum()), int(second.sum()), int(both.sum()))
    return Thinning(int(counted.sum()), halves, dict(zip(POSITION, rmse.tolist(), strict=True)))
