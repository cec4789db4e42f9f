"""A second simulator, for the benchmark only: nothing of how it draws and blurs is what the network learned from.

It follows the challenge "Colloids: how low can we go?": hard spheres drawn black and white on a canvas of twice the
resolution, a small Gaussian blur, the PSF of a STED microscope, a reduction by two, noise. The PSF is no Gaussian: it
is the scalar diffraction integral of Born and Wolf (Principles of Optics, section 8.8) for excitation and detection,
quenched by a doughnut-shaped depletion beam.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import spheropack
from numpy.typing import NDArray
from scipy import fft
from scipy.interpolate import RegularGridInterpolator
from scipy.ndimage import gaussian_filter, shift
from scipy.special import jv

from napari_colloids.simulation.arrangement import arrange, draw_species

Array = NDArray[np.float64]
Image = NDArray[np.float32]
Kernel = NDArray[np.float32]

#: Full width at half maximum over standard deviation of a Gaussian; widths of the PSF are given as the latter.
FWHM = 2.3548
#: Strength of the depletion: what is left of the light at the crest of the doughnut is exp(-DEPLETION).
DEPLETION = 3.0
#: Emission over excitation wavelength.
STOKES = 1.07
#: Standard deviation of the Gaussian blur in canvas voxels.
SMOOTHING = 1.0
#: Packings are made denser than asked for and the spheres then shrunk, so that few of them touch exactly.
EXCESS = 0.02
#: The densest that is packed.
DENSEST = 0.62
#: Grey level of a typical particle where the image is not scaled by its maximum: leaves room for brighter ones.
TYPICAL = 140.0
_FINE = 2


@dataclass(frozen=True)
class Scene:
    """What to image.

    Attributes
    ----------
    shape
        In voxels ``(z, y, x)``.
    radius
        Mean radius in lateral voxels.
    volume_fraction
        Up to 0.6; of the spheres where they touch, before they are drawn apart.
    psf
        Widths of the PSF along z and across, in lateral voxels: half widths over those of a Gaussian of unit standard
        deviation.
    polydispersity
        Standard deviation of the radius over its mean.
    size_ratio
        Large over small radius of a binary mixture.
    large_share
        How many of its particles are large ones.
    arrangement
        One of `napari_colloids.simulation.ARRANGEMENTS`.
    apart
        Distance of touching spheres over the sum of their radii: above 1 where they repel each other or where what
        shines of them does not touch.
    shell
        Radius of the dark core over the radius.
    brightness_spread
        Standard deviation of the brightness over its mean, gamma distributed.
    snr, cnr
        Level of a typical particle over the noise, and its contrast to the background over the noise.
    photon_noise
        Fraction of the noise variance at the level of a particle that is Poisson noise.
    bleaching
        Fraction of the light lost from the first to the last slice.
    tilt
        Lean of the PSF along x: lateral voxels per lateral voxel of height.
    aspect
        Height of a voxel over its width.
    by_maximum
        Whether the brightest voxel is what SNR and CNR refer to, as in the challenge, and not the typical particle.
    """

    shape: tuple[int, int, int] = (96, 96, 96)
    radius: float = 6.0
    volume_fraction: float = 0.5
    psf: tuple[float, float] = (3.0, 1.3)
    polydispersity: float = 0.0
    size_ratio: float = 1.0
    large_share: float = 0.5
    arrangement: str = "random"
    apart: float = 1.0
    shell: float = 0.0
    brightness_spread: float = 0.0
    snr: float = 5.0
    cnr: float = 4.0
    photon_noise: float = 0.5
    bleaching: float = 0.0
    tilt: float = 0.0
    aspect: float = 1.0
    by_maximum: bool = False


@dataclass(frozen=True, eq=False)
class Volume:
    """An image and its truth.

    Attributes
    ----------
    image
        uint8 ``(z, y, x)``.
    positions
        Shape ``(N, 3)`` in voxels, voxel centres at integers: the particles with a centre in the volume.
    radii
        Shape ``(N,)`` in lateral voxels.
    scene
        What it shows.
    """

    image: NDArray[np.uint8]
    positions: Array
    radii: Array
    scene: Scene

    @property
    def diameter(self) -> float:
        """Mean diameter in lateral voxels."""
        return 2 * self.scene.radius


def make_volume(scene: Scene, seed: int) -> Volume:
    """Simulate a volume; the same seed gives the same volume."""
    rng = np.random.default_rng(seed)
    kernel = psf(*scene.psf, scene.aspect, scene.tilt)
    aspect = np.array([scene.aspect, 1.0, 1.0])
    largest = scene.radius * (1 + 3 * scene.polydispersity) * _species(scene)[1]
    margin = np.array(kernel.shape) / 2 / _fine(scene.aspect) * aspect + largest + 2
    spheres, radii = _place((np.array(scene.shape) * aspect + 2 * margin) / scene.apart, scene, rng)
    positions = (spheres * scene.apart - margin) / aspect - 0.5
    light = np.ones(len(radii))
    if scene.brightness_spread:
        shape = 1 / scene.brightness_spread**2
        light = rng.gamma(shape, 1 / shape, len(radii))
    blurred, inside = render(positions, radii, light, scene, kernel)
    kept = np.all((positions >= -0.5) & (positions < np.array(scene.shape) - 0.5), axis=1)
    image = _expose(blurred, inside, positions[kept], scene, rng)
    return Volume(image, positions[kept], radii[kept], scene)


def render(
    positions: Array, radii: Array, light: Array, scene: Scene, kernel: Kernel
) -> tuple[Image, NDArray[np.bool_]]:
    """Draw spheres through the optics, without noise.

    Parameters
    ----------
    positions
        Shape ``(N, 3)`` in voxels; spheres outside the volume count as far as the kernel reaches.
    radii, light
        Radius in lateral voxels and brightness of each.
    scene
        Gives shape, aspect and dark cores.
    kernel
        The PSF in canvas voxels.

    Returns
    -------
    tuple
        The image ``(z, y, x)``, whose maximum on the canvas is 1, and a mask of the voxels within spheres.
    """
    fine = _fine(scene.aspect)
    half = np.array(kernel.shape) // 2
    reach = half + (fine - half % fine) % fine
    canvas = np.zeros(np.array(scene.shape) * fine + 2 * reach, np.float32)
    # Voxel p covers `fine` canvas voxels, so its centre lies in their middle.
    centres = positions * fine + (fine - 1) / 2 + reach
    step = np.array([scene.aspect, 1.0, 1.0]) / fine
    for centre, radius, level in zip(centres, radii, light, strict=True):
        low = np.maximum(np.ceil(centre - radius / step), 0).astype(int)
        high = np.minimum(np.floor(centre + radius / step) + 1, canvas.shape).astype(int)
        if np.any(high <= low):
            continue
        z, y, x = ((np.arange(a, b) - c) * s for a, b, c, s in zip(low, high, centre, step, strict=True))
        squared = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2
        sphere = (squared <= radius**2) & (squared >= (scene.shell * radius) ** 2)
        canvas[tuple(slice(a, b) for a, b in zip(low, high, strict=True))][sphere] = level
    inner = tuple(slice(int(n), int(m - n)) for n, m in zip(reach, canvas.shape, strict=True))
    inside = _reduce(canvas[inner] > 0, fine) >= 0.5
    # The convolution wraps around, which only spoils the margin that is cut off.
    blurred = _convolve(gaussian_filter(canvas, SMOOTHING), kernel)[inner]
    return _reduce(blurred / max(float(blurred.max()), 1e-6), fine), inside


@lru_cache(maxsize=32)
def psf(axial: float, lateral: float, aspect: float = 1.0, tilt: float = 0.0) -> Kernel:
    """Return the PSF ``(z, y, x)`` in canvas voxels, of sum 1 and odd shape, for widths as in `Scene`."""
    along, across = np.linspace(0, 16, 161), np.linspace(0, 12, 181)
    table = _sted(along[:, None], across)
    fine = _fine(aspect)
    axial, lateral = axial * fine[0] / aspect, lateral * fine[1]
    unit_z = _half_width(table[:, 0], along) / (FWHM / 2 * axial)
    unit_r = _half_width(table[0], across) / (FWHM / 2 * lateral)
    # A leaning PSF needs room sideways.
    depth, width = int(np.ceil(4 * axial)), int(np.ceil(5.6 * lateral))
    slope = tilt * aspect / fine[0] * fine[1]
    side = width + int(np.ceil(abs(slope) * depth))
    z, y, x = np.arange(-depth, depth + 1), np.arange(-width, width + 1), np.arange(-side, side + 1)
    distance = np.hypot(y[:, None], x)
    points = np.broadcast_arrays(np.abs(z)[:, None, None] * unit_z, distance * unit_r)
    kernel = RegularGridInterpolator((along, across), table, bounds_error=False, fill_value=0.0)(np.stack(points, -1))
    if slope:
        kernel = np.stack([shift(plane, (0, slope * height), order=1) for plane, height in zip(kernel, z, strict=True)])
    return (kernel / kernel.sum()).astype(np.float32)


def _fine(aspect: float) -> NDArray[np.int64]:
    """Return how many canvas voxels a voxel is long (z, y, x); tall voxels are divided more often."""
    return np.array([_FINE * max(1, round(aspect)), _FINE, _FINE])


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


def _convolve(image: Image, kernel: Kernel) -> Image:
    lengths = [fft.next_fast_len(n, real=True) for n in image.shape]
    padded = np.zeros(lengths, np.float32)
    padded[tuple(slice(n) for n in kernel.shape)] = kernel
    padded = np.roll(padded, [-(n // 2) for n in kernel.shape], axis=(0, 1, 2))
    product = fft.rfftn(image, s=lengths)
    product *= fft.rfftn(padded)
    z, y, x = image.shape
    return np.asarray(fft.irfftn(product, s=lengths)[:z, :y, :x], np.float32)


def _reduce(canvas: NDArray[np.float32] | NDArray[np.bool_], fine: NDArray[np.int64]) -> Image:
    (z, fz), (y, fy), (x, fx) = ((n // f, f) for n, f in zip(canvas.shape, fine, strict=True))
    return canvas.reshape(z, fz, y, fy, x, fx).mean(axis=(1, 3, 5), dtype=np.float32)


def _expose(
    blurred: Image, inside: NDArray[np.bool_], centres: Array, scene: Scene, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Scale, add the background, bleach, add noise, cut off to 8 bits."""
    if scene.by_maximum:
        top = level = 255.0
        image = blurred * top
        background = max(0.0, float(image[inside].mean()) - top * scene.cnr / scene.snr)
    else:
        level = TYPICAL
        index = tuple(np.clip(np.rint(centres), 0, np.array(blurred.shape) - 1).astype(int).T)
        # A dark core is no measure of its shell.
        typical = float(np.median(blurred[index])) if not scene.shell else float(np.median(blurred[inside]))
        image = blurred * (level / max(typical, 1e-6))
        top, background = level, level * (1 - scene.cnr / scene.snr)
    image = background + image * (1 - background / top)
    depth = np.linspace(0, 1, len(image))[:, None, None]
    image *= (1 - scene.bleaching) ** depth
    noise = level / scene.snr
    if scene.photon_noise:
        gain = scene.photon_noise * noise**2 / level
        image = rng.poisson(np.maximum(image, 0) / gain) * gain
    image = image + rng.normal(0, np.sqrt(1 - scene.photon_noise) * noise, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def _species(scene: Scene) -> Array:
    """Return the radii of the small and the large particles of a mixture over the mean of all."""
    small = 1 / (1 + scene.large_share * (scene.size_ratio - 1))
    return np.array([small, small * scene.size_ratio])


def _place(box: Array, scene: Scene, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return positions ``(N, 3)`` and radii of spheres in a box."""
    edges = (float(box[0]), float(box[1]), float(box[2]))
    if scene.arrangement != "random":
        made = arrange(scene.arrangement, edges, scene.volume_fraction, scene.radius, scene.polydispersity, rng)
        return made.positions, made.radii
    species, share = _species(scene), scene.large_share
    cubed = (1 - share) * species[0] ** 3 + share * species[1] ** 3
    volume = 4 / 3 * np.pi * scene.radius**3 * (1 + 3 * scene.polydispersity**2) * cubed
    count = round(scene.volume_fraction * float(np.prod(box)) / float(volume))
    radii = scene.radius * species[draw_species(count, share, rng)]
    radii *= 1 + scene.polydispersity * np.clip(rng.standard_normal(count), -2.5, 2.5)
    packed = min(scene.volume_fraction + EXCESS, max(DENSEST, scene.volume_fraction))
    swell = (packed / scene.volume_fraction) ** (1 / 3)
    packing = spheropack.pack(
        radii=radii * swell,
        container=spheropack.PeriodicBox(edges),
        growth_rate=0.02,
        seed=int(rng.integers(2**31)),
        strict=True,
    )
    return np.asarray(packing.positions), np.asarray(packing.radii) / swell
