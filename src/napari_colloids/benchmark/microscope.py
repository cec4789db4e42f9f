"""Second simulator, for the benchmark only: it shares no drawing, blurring or exposure with the one of the training.

It follows the challenge "Colloids: how low can we go?": hard spheres drawn as black and white on a canvas of twice the
resolution, a small Gaussian blur, the PSF of a STED microscope (`sted.psf`), a reduction by two, noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import spheropack
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import gaussian_filter

from napari_colloids.benchmark.sted import Kernel, psf, supersampling
from napari_colloids.simulation.arrangement import Composition, arrange, draw_species
from napari_colloids.stack import Stack

Array = NDArray[np.float64]
Image = NDArray[np.float32]

#: Standard deviation of the Gaussian blur in canvas voxels.
CANVAS_BLUR_SIGMA = 1.0
#: Volume fraction added to the one asked for when packing; the spheres are then shrunk, so that few touch exactly.
EXCESS_VOLUME_FRACTION = 0.02
#: Largest volume fraction that is packed.
MAX_PACKED_VOLUME_FRACTION = 0.62
#: Grey level of a typical particle in images that are not scaled by their maximum: leaves room for brighter ones.
TYPICAL_GREY_LEVEL = 140.0


@dataclass(frozen=True)
class Scene:
    """Sample and imaging conditions.

    Attributes
    ----------
    shape
        In voxels ``(z, y, x)``.
    radius
        Mean radius in lateral voxels.
    volume_fraction
        Up to 0.6; of the packed spheres, before they are spaced.
    psf
        Axial and lateral standard deviation, in lateral voxels, of the Gaussians whose half widths the PSF has.
    polydispersity
        Standard deviation of the radius over its mean.
    size_ratio
        Large over small radius of a binary mixture.
    large_share
        Fraction of its particles that are large ones.
    arrangement
        One of `napari_colloids.simulation.ARRANGEMENTS`.
    spacing
        Distance of neighbouring spheres over that of the packed ones: above 1 for particles that repel each other or
        have a dark shell.
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
        Tilt of the PSF towards x: lateral shift over height.
    aspect
        Height of a voxel over its width.
    scaled_by_maximum
        Whether SNR and CNR refer to the brightest voxel, as in the challenge, and not to a typical particle.
    """

    shape: tuple[int, int, int] = (96, 96, 96)
    radius: float = 6.0
    volume_fraction: float = 0.5
    psf: tuple[float, float] = (3.0, 1.3)
    polydispersity: float = 0.0
    size_ratio: float = 1.0
    large_share: float = 0.5
    arrangement: str = "random"
    spacing: float = 1.0
    shell: float = 0.0
    brightness_spread: float = 0.0
    snr: float = 5.0
    cnr: float = 4.0
    photon_noise: float = 0.5
    bleaching: float = 0.0
    tilt: float = 0.0
    aspect: float = 1.0
    scaled_by_maximum: bool = False


@dataclass(frozen=True, eq=False)
class Volume:
    """A simulated image and its ground truth.

    Attributes
    ----------
    image
        uint8 ``(z, y, x)``.
    positions
        Shape ``(N, 3)`` in voxels, voxel centres at integers: the particles with a centre in the volume.
    radii
        Shape ``(N,)`` in lateral voxels.
    scene
        How it was made.
    """

    image: NDArray[np.uint8]
    positions: Array
    radii: Array
    scene: Scene

    @property
    def diameter(self) -> float:
        """Mean diameter in lateral voxels."""
        return 2 * self.scene.radius

    @property
    def stack(self) -> Stack:
        """The image, with a voxel size of the right aspect."""
        return Stack(self.image, voxel_size=(self.scene.aspect, 1.0, 1.0), name="benchmark")


def make_volume(scene: Scene, seed: int) -> Volume:
    """Simulate a volume; the same seed gives the same volume."""
    rng = np.random.default_rng(seed)
    kernel = psf(*scene.psf, scene.aspect, scene.tilt)
    aspect = np.array([scene.aspect, 1.0, 1.0])
    largest = scene.radius * (1 + 3 * scene.polydispersity) * _species(scene)[1]
    margin = np.array(kernel.shape) / 2 / supersampling(scene.aspect) * aspect + largest + 2
    spheres, radii = _spheres((np.array(scene.shape) * aspect + 2 * margin) / scene.spacing, scene, rng)
    positions = (spheres * scene.spacing - margin) / aspect - 0.5
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
    """Render spheres through the optics, without noise.

    Parameters
    ----------
    positions
        Shape ``(N, 3)`` in voxels; spheres outside the volume are rendered as far as the kernel reaches.
    radii, light
        Radius in lateral voxels and brightness of each.
    scene
        Its shape, aspect and dark cores are used.
    kernel
        The PSF in canvas voxels.

    Returns
    -------
    tuple
        The image ``(z, y, x)``, whose maximum on the canvas is 1, and a mask of the voxels within spheres.
    """
    fine = supersampling(scene.aspect)
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
    blurred = _convolve(gaussian_filter(canvas, CANVAS_BLUR_SIGMA), kernel)[inner]
    return _reduce(blurred / max(float(blurred.max()), 1e-6), fine), inside


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
    """Scale, add the background, bleach, add noise, clip to 8 bits."""
    if scene.scaled_by_maximum:
        top = level = 255.0
        image = blurred * top
        background = max(0.0, float(image[inside].mean()) - top * scene.cnr / scene.snr)
    else:
        level = TYPICAL_GREY_LEVEL
        index = tuple(np.clip(np.rint(centres), 0, np.array(blurred.shape) - 1).astype(int).T)
        # Centres with a dark core do not show the level of the shell.
        shown = blurred[inside] if scene.shell else blurred[index]
        typical = float(np.median(shown)) if shown.size else 1.0  # a dilute volume may hold no particle
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


def _spheres(box: Array, scene: Scene, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return positions ``(N, 3)`` and radii of spheres in a box."""
    edges = (float(box[0]), float(box[1]), float(box[2]))
    if scene.arrangement != "random":
        composition = Composition(scene.volume_fraction, scene.radius, scene.polydispersity)
        made = arrange(scene.arrangement, edges, composition, rng)
        return made.positions, made.radii
    species, share = _species(scene), scene.large_share
    cubed = (1 - share) * species[0] ** 3 + share * species[1] ** 3
    volume = 4 / 3 * np.pi * scene.radius**3 * (1 + 3 * scene.polydispersity**2) * cubed
    count = round(scene.volume_fraction * float(np.prod(box)) / float(volume))
    radii = scene.radius * species[draw_species(count, share, rng)]
    radii *= 1 + scene.polydispersity * np.clip(rng.standard_normal(count), -2.5, 2.5)
    packed = min(scene.volume_fraction + EXCESS_VOLUME_FRACTION, max(MAX_PACKED_VOLUME_FRACTION, scene.volume_fraction))
    swelling = (packed / scene.volume_fraction) ** (1 / 3)
    packing = spheropack.pack(
        radii=radii * swelling,
        container=spheropack.PeriodicBox(edges),
        growth_rate=0.02,
        seed=int(rng.integers(2**31)),
        strict=True,
    )
    return np.asarray(packing.positions), np.asarray(packing.radii) / swelling
