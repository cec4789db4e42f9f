"""From spheres to a noise-free image: anti-aliased rendering and convolution with the point spread function (PSF)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from napari_colloids.compiled import compiled

Array = NDArray[np.float64]
Image = NDArray[np.float32]
Weights = NDArray[np.float32]
Corners = NDArray[np.intp]

#: Kernels are truncated at this many standard deviations.
TRUNCATE = 3.5


def draw_spheres(
    shape: tuple[int, int, int],
    positions: Array,
    radii: Array,
    brightness: Array,
    *,
    voxel_aspect: float = 1.0,
    shell: float = 0.0,
) -> Image:
    """Render anti-aliased spheres: the value of a voxel is the covered fraction of its volume times the brightness.

    Parameters
    ----------
    shape
        Shape ``(z, y, x)`` of the image in voxels.
    positions
        Shape ``(N, 3)`` in voxels; voxel centres lie at integers. Centres may lie outside the image.
    radii, brightness
        Shape ``(N,)``; radii in lateral voxels.
    voxel_aspect
        Height of a voxel over its width.
    shell
        Radius of the dark core over the outer radius; 0 for solid spheres.

    Notes
    -----
    The covered fraction is approximated by that of a half space at the distance of the sphere's surface. This is
    symmetric about the centre, so that the centroid is exact. Tall voxels are rendered as several thinner ones.
    """
    fine = max(1, math.ceil(voxel_aspect))
    step = voxel_aspect / fine
    canvas = np.zeros((shape[0] * fine, shape[1], shape[2]), np.float32)
    # The centre of the first thin slice lies (1 - 1 / fine) / 2 below that of its voxel.
    first = (1 - 1 / fine) / 2
    centres = positions * [fine, 1, 1] + [first * fine, 0, 0]
    reach = np.multiply.outer(radii + 1, [1 / step, 1, 1]) + np.array([1, 0, 0])
    low = np.maximum(np.ceil(centres - reach), 0).astype(int)
    high = np.minimum(np.floor(centres + reach) + 1, canvas.shape).astype(int)
    _draw(canvas, centres, radii, brightness, low, high, step, shell)
    return canvas.reshape(shape[0], fine, *shape[1:]).mean(axis=1, dtype=np.float32)


@compiled
def _draw(
    canvas: Image,
    centres: Array,
    radii: Array,
    brightness: Array,
    low: Corners,
    high: Corners,
    step: float,
    shell: float,
) -> None:
    """Add spheres to a canvas whose slices are `step` lateral voxels apart, each within its box ``[low, high)``."""
    for k in range(len(radii)):
        outer, inner = np.float32(radii[k] + 0.5), np.float32(shell * radii[k] + 0.5)
        light = np.float32(brightness[k])
        for z in range(low[k, 0], high[k, 0]):
            up = np.float32((z - centres[k, 0]) * step)
            for y in range(low[k, 1], high[k, 1]):
                side = np.float32(y - centres[k, 1])
                row = canvas[z, y, low[k, 2] : max(high[k, 2], low[k, 2])]
                for n in range(len(row)):
                    along = np.float32(low[k, 2] + n - centres[k, 2])
                    distance = np.sqrt(up * up + side * side + along * along)
                    covered = min(max(outer - distance, np.float32(0)), np.float32(1))
                    if shell > 0:
                        covered -= min(max(inner - distance, np.float32(0)), np.float32(1))
                    row[n] += light * covered


def psf_reach(sigma: tuple[float, float, float], tail: float, tilt: tuple[float, float]) -> NDArray[np.int64]:
    """Return the half-widths ``(z, y, x)`` of the truncated PSF in voxels."""
    z, y, x = (TRUNCATE * s * (2 if tail else 1) for s in sigma)
    return np.ceil([z, y + abs(tilt[0]) * z, x + abs(tilt[1]) * z]).astype(int)


def blur(
    image: Image,
    sigma: tuple[float, float, float],
    *,
    tail: float = 0.0,
    skew: float = 0.0,
    tilt: tuple[float, float] = (0.0, 0.0),
) -> Image:
    r"""Convolve an image with a confocal or STED PSF: a Gaussian core and a wider Gaussian halo.

    .. math:: h(z, y, x) = (1 - t) \, g_{\boldsymbol\sigma}(z, y', x')
        + t \, g_{2 \boldsymbol\sigma}(z - s \sigma_z, y', x'),
        \qquad (y', x') = (y, x) - z \, \mathbf{tilt}

    where :math:`g` is a normalised Gaussian, :math:`t` the `tail` and :math:`s` the `skew`.

    Parameters
    ----------
    image
        Shape ``(z, y, x)``.
    sigma
        Standard deviations ``(z, y, x)`` of the Gaussian core in voxels.
    tail
        Fraction of the light in the halo, a second Gaussian of twice the width.
    skew
        Shift of the halo along z, in axial standard deviations of the core: spherical aberration.
    tilt
        Tilt of the PSF: lateral shift ``(y, x)`` in voxels per slice.
    """
    if any(tilt):
        return _blur_tilted(image, sigma, tail, skew, tilt)
    core = _separable(image, sigma)
    if not tail:
        return core
    z, y, x = sigma
    return (1 - tail) * core + tail * _separable(image, (2 * z, 2 * y, 2 * x), shift=skew * z)


def _separable(image: Image, sigma: tuple[float, float, float], shift: float = 0.0) -> Image:
    for axis, width in enumerate(sigma):
        if width > 0:
            reach = int(TRUNCATE * width + 0.5)
            moved = shift if axis == 0 else 0.0
            weights = np.exp(-0.5 * ((np.arange(-reach, reach + 1) - moved) / width) ** 2)
            image = _smoothed(image, (weights / weights.sum()).astype(np.float32), axis)
    return image


def _smoothed(image: Image, weights: Weights, axis: int) -> Image:
    """Convolve along an axis, with zeros beyond the faces of the image."""
    smoothed = np.zeros_like(image)
    if axis == 2:
        _along_lines(image, weights, smoothed)
    else:
        # Whole planes or lines at a time.
        layers = (1 if axis == 0 else len(image), image.shape[axis], -1)
        _across_lines(image.reshape(layers), weights, smoothed.reshape(layers))
    return smoothed


@compiled
def _along_lines(image: Image, weights: Weights, smoothed: Image) -> None:
    reach, length = len(weights) // 2, image.shape[2]
    for z in range(image.shape[0]):
        for y in range(image.shape[1]):
            for k in range(len(weights)):
                first = max(k - reach, 0)
                into = smoothed[z, y, first : max(min(length, length + k - reach), first)]
                line = image[z, y, first + reach - k :]
                for x in range(len(into)):
                    into[x] += weights[k] * line[x]


@compiled
def _across_lines(image: Image, weights: Weights, smoothed: Image) -> None:
    reach, length = len(weights) // 2, image.shape[1]
    for block in range(image.shape[0]):
        for n in range(length):
            into = smoothed[block, n]
            for k in range(max(0, reach + n - length + 1), min(len(weights), reach + n + 1)):
                line = image[block, n + reach - k]
                for x in range(len(into)):
                    into[x] += weights[k] * line[x]


def _blur_tilted(
    image: Image, sigma: tuple[float, float, float], tail: float, skew: float, tilt: tuple[float, float]
) -> Image:
    z, y, x = (np.arange(-n, n + 1, dtype=float) for n in psf_reach(sigma, tail, tilt))
    kernel = np.zeros((len(z), len(y), len(x)))
    for scale, weight, shift in ((1.0, 1 - tail, 0.0), (2.0, tail, skew * sigma[0])):
        if weight:
            sz, sy, sx = (max(s * scale, 0.3) for s in sigma)
            tilted_y = (y[None, :] - tilt[0] * z[:, None]) / sy
            tilted_x = (x[None, :] - tilt[1] * z[:, None]) / sx
            gauss = np.exp(
                -0.5 * (((z - shift) / sz) ** 2)[:, None, None]
                - 0.5 * (tilted_y**2)[:, :, None]
                - 0.5 * (tilted_x**2)[:, None]
            )
            kernel += weight * gauss / gauss.sum()
    return fftconvolve(image, kernel.astype(np.float32), mode="same").astype(np.float32)
