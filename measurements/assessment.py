"""Predictions of `assess` beside the truth, and what it refuses.

python measurements/assessment.py benchmark    # every third point of the benchmark, second simulator
python measurements/assessment.py hard         # twenty of the second simulator, small, dim, blurred and uneven
python measurements/assessment.py own          # ten stacks by optics and a camera that neither simulator has
python measurements/assessment.py refused      # six kinds that spheres on a smooth background do not describe

The stacks are used as if they were real, with the diameter given. Each line has predicted and true precision, recall
and localisation error; the last ones say how far off they are.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import fft
from scipy.ndimage import gaussian_filter, shift, zoom

import napari_colloids as nc
from napari_colloids.benchmark import microscope
from napari_colloids.benchmark.microscope import CANVAS_BLUR_SIGMA, Scene, Volume, make_volume
from napari_colloids.benchmark.suites import suite
from napari_colloids.simulation.arrangement import Composition, arrange
from napari_colloids.simulation.optics import draw_spheres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from napari_colloids.assessment import ImageQuality, Prediction

    Image = NDArray[np.generic]
    Array = NDArray[np.float64]

SUITES = (
    *("scenes", "phi", "axial", "snr", "cnr", "radius", "polydispersity"),
    *("brightness", "bleaching", "dense", "mixtures", "shells", "anisotropy", "challenge-test"),
)
#: Scenes that the refused kinds are made from.
SCENES = (
    Scene(),
    Scene(radius=5.0, psf=(2.5, 1.2), snr=8.0, cnr=6.0),
    Scene(radius=8.0, psf=(5.0, 1.8), volume_fraction=0.4, snr=4.0, cnr=3.0),
)


@dataclass(frozen=True, eq=False)
class Case:
    """A stack with its truth; no positions where spheres do not describe it."""

    name: str
    stack: nc.Stack
    diameter: float
    positions: Array | None = None
    #: What `qualities` returns, as far as it is known.
    truth: dict[str, float] = field(default_factory=dict)


def benchmark(seed: int, count: int) -> Iterator[Case]:
    """Yield so many points of the suites, at equal distances."""
    points = [(name, point) for name in SUITES for point in suite(name).points]
    for number, (name, point) in enumerate(points[2 :: max(len(points) // count, 1)][:count]):
        volume = make_volume(point.scene, seed + number)
        yield Case(f"{name} {point.label}", volume.stack, volume.diameter, volume.positions, scene_truth(volume))


def hard(seed: int, count: int) -> Iterator[Case]:
    """Yield stacks in which particles are missed, and false ones found."""
    for number in range(count):
        rng = np.random.default_rng(seed + number)
        radius, snr = rng.uniform(3, 6), rng.uniform(1.3, 3)
        edge = int(np.clip(14 * radius, 56, 80))
        scene = Scene(
            shape=(edge, edge, edge),
            radius=radius,
            volume_fraction=rng.uniform(0.3, 0.57),
            psf=(rng.uniform(0.9, 1.7) * radius, rng.uniform(0.25, 0.4) * radius),
            polydispersity=rng.uniform(0, 0.1),
            brightness_spread=rng.uniform(0, 0.4),
            snr=snr,
            cnr=rng.uniform(0.6, 1) * snr,
        )
        volume = make_volume(scene, seed + number)
        yield Case(f"hard {number}", volume.stack, volume.diameter, volume.positions, scene_truth(volume))


def scene_truth(volume: Volume) -> dict[str, float]:
    """Return what the second simulator was asked for, as `qualities` names it."""
    scene = volume.scene
    # A voxel of the canvas is half a voxel; its blur widens the PSF, which the reduction by two does as well.
    canvas = np.hypot(CANVAS_BLUR_SIGMA / 2, 1 / 12**0.5)
    truth = {
        "diameter": 2 * float(volume.radii.mean()),
        "volume fraction": float((4 / 3 * np.pi * volume.radii**3).sum() / (volume.image.size * scene.aspect)),
        "PSF z": float(np.hypot(scene.psf[0], canvas * scene.aspect)),
        "PSF y": float(np.hypot(scene.psf[1], canvas)),
    }
    if not scene.scaled_by_maximum and not scene.shell:  # which are of other levels than those of a typical particle
        # Contrast over the mean noise of particle and background, as `assess` gives it; not over that of a particle.
        background = 1 - scene.cnr / scene.snr
        variances = 1.0, 1 - scene.photon_noise * (1 - background)
        truth |= {"SNR": scene.snr, "CNR": scene.cnr / float(np.mean(variances)) ** 0.5}
    return truth


def qualities(quality: ImageQuality) -> dict[str, float]:
    """Return what is measured of an image without any truth, by name."""
    axial, lateral = quality.psf_sigma
    return {
        "diameter": quality.diameter,
        "volume fraction": quality.volume_fraction.value,
        "PSF z": axial,
        "PSF y": lateral,
        "SNR": quality.snr,
        "CNR": quality.cnr,
    }


def own(seed: int, count: int) -> Iterator[Case]:
    """Yield stacks seen through an aberrated confocal pupil by an electron-multiplying camera."""
    for number in range(count):
        rng = np.random.default_rng(seed + number)
        radius, fraction, snr = rng.uniform(4, 8), rng.uniform(0.3, 0.57), rng.uniform(1.5, 5)
        shape, margin = np.array([11, 13, 13]) * radius // 1, int(4 * radius)
        z, y, x = (int(n) + 2 * margin for n in shape)
        edges = (z, y, x)
        made = arrange(
            "random",
            (float(z), float(y), float(x)),
            Composition(fraction, radius, rng.uniform(0, 0.08)),
            rng,
        )
        spread = rng.uniform(0.05, 0.35)
        light = rng.gamma(1 / spread**2, spread**2, len(made.radii))
        drawn = draw_spheres(edges, made.positions - 0.5, made.radii, light)
        kernel = pupil_psf(edges, rng.uniform(0.25, 0.4) * radius, rng.uniform(1, 3) * radius, rng.uniform(-0.15, 0.15))
        blurred = fft.irfftn(fft.rfftn(drawn) * fft.rfftn(kernel), s=edges)
        inner = (slice(margin, -margin),) * 3
        seen, positions = blurred[inner], made.positions - 0.5 - margin
        positions = positions[np.all((positions >= -0.5) & (positions < np.array(seen.shape) - 0.5), axis=1)]
        places = tuple(np.rint(positions).astype(int).clip(0, np.array(seen.shape) - 1).T)
        background = rng.uniform(0.1, 0.4)
        seen = background + (1 - background) * seen / np.median(seen[places])
        # Multiplication doubles the variance of the photons.
        photons = rng.poisson(seen.clip(0) * 2.4 * snr**2)
        grey = rng.gamma(np.maximum(photons, 1e-9), 40.0) + rng.normal(300, 15, photons.shape)
        seen_part = np.all((made.positions >= margin) & (made.positions < np.array(edges) - margin), axis=1)
        truth = {
            "diameter": 2 * float(made.radii.mean()),
            "volume fraction": float((4 / 3 * np.pi * made.radii[seen_part] ** 3).sum() / grey.size),
        }
        yield Case(f"own {number}", nc.Stack(grey.clip(0, 65535).astype(np.uint16)), 2 * radius, positions, truth)


def pupil_psf(shape: tuple[int, int, int], width: float, depth: float, aberration: float) -> Array:
    """Return the PSF of a confocal microscope with spherical aberration, in waves: a scalar pupil, squared."""
    _, height, length = shape
    y, x = np.meshgrid(np.fft.fftfreq(height), np.fft.fftfreq(length), indexing="ij")
    rho = 2.8 * width * np.hypot(y, x)
    phase = aberration * (6 * rho**4 - 6 * rho**2 + 1)
    planes = np.fft.fftfreq(shape[0]) * shape[0]
    waves = [np.fft.ifft2((rho <= 1) * np.exp(2j * np.pi * (z / depth * rho**2 + phase))) for z in planes]
    psf = np.abs(np.array(waves)) ** 4
    return np.asarray(psf / psf.sum())


def chains(scene: Scene, seed: int, beads: int, width: float) -> nc.Stack:
    """Return a stack of straight chains of overlapping spheres, each within a sphere of a packing."""
    rng = np.random.default_rng(seed)
    kernel = microscope.psf(*scene.psf, 1.0, 0.0)
    outer = 1.6 * scene.radius
    margin = np.array(kernel.shape) / 2 / microscope.supersampling(1.0) + outer + 2
    packed = replace(scene, radius=outer, volume_fraction=min(scene.volume_fraction + 0.1, 0.6))
    centres, _ = microscope._spheres(np.array(scene.shape) + 2 * margin, packed, rng)
    centres = centres - margin - 0.5
    along = rng.normal(size=centres.shape)
    along *= (1 - width) * outer / np.linalg.norm(along, axis=1, keepdims=True)
    places = np.concatenate([centres + step * along for step in np.linspace(-1, 1, beads)])
    radii = np.full(len(places), width * outer)
    blurred, inside = microscope.render(places, radii, np.ones(len(places)), scene, kernel)
    seen = places[np.all((places >= 0) & (places < np.array(scene.shape) - 1), axis=1)]
    return nc.Stack(microscope._expose(blurred, inside, seen, scene, rng))


def rods(scene: Scene, seed: int) -> nc.Stack:
    """Return a stack of rods, 2.4 times as long as wide."""
    return chains(scene, seed, beads=7, width=0.42)


def dumbbells(scene: Scene, seed: int) -> nc.Stack:
    """Return a stack of pairs of overlapping spheres."""
    return chains(scene, seed, beads=2, width=0.55)


def wrong_z_step(scene: Scene, seed: int) -> nc.Stack:
    """Return spheres whose voxels are 1.5 times as high, or as wide, as is said."""
    image = make_volume(scene, seed).image.astype(np.float32)
    stretched = zoom(image, ((1.5, 1 / 1.5)[seed % 2], 1, 1), order=1)
    return nc.Stack(stretched.clip(0, 255).astype(np.uint8))


def shaken(scene: Scene, seed: int) -> nc.Stack:
    """Return spheres whose slices are shifted against each other by a quarter of a radius."""
    rng = np.random.default_rng(seed)
    image = make_volume(scene, seed).image.astype(np.float32)
    moved = [shift(part, rng.normal(0, 0.25 * scene.radius, 2), order=1, mode="nearest") for part in image]
    return nc.Stack(np.array(moved).clip(0, 255).astype(np.uint8))


def noise(scene: Scene, seed: int) -> nc.Stack:
    """Return noise: white, as smooth as a PSF, or photons."""
    rng = np.random.default_rng(seed)
    image = rng.normal(size=scene.shape)
    if seed % 3 == 1:
        image = gaussian_filter(image, 1.5)
    if seed % 3 == 2:
        image = rng.poisson(4, scene.shape).astype(float)
    return nc.Stack((100 + 20 * (image - image.mean()) / image.std()).clip(0, 255).astype(np.uint8))


def inclusions(scene: Scene, seed: int) -> nc.Stack:
    """Return spheres with eight bright drops, one and a half to three times as large, among them."""
    rng = np.random.default_rng(seed)
    image = make_volume(scene, seed).image.astype(np.float32)
    grid = np.indices(image.shape)
    for _ in range(8):
        centre = rng.uniform(0, np.array(image.shape)).reshape(3, 1, 1, 1)
        outside = np.sqrt(((grid - centre) ** 2).sum(0)) - rng.uniform(1.5, 3) * scene.radius
        image = np.maximum(image, 230 / (1 + np.exp(outside / 1.5)))
    return nc.Stack(image.clip(0, 255).astype(np.uint8))


REFUSED: tuple[Callable[[Scene, int], nc.Stack], ...] = (rods, dumbbells, wrong_z_step, shaken, noise, inclusions)
#: Diameter that is given, over that of the scene: what the network finds best in rods and dumbbells.
DIAMETERS = {"rods": 1.008, "dumbbells": 0.88}


def refused(seed: int, count: int) -> Iterator[Case]:
    """Yield so many stacks of each kind."""
    for number in range(count):
        scene = SCENES[number % len(SCENES)]
        for kind in REFUSED:
            name = kind.__name__
            yield Case(f"{name} {number}", kind(scene, seed + number), 2 * scene.radius * DIAMETERS.get(name, 1.0))


SETS: dict[str, tuple[Callable[[int, int], Iterator[Case]], int]] = {
    "benchmark": (benchmark, 33),
    "hard": (hard, 20),
    "own": (own, 10),
    "refused": (refused, 5),
}


def main() -> None:
    """Assess the stacks of a set and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stacks", choices=SETS)
    parser.add_argument("--count", type=int, help="number of stacks, of each kind")
    parser.add_argument("--seed", type=int, default=9000)
    options = parser.parse_args()
    cases, usual = SETS[options.stacks]
    rows: list[list[float]] = []
    measured: list[dict[str, tuple[float, float]]] = []
    described = total = 0
    for case in cases(options.seed, options.count or usual):
        found = nc.assess(case.stack, diameter=case.diameter)
        total += 1
        described += found.describes
        if found.prediction is None or case.positions is None:
            print(f"{case.name}: {'described' if found.describes else '; '.join(found.reasons)}", flush=True)
            continue
        rows.append(beside_truth(case, case.positions, found.prediction))
        print(
            f"{case.name}: precision {{:.3f}} {{:.3f}}, recall {{:.3f}} {{:.3f}}, in the interval {{:.0f}} {{:.0f}}, "
            "RMSE z {:.2f} {:.2f}, y {:.2f} {:.2f}".format(*rows[-1]),
            flush=True,
        )
        if found.quality is not None and case.truth:
            values = qualities(found.quality)
            measured.append({name: (values[name], true) for name, true in case.truth.items()})
            words = (f"{name} {value:.3g} {true:.3g}" for name, (value, true) in measured[-1].items())
            print("   " + ", ".join(words), flush=True)
    print(f"{described} of {total} described")
    if rows:
        summarise(np.array(rows))
    summarise_qualities(measured)


def beside_truth(case: Case, positions: Array, predicted: Prediction) -> list[float]:
    """Return predicted and true precision, recall, whether these lie in their intervals, and RMSE along z and y."""
    particles = nc.detect(case.stack, diameter=case.diameter)
    truth = nc.score(
        positions,
        particles,
        diameter=case.diameter,
        shape=case.stack.shape,
        voxel_size=case.stack.voxel_size,
    )
    pairs = [(predicted.precision, truth.precision), (predicted.recall, truth.recall)]
    values = [value for interval, true in pairs for value in (interval.value, true)]
    covered = [float(interval.low <= true <= interval.high) for interval, true in pairs]
    # A shift of all positions, as that of an aberrated PSF, is no error between particles.
    errors = {axis: float(np.sqrt(truth.rmse[axis] ** 2 - truth.bias[axis] ** 2)) for axis in "zy"}
    return [*values, *covered, *(value for axis in "zy" for value in (predicted.rmse[axis], errors[axis]))]


def summarise(rows: Array) -> None:
    """Print how far predictions are off."""
    for name, column in (("precision", 0), ("recall", 2)):
        off = np.abs(rows[:, column] - rows[:, column + 1])
        covered = rows[:, 4 + column // 2].mean()
        print(
            f"{name}: off by {np.median(off):.4f} (median), {np.quantile(off, 0.9):.4f} (90 %); "
            f"{covered:.0%} in their intervals"
        )
    for name, column in (("RMSE z", 6), ("RMSE y", 8)):
        off = np.abs(rows[:, column] / rows[:, column + 1] - 1)
        print(f"{name}: off by {np.median(off):.0%} (median), {np.quantile(off, 0.9):.0%} (90 %)")


def summarise_qualities(measured: list[dict[str, tuple[float, float]]]) -> None:
    """Print how far what was measured of the images is off, in parts of the truth but for the volume fraction."""
    for name in ("diameter", "volume fraction", "PSF z", "PSF y", "SNR", "CNR"):
        pairs = np.array([values[name] for values in measured if name in values])
        if not len(pairs):
            continue
        off = np.abs(pairs[:, 0] - pairs[:, 1])
        if name == "volume fraction":
            print(
                f"{name}: off by {np.median(off):.3f} (median), {np.quantile(off, 0.9):.3f} (90 %); {len(off)} stacks"
            )
        else:
            off /= pairs[:, 1]
            print(
                f"{name}: off by {np.median(off):.1%} (median), {np.quantile(off, 0.9):.1%} (90 %); {len(off)} stacks"
            )


if __name__ == "__main__":
    main()
