"""What a model of spheres leaves unexplained: light of particles that nobody found, in the stack or just outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import maximum_filter
from scipy.signal import fftconvolve
from scipy.spatial import cKDTree

from napari_colloids.particles import greedy_suppression
from napari_colloids.refinement.spheres import Spheres, draw

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_colloids.refinement.profile import Profile
    from napari_colloids.refinement.spheres import Image

    Array = NDArray[np.float64]

#: A new particle must explain this many standard deviations of the noise.
_SIGNIFICANT = 5.0
#: The same for one centred outside, of which nothing is told but what its light does to the others; what is known of
#: its brightness is needed to place it.
_GLIMPSED = 3.0
#: Least distance of a new particle from all others, in diameters; true ones touch at 1.
_APART = 0.8
#: Least and largest brightness of a new particle, of the mean of the others.
_BRIGHTNESS = (0.5, 2.0)


def find_missed(
    residual: Image,
    root_weight: Image,
    profile: Profile,
    radius: float,
    brightness: float,
    known: Array,
    beyond: float | Array,
) -> Array:
    """Return where spheres of a radius would explain what is left, shape ``(N, 3)`` in voxels of the box.

    Parameters
    ----------
    residual
        Shape ``(Z, Y, X)``: image less model, over the standard deviation of the noise.
    root_weight
        Change of the residual with the light.
    profile
        Pictures of spheres.
    radius
        In lateral voxels.
    brightness
        Of a typical sphere.
    known
        Shape ``(N, 3)``: spheres that are in the model.
    beyond
        How far outside the box they may be centred, in lateral voxels; one for all faces, or of shape ``(2, 3)``: first
        the near faces.
    """
    if not root_weight.any():
        return np.empty((0, 3))
    scale = np.array([profile.aspect, 1, 1])
    window = profile.window(radius)
    before, after = np.minimum(np.ceil(np.broadcast_to(beyond, (2, 3)) / scale).astype(int), window)
    alone = Spheres(np.array([window], float), np.array([radius]), np.ones(1))
    depth, height, width = (2 * n + 1 for n in window)
    image = draw(alone, profile, np.zeros(3, int), (depth, height, width))[::-1, ::-1, ::-1]
    cut = tuple(slice(n - a, n + size + b) for n, a, size, b in zip(window, before, residual.shape, after, strict=True))
    explained = fftconvolve(residual * root_weight, image)[cut]
    visible = np.maximum(fftconvolve(root_weight**2, image**2)[cut], 1e-12 * float((root_weight**2).max()))
    wanted = explained / visible
    likely = (wanted > _BRIGHTNESS[0] * brightness) & (wanted < _BRIGHTNESS[1] * brightness)
    gain = np.where(likely, explained / np.sqrt(visible), 0.0)
    gain[gain < _SIGNIFICANT] = 0
    # Far outside, a bright sphere and a faint one nearer by look much the same: there, all are of one brightness.
    glimpsed = np.sqrt(np.maximum(brightness * (2 * explained - brightness * visible), 0))
    glimpsed[glimpsed < _GLIMPSED] = 0
    inside = tuple(slice(a, a + size) for a, size in zip(before, residual.shape, strict=True))
    glimpsed[inside] = gain[inside]
    apart = np.maximum((radius / scale).astype(int), 1)
    peaks = np.argwhere((glimpsed > 0) & (glimpsed == maximum_filter(glimpsed, size=tuple(2 * apart + 1))))
    order = np.argsort(-glimpsed[tuple(peaks.T)], kind="stable")
    return _apart((peaks[order] - before).astype(float), known, 2 * radius * _APART, scale)


def _apart(candidates: Array, known: Array, distance: float, scale: Array) -> Array:
    """Return the candidates that keep a distance from all that are known and from those before them."""
    if len(known):
        candidates = candidates[cKDTree(known * scale).query(candidates * scale)[0] >= distance]
    pairs = cKDTree(candidates * scale).query_pairs(distance, output_type="ndarray")
    return candidates[greedy_suppression(pairs, len(candidates))]
