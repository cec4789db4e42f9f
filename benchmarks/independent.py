"""A second simulator, for tests only: it shares nothing with `napari_colloids.simulation` but the packing library.

It follows the challenge "Colloids: how low can we go?": hard spheres drawn black and white on a canvas of twice the
resolution, a small Gaussian blur, the PSF of a STED microscope, a rescaling to 255, a reduction by two, and Gaussian
noise of 255 / SNR. The PSF is no Gaussian: it is the scalar diffraction integral of Born and Wolf (Principles of
Optics, section 8.8) for excitation and detection, quenched by a doughnut-shaped depletion beam.

Run as a script it checks itself: the centroid of a sphere, the widths of the PSF.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import spheropack
from numpy.typing import NDArray
from scipy import fft
from scipy.interpolate import RegularGridInterpolator
from scipy.ndimage import gaussian_filter
from scipy.special import jv

Array = NDArray[np.float64]
Image = NDArray[np.float32]

#: Full width at half maximum of the PSF in micrometres, z and lateral: standard deviations of 0.158 and 0.045 um.
FWHM = (0.371, 0.106)
#: Strength of the depletion: what is left of the light at the crest of the doughnut is exp(-DEPLETION).
DEPLETION = 3.0
#: Emission over excitation wavelength.
STOKES = 1.07
#: Standard deviation of the Gaussian blur in canvas voxels.
SMOOTHING = 1.0
#: The packing is made denser than asked for and its spheres are then shrunk, so that few of them touch exactly.
EXCESS = 0.02
_FINE = 2


@dataclass(frozen=True)
class Volume:
    """A simulated volume and its truth.

    Attributes
    ----------
    image
        uint8 ``(z, y, x)``.
    positions
        Shape ``(N, 3)`` in voxels, voxel centres at integers: the particles with a centre in the volume.
    radii
        Shape ``(N,)`` in voxels.
    """

    image: NDArray[np.uint8]
    positions: Array
    radii: Array


def make_volume(
    *, size: int, radius: float, particle_size: float, volume_fraction: float, snr: float, cnr: float, seed: int
) -> Volume:
    """Simulate a cubic volume.

    Parameters
    ----------
    size
        Edge in voxels.
    radius, particle_size
        Radius of the particles in voxels and in micrometres; together they give the voxel size.
    volume_fraction
        Up to about 0.6.
    snr, cnr
        As in the challenge's tables.
    seed
        The same seed gives the same volume.
    """
    rng = np.random.default_rng(seed)
    kernel = psf(particle_size / radius / _FINE)
    margin = np.array(kernel.shape) // 2 / _FINE + radius + 2
    positions = _pack(size + 2 * margin, radius, volume_fraction, rng) - margin - 0.5
    image, inside = render(positions, radius, (size, size, size), kernel)
    background = max(0.0, float(image[inside].mean()) - 255 * cnr / snr)
    image = background + image * (1 - background / 255)
    image += rng.normal(0, 255 / snr, image.shape)
    kept = np.all((positions >= -0.5) & (positions < size - 0.5), axis=1)
    return Volume(np.clip(image, 0, 255).astype(np.uint8), positions[kept], np.full(int(kept.sum()), radius))


def render(
    positions: Array, radius: float, shape: tuple[int, int, int], kernel: Image
) -> tuple[Image, NDArray[np.bool_]]:
    """Draw spheres through the optics, without noise.

    Parameters
    ----------
    positions
        Shape ``(N, 3)`` in voxels; spheres outside the volume count as far as the kernel reaches.
    radius
        In voxels.
    shape
        Of the volume ``(z, y, x)``.
    kernel
        The PSF in canvas voxels.

    Returns
    -------
    tuple
        The image ``(z, y, x)``, whose maximum on the canvas is 255, and a mask of the voxels within spheres.
    """
    reach = np.array(kernel.shape) // 2 + (_FINE - np.array(kernel.shape) // 2 % _FINE) % _FINE
    canvas = np.zeros(np.array(shape) * _FINE + 2 * reach, np.float32)
    # Voxel p covers the canvas voxels 2 p and 2 p + 1, so its centre lies between them, at 2 p + 1/2.
    centres = positions * _FINE + (_FINE - 1) / 2 + reach
    for centre in centres:
        low = np.maximum(np.ceil(centre - _FINE * radius), 0).astype(int)
        high = np.minimum(np.floor(centre + _FINE * radius) + 1, canvas.shape).astype(int)
        if np.any(high <= low):
            continue
        z, y, x = (np.arange(a, b) - c for a, b, c in zip(low, high, centre, strict=True))
        sphere = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 <= (_FINE * radius) ** 2
        canvas[tuple(slice(a, b) for a, b in zip(low, high, strict=True))][sphere] = 1
    inner = tuple(slice(int(n), int(m - n)) for n, m in zip(reach, canvas.shape, strict=True))
    inside = _reduce(canvas[inner]) >= 0.5
    # The convolution wraps around, which only spoils the margin that is cut off.
    blurred = _convolve(gaussian_filter(canvas, SMOOTHING), kernel)[inner]
    return _reduce(blurred * np.float32(255 / blurred.max())), inside


@lru_cache(maxsize=32)
def psf(voxel: float) -> Image:
    """Return the PSF ``(z, y, x)`` of the microscope, of sum 1 and odd shape, for a voxel size in micrometres."""
    along, across = np.linspace(0, 16, 161), np.linspace(0, 12, 181)
    table = _sted(along[:, None], across)
    unit_z = _half_width(table[:, 0], along) / (FWHM[0] / 2 / voxel)
    unit_r = _half_width(table[0], across) / (FWHM[1] / 2 / voxel)
    depth, width = (int(np.ceil(0.85 * 2 * f / voxel)) for f in FWHM)
    width = int(1.4 * width)
    z, y = np.arange(-depth, depth + 1), np.arange(-width, width + 1)
    distance = np.hypot(y[:, None], y)
    points = np.broadcast_arrays(np.abs(z)[:, None, None] * unit_z, distance * unit_r)
    kernel = RegularGridInterpolator((along, across), table, bounds_error=False, fill_value=0.0)(np.stack(points, -1))
    return (kernel / kernel.sum()).astype(np.float32)


def _sted(u: Array, v: Array) -> Array:
    """Return the PSF at the optical coordinates ``u`` (along the axis) and ``v`` (across)."""
    focused = _diffraction(u, v, 0) * _diffraction(u / STOKES, v / STOKES, 0)
    doughnut = _diffraction(u, v, 1)
    crest = _diffraction(np.zeros((1, 1)), np.linspace(0, 6, 200), 1).max()
    return focused * np.exp(-DEPLETION * doughnut / crest)


def _diffraction(u: Array, v: Array, order: int) -> Array:
    """Intensity of Born and Wolf's integral; order 1 is a beam behind a vortex phase plate: the doughnut."""
    nodes, weights = np.polynomial.legendre.leggauss(80)
    rho, weights = (nodes + 1) / 2, weights / 2
    amplitude = np.zeros(np.broadcast_shapes(u.shape, v.shape), complex)
    for r, w in zip(rho, weights, strict=True):
        amplitude += 2 * w * r * jv(order, v * r) * np.exp(-0.5j * u * r**2)
    return np.abs(amplitude) ** 2


def _half_width(profile: Array, x: Array) -> float:
    """Return where a profile has fallen to half of its first value."""
    first = int(np.argmax(profile < profile[0] / 2))
    return float(np.interp(-profile[0] / 2, -profile[first - 1 : first + 1], x[first - 1 : first + 1]))


def _convolve(image: Image, kernel: Image) -> Image:
    padded = np.zeros_like(image)
    padded[tuple(slice(n) for n in kernel.shape)] = kernel
    padded = np.roll(padded, [-(n // 2) for n in kernel.shape], axis=(0, 1, 2))
    product = fft.rfftn(image)
    product *= fft.rfftn(padded)
    return np.asarray(fft.irfftn(product, s=image.shape), np.float32)


def _reduce(canvas: Image) -> Image:
    z, y, x = (n // _FINE for n in canvas.shape)
    return canvas.reshape(z, _FINE, y, _FINE, x, _FINE).mean(axis=(1, 3, 5))


def _pack(box: Array, radius: float, volume_fraction: float, rng: np.random.Generator) -> Array:
    """Return positions ``(N, 3)`` of spheres in a periodic box."""
    count = round(volume_fraction * float(np.prod(box)) / (4 / 3 * np.pi * radius**3))
    edges = box / radius
    packing = spheropack.pack(
        n=count,
        density=volume_fraction + EXCESS,
        container=spheropack.PeriodicBox((float(edges[0]), float(edges[1]), float(edges[2]))),
        growth_rate=0.02,
        seed=int(rng.integers(2**31)),
        strict=True,
    )
    return np.asarray(packing.positions) * radius


def _check() -> int:
    rng = np.random.default_rng(5)
    worst = 0.0
    for radius in (6.0, 11.0):
        kernel = psf(0.25 / radius / _FINE)
        sigma = [_half_width(p / p.max(), np.arange(len(p))) / _FINE * 2 / 2.355 for p in _profiles(kernel)]
        print(f"r {radius:g}: PSF sigma z {sigma[0]:.2f}, lateral {sigma[1]:.2f} voxels; kernel {kernel.shape}")
        for _ in range(3):
            size = int(6 * radius)
            centre = size / 2 + rng.uniform(-1, 1, 3)
            image, _inside = render(centre[None], radius, (size, size, size), kernel)
            grid = np.indices(image.shape).reshape(3, -1)
            centroid = (grid * image.ravel()).sum(axis=1) / image.sum()
            worst = max(worst, float(np.abs(centroid - centre).max()))
    print(f"centroid of a sphere: off by at most {worst:.4f} voxels")
    return int(worst > 0.02)


def _profiles(kernel: Image) -> tuple[Array, Array]:
    z, y, x = (n // 2 for n in kernel.shape)
    return kernel[z:, y, x].astype(float), kernel[z, y, x:].astype(float)


if __name__ == "__main__":
    sys.exit(_check())
