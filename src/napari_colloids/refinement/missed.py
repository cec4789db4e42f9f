"""What a model of spheres leaves unexplained: light of particles that nobody found, in the stack or just outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import maximum_filter
from scipy.signal import fftconvolve
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_colloids.refinement.profile import Profile
    from napari_colloids.refinement.spheres import Image

    Array = NDArray[np.float64]

#: A new particle must explain this many standard deviations of the noise.
_SIGNIFICANT = 5.0
#: Least distance of a new particle from all others, in diameters; true ones touch at 1.
_APART = 0.8
#: Least and largest brightness of a new particle, of the mean of the others.
_BRIGHTNESS = (0.5, 2.0)


def find_missed(
    residual: Image, root_weight: Image, profile: Profile, radius: float, brightness: float, known: Array, beyond: float
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
        How far outside the box they may be centred, in lateral voxels.
    """
    outside = np.ceil(np.array([beyond / profile.aspect, beyond, beyond])).astype(int)
    window = profile.window(radius)
    (picture,) = profile.pictures(np.zeros((1, 3)), np.array([radius]), window, derivatives=False)
    picture = picture[0][::-1, ::-1, ::-1]
    cut = tuple(
        slice(max(n - o, 0), full - max(n - o, 0))
        for n, o, full in zip(window, outside, np.add(residual.shape, picture.shape) - 1, strict=True)
    )
    explained = fftconvolve(residual * root_weight, picture)[cut]
    visible = np.maximum(fftconvolve(root_weight**2, picture**2)[cut], 1e-12 * float((root_weight**2).max()))
    wanted = explained / visible
    gain = np.where(
        (wanted > _BRIGHTNESS[0] * brightness) & (wanted < _BRIGHTNESS[1] * brightness),
        explained / np.sqrt(visible),
        0.0,
    )
    apart = np.maximum(np.array([radius / profile.aspect, radius, radius]).astype(int), 1)
    peaks = np.argwhere((gain > _SIGNIFICANT) & (gain == maximum_filter(gain, size=tuple(2 * apart + 1))))
    order = np.argsort(-gain[tuple(peaks.T)], kind="stable")
    shift = np.minimum(outside, window)
    return _apart(peaks[order] - shift, known, 2 * radius * _APART, profile.aspect)


def _apart(candidates: Array, known: Array, distance: float, aspect: float) -> Array:
    """Return the candidates that keep a distance from all that are known and from those before them."""
    scale = np.array([aspect, 1, 1])
    taken = [tuple(p) for p in known * scale]
    chosen = []
    for place in candidates:
        if not taken or cKDTree(taken).query(place * scale)[0] >= distance:
            taken.append(tuple(place * scale))
            chosen.append(place)
    return np.array(chosen, float).reshape(-1, 3)
