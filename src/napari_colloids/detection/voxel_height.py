"""Check of the height of a voxel against what is found: spheres that come out flat, or far too high, say it is wrong.

The microscope blurs spheres along z, to more than twice their width, so that particles which are somewhat too high say
nothing. No microscope makes them flatter than they are wide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

from napari_colloids.detection.scale import CANONICAL_DIAMETER
from napari_colloids.detection.trial import MIN_COUNT, ScaleScore

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from numpy.typing import NDArray

    from napari_colloids.detection.trial import Trial, Trials
    from napari_colloids.progress import Progress

    Image = NDArray[np.float32]

#: Factors of the height at which the network is tried, as powers of two: where the particles look flat, and where they
#: look too high.
_HIGHER_POWERS = (1.0, 2.0)
_LOWER_POWERS = (-1.0, -2.0, -3.0)
#: Particles that look flatter than this may be flat, and those that look higher than this too high: `elongation`. In
#: right stacks it is 1 to 2 where the PSF is short, and up to 10 in strings; flat ones look up to 2 high where the PSF
#: is as long as the particles.
_MAYBE_FLAT = 2.2
_MAYBE_HIGH = 2.5
#: Particles that look flatter than this are flat if the network likes a larger height better at all.
_SURELY_FLAT = 0.85
#: Particles that must be found at another height where they only may be flat: of few, some more are found by chance.
_MIN_COUNT_FLAT = 20
#: At the given height there must be no more than this fraction of what is found at another one. In 300 right stacks it
#: was at least 1.04 where they looked flat and the other one had enough particles, and 0.37 where they looked high.
_MAX_FRACTION_FLAT = 0.7
_MAX_FRACTION_HIGH = 0.33
#: The score without the point reflection, which takes half as long, is at least about this fraction of that with it:
#: heights that cannot be better are left out by it. In 207 stacks, right and wrong, that changed nothing.
_MIN_PLAIN_RATIO = 0.5
#: Mean confidence of the particles at the other height.
_MIN_CONFIDENCE = 0.9
#: Narrowest particles along z that the network is tried on, in voxels.
_MIN_HEIGHT_VOXELS = 1.0
#: Widest stripes along z, in diameters: what is wider may be particles that are blurred over a thin stack.
_MAX_STRIPE_WIDTH = 0.15
#: Lateral distance, in canonical voxels, of the voxels that are compared: their noise is independent.
_NOISE_DISTANCE = 3
#: Largest lag of the autocorrelation as a fraction of the image.
_MAX_LAG_FRACTION = 0.6


def iter_height_factor(trials: Trials, trial: Trial) -> Generator[Progress, None, float | None]:
    """Return the factor that the height of the voxels has to be multiplied by, or None where nothing speaks for one.

    Parameters
    ----------
    trials
        Of the volume.
    trial
        What was found at its diameter and the height in question.

    Yields
    ------
    Progress
        Several times for every height that is tried.
    """
    apparent = elongation(trials.image(trial))
    flat = apparent < _MAYBE_FLAT
    if not flat and apparent < _MAYBE_HIGH:
        return None
    found: dict[float, ScaleScore | None] = {0.0: ScaleScore.of(trial)}

    def iter_score(power: float, *, symmetrised: bool = True) -> Generator[Progress, None, ScaleScore | None]:
        """Score what is found at another height; None where particles would be too flat."""
        higher = trials.with_height(2**power)
        if trial.diameter < _MIN_HEIGHT_VOXELS * max(higher.proportions):
            return None
        return ScaleScore.of((yield from higher.iter_at(trial.diameter, symmetrised=symmetrised)))

    def iter_tried(powers: Sequence[float]) -> Generator[Progress, None, None]:
        """Score the heights that were not tried yet."""
        for power in powers:
            if power not in found:
                found[power] = yield from iter_score(power)

    def amount(power: float) -> float:
        """Return the score per volume of the stack, whatever its height."""
        score = found[power]
        return 0.0 if score is None else score.score * 2**power

    powers = _HIGHER_POWERS if flat else _LOWER_POWERS
    limit = _MAX_FRACTION_HIGH if not flat else 1.0 if apparent < _SURELY_FLAT else _MAX_FRACTION_FLAT
    most = 0.0
    for power in powers:
        plain = yield from iter_score(power, symmetrised=False)
        most = max(most, plain.score * 2**power if plain else 0.0)
    if amount(0.0) > limit * most / _MIN_PLAIN_RATIO:
        return None
    yield from iter_tried(powers)
    best = max(powers, key=amount)
    clearest = found[best]
    if clearest is None or amount(best) == 0:
        return None
    min_count = _MIN_COUNT_FLAT if flat and apparent >= _SURELY_FLAT else MIN_COUNT
    if clearest.count < min_count or clearest.confidence < _MIN_CONFIDENCE:
        return None
    if amount(0.0) > limit * amount(best):
        return None
    yield from iter_tried((best - 0.5, best + 0.5))
    best = max((best - 0.5, best, best + 0.5), key=amount)
    yield from iter_tried((best - 0.5, best + 0.5))
    return float(2 ** _vertex(amount, best))


def _vertex(amount: Callable[[float], float], best: float) -> float:
    """Return the power at which a parabola through the logarithms of three amounts around the best is highest."""
    below, here, above = (np.log(max(amount(best + step), 1e-9)) for step in (-0.5, 0.0, 0.5))
    curvature = below - 2 * here + above
    return best + float(np.clip(0.25 * (below - above) / curvature, -0.5, 0.5)) if curvature < 0 else best


def elongation(image: Image) -> float:
    """Return how much higher than wide the contents of an image are.

    It is the half width of the autocorrelation along z over that along y or x, whichever is smaller.

    Parameters
    ----------
    image
        Shape ``(z, y, x)``, with isotropic voxels and particles about `CANONICAL_DIAMETER` wide.

    Returns
    -------
    float
        Infinite where it is as high as the image, or nothing but noise.
    """
    flat = _flattened(image)
    d = _NOISE_DISTANCE
    along_z = _half_width(lambda lag: _product(flat, (lag, d, 0)) + _product(flat, (lag, 0, d)), flat.shape[0])
    width = max(min(_lateral_half_widths(flat)), 1.0)
    return along_z / width if np.isfinite(width) else np.inf


def is_striped(image: Image) -> bool:
    """Whether an image is the same all along y or x, or, if it is sharp, along z, as rows and columns of scanners are.

    That is so where the half width of its autocorrelation, as in `elongation`, is infinite along such an axis only. Of
    mere noise it means nothing.
    """
    y, x = _lateral_half_widths(_flattened(image))
    if np.isfinite(y) != np.isfinite(x):
        return True
    return bool((y + x) / 2 < _MAX_STRIPE_WIDTH * CANONICAL_DIAMETER and np.isinf(elongation(image)))


def lateral_half_width(image: Image) -> float:
    """Return the mean half width of the autocorrelation of an image, as in `elongation`, along y and x."""
    return float(np.mean(_lateral_half_widths(_flattened(image))))


def _flattened(image: Image) -> Image:
    """Subtract in each slice what varies over more than about a diameter, and the mean."""
    flat: Image = image - gaussian_filter(image, (0, CANONICAL_DIAMETER, CANONICAL_DIAMETER))
    return flat - flat.mean()


def _lateral_half_widths(flat: Image) -> tuple[float, float]:
    """Return the half widths of the autocorrelation along y and x."""
    along_y = _half_width(lambda lag: _product(flat, (0, lag, _NOISE_DISTANCE)), flat.shape[1])
    along_x = _half_width(lambda lag: _product(flat, (0, _NOISE_DISTANCE, lag)), flat.shape[2])
    return along_y, along_x


def _half_width(correlation: Callable[[int], float], length: int) -> float:
    """Return the lag at which a correlation has fallen to half of that without one; infinite where it does not."""
    half = correlation(0) / 2
    if not half > 0:
        return np.inf
    values = [2 * half]
    for lag in range(1, int(_MAX_LAG_FRACTION * length) + 1):
        values.append(correlation(lag))
        if values[-1] < half:
            above, below = values[-2:]
            return lag - 1 + (above - half) / (above - below)
    return np.inf


def _product(image: Image, shift: tuple[int, int, int]) -> float:
    """Return the mean product of an image and the same image shifted."""
    if any(lag >= n for lag, n in zip(shift, image.shape, strict=True)):
        return 0.0
    ahead = image[tuple(slice(lag, None) for lag in shift)]
    behind = image[tuple(slice(n - lag) for lag, n in zip(shift, image.shape, strict=True))]
    return float((ahead * behind).mean())
