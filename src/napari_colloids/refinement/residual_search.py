"""Search of the residual for undetected particles, in the stack or just outside, with a matched filter."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import set_workers
from scipy.ndimage import maximum_filter
from scipy.signal import fftconvolve
from scipy.spatial import cKDTree

from napari_colloids.particles import greedy_suppression
from napari_colloids.refinement.spheres import Spheres, draw
from napari_colloids.refinement.threads import threads_here

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_colloids.refinement.grid import Box
    from napari_colloids.refinement.model import Model, Prediction
    from napari_colloids.refinement.priors import Priors
    from napari_colloids.refinement.profile import Profile
    from napari_colloids.refinement.spheres import Image

    Array = NDArray[np.float64]

#: How far outside a box, or the stack, undetected particles are looked for, in mean radii.
SEARCH_MARGIN_RADII = 2.5
#: Significance of a new particle, in standard deviations of the noise.
_MIN_SIGNIFICANCE = 5.0
#: The same for one centred outside, which is known only by the light that it adds to others; the typical brightness is
#: needed to place it.
_MIN_SIGNIFICANCE_OUTSIDE = 3.0
#: Distance of a new particle from all others, in mean diameters of both; true ones touch at 1.
_MIN_DISTANCE_DIAMETERS = 0.8
#: Radius over the mean from which a sphere is larger than the usual ones, and keeps others farther away.
_LARGE_RATIO = 1.3
#: Smallest and largest brightness of a new particle, over that of a typical one.
_RELATIVE_BRIGHTNESS_RANGE = (0.5, 2.0)
#: Brightness at which a new particle starts in the fit, over the median.
_START_BRIGHTNESS = 0.1


def with_undetected(
    model: Model, priors: Priors, box: Box, prediction: Prediction, profile: Profile, margin: float | Array
) -> tuple[Model, Priors]:
    """Add the spheres that the residual shows to a model and its priors; see `find_undetected`."""
    spheres = model.spheres
    brightness = float(np.median(spheres.brightness))
    positions = box.low + find_undetected(
        prediction.residual,
        prediction.root_weight * prediction.illumination,
        profile,
        priors.radius,
        brightness,
        replace(spheres, positions=spheres.positions - box.low),
        margin,
    )
    radii = np.full(len(positions), priors.radius)
    more = Spheres(
        np.concatenate([spheres.positions, positions]),
        np.append(spheres.radii, radii),
        np.append(spheres.brightness, np.full(len(positions), _START_BRIGHTNESS * brightness)),
    )
    priors = replace(priors, centres=np.concatenate([priors.centres, positions]), radii=np.append(priors.radii, radii))
    return replace(model, spheres=more), priors


def find_undetected(
    residual: Image,
    root_weight: Image,
    profile: Profile,
    radius: float,
    brightness: float,
    known: Spheres,
    margin: float | Array,
) -> Array:
    """Return where further spheres of a radius would explain the residual, shape ``(N, 3)`` in voxels of the box.

    Parameters
    ----------
    residual
        Shape ``(Z, Y, X)``: image less model, over the standard deviation of the noise.
    root_weight
        Derivative of the prediction, in standard deviations, with respect to the light of a sphere.
    profile
        Tables of blurred spheres.
    radius
        In lateral voxels.
    brightness
        Of a typical sphere.
    known
        Spheres that are in the model, in voxels of the box.
    margin
        How far outside the box they may be centred, in lateral voxels; one for all faces, or of shape ``(2, 3)``: first
        the near faces.
    """
    if not root_weight.any():
        return np.empty((0, 3))
    scale = np.array([profile.aspect, 1, 1])
    window = profile.half_window(radius)
    before, after = np.minimum(np.ceil(np.broadcast_to(margin, (2, 3)) / scale).astype(int), window)
    alone = Spheres(np.array([window], float), np.array([radius]), np.ones(1))
    depth, height, width = (2 * n + 1 for n in window)
    template = draw(alone, profile, np.zeros(3, int), (depth, height, width))[::-1, ::-1, ::-1]
    cut = tuple(slice(n - a, n + size + b) for n, a, size, b in zip(window, before, residual.shape, after, strict=True))
    with set_workers(threads_here()):
        explained = fftconvolve(residual * root_weight, template)[cut]
        information = np.maximum(fftconvolve(root_weight**2, template**2)[cut], 1e-12 * float((root_weight**2).max()))
    best_brightness = explained / information
    low, high = (limit * brightness for limit in _RELATIVE_BRIGHTNESS_RANGE)
    likely = (best_brightness > low) & (best_brightness < high)
    significance = np.where(likely, explained / np.sqrt(information), 0.0)
    significance[significance < _MIN_SIGNIFICANCE] = 0
    # Far outside, a bright sphere and a faint one nearer by look much the same: there, all are of one brightness.
    score = np.sqrt(np.maximum(brightness * (2 * explained - brightness * information), 0))
    score[score < _MIN_SIGNIFICANCE_OUTSIDE] = 0
    inside = tuple(slice(a, a + size) for a, size in zip(before, residual.shape, strict=True))
    score[inside] = significance[inside]
    neighbourhood = 2 * np.maximum((radius / scale).astype(int), 1) + 1
    peaks = np.argwhere((score > 0) & (score == maximum_filter(score, size=tuple(neighbourhood))))
    order = np.argsort(-score[tuple(peaks.T)], kind="stable")
    candidates = (peaks[order] - before).astype(float)
    return _separated(candidates, radius, known, scale)


def _separated(candidates: Array, radius: float, known: Spheres, scale: Array) -> Array:
    """Return the candidates that keep their distance from all known spheres and from the candidates before them."""
    places = cKDTree(candidates * scale)
    # Radii differ by their errors, too: only those of another kind count.
    sizes = np.where(known.radii > _LARGE_RATIO * radius, known.radii, radius)
    reach = _MIN_DISTANCE_DIAMETERS * (radius + float(sizes.max(initial=radius)))
    pairs = places.sparse_distance_matrix(cKDTree(known.positions * scale), reach, output_type="ndarray")
    near = pairs["v"] < _MIN_DISTANCE_DIAMETERS * (radius + sizes[pairs["j"]])
    taken = np.zeros(len(candidates), bool)
    taken[pairs["i"][near]] = True
    close = places.query_pairs(2 * radius * _MIN_DISTANCE_DIAMETERS, output_type="ndarray")
    free = ~taken[close].any(axis=1)
    return candidates[greedy_suppression(close[free], len(candidates)) & ~taken]
