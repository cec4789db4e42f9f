"""False particles in stacks of noise, by kind of noise, with and without the diameter; and dilute particles found.

python measurements/noise.py                        # 25 stacks of each of eight kinds, with a diameter given
python measurements/noise.py --estimate
python measurements/noise.py --dilute --stacks 3    # dim and dilute particles that are there

A stack of noise holds no particle, so each one found is false. "Before" is without the test for false positives in
`napari_colloids/detection/false_positives.py`; with `--estimate` the diameter is that of today in both.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

from napari_colloids.benchmark.microscope import Scene, make_volume
from napari_colloids.detection import DEFAULT_THRESHOLD, Options, Part
from napari_colloids.detection.candidates import Candidates, suppress_overlaps
from napari_colloids.detection.false_positives import iter_false_positives
from napari_colloids.detection.plan import iter_plan
from napari_colloids.detection.search import iter_search
from napari_colloids.progress import result_of
from napari_colloids.scoring import match
from napari_colloids.stack import as_stack

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Shape = tuple[int, int, int]
    Image = NDArray[np.generic]

SHAPES = ((40, 64, 64), (64, 64, 48), (32, 64, 80))
#: Diameters that are given, in voxels.
DIAMETERS = (6.0, 10.0, 16.0)
DILUTE_SHAPE = (48, 96, 96)
#: Volume fraction, radius and SNR of the stacks with dilute particles; large ones so dilute that a stack may have none
#: are left out.
DILUTE = tuple(
    (phi, radius, snr)
    for phi in (0.003, 0.01, 0.05)
    for radius in (3.0, 5.5, 8.0)
    for snr in (1.3, 2.0, 3.0)
    if phi * np.prod(DILUTE_SHAPE) > 4 / 3 * np.pi * radius**3
)


def gaussian(rng: np.random.Generator, shape: Shape) -> Image:
    """Return normal noise of 16 bits."""
    return rng.normal(1000, rng.uniform(5, 300), shape).clip(0, 65535).astype(np.uint16)


def poisson(rng: np.random.Generator, shape: Shape) -> Image:
    """Return photon counts of 8 bits."""
    return rng.poisson(rng.choice([0.05, 0.5, 3, 30, 120]), shape).clip(0, 255).astype(np.uint8)


def gradients(rng: np.random.Generator, shape: Shape) -> Image:
    """Return a ramp in a random direction, or a vignette, under noise."""
    along = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij"), axis=-1)
    way = rng.normal(size=3)
    ramp = along @ (way / np.linalg.norm(way))
    vignette = np.exp(-(along[..., 1] ** 2 + along[..., 2] ** 2) / rng.uniform(0.3, 2))
    light = 40 + 60 * (ramp if rng.random() < 0.5 else vignette)
    return (light + rng.normal(0, rng.uniform(1, 20), shape)).clip(0, 255).astype(np.uint8)


def clouds(rng: np.random.Generator, shape: Shape) -> Image:
    """Return smooth, uneven light under noise."""
    cloud = gaussian_filter(rng.normal(size=shape), rng.uniform(5, 12), mode="wrap")
    cloud /= cloud.std()
    return (100 + 20 * cloud + rng.normal(0, rng.uniform(1, 20), shape)).clip(0, 255).astype(np.uint8)


def lines(rng: np.random.Generator, shape: Shape) -> Image:
    """Return rows, columns and slices of uneven offset, as scanners and cameras have, under noise."""
    offset = sum(
        rng.normal(0, rng.uniform(0, 12), [n if k == axis else 1 for k, n in enumerate(shape)]) for axis in range(3)
    )
    offset = offset + rng.normal(0, rng.uniform(0, 8), (shape[0], shape[1], 1))
    return (100 + offset + rng.normal(0, rng.uniform(1, 12), shape)).clip(0, 255).astype(np.uint8)


def salt(rng: np.random.Generator, shape: Shape) -> Image:
    """Return single bright voxels on a dark, slightly noisy background."""
    image = rng.normal(10, rng.uniform(0.5, 4), shape)
    image[rng.random(shape) < 10 ** rng.uniform(-4, -1.5)] = 255
    return image.clip(0, 255).astype(np.uint8)


def blobs(rng: np.random.Generator, shape: Shape) -> Image:
    """Return noise that is as smooth as a point spread function, of floating point."""
    sigma = rng.uniform(0.6, 2)
    return gaussian_filter(rng.normal(size=shape), (sigma * rng.uniform(1, 2.5), sigma, sigma)).astype(np.float32)


def camera(rng: np.random.Generator, shape: Shape) -> Image:
    """Return a fixed pattern of offset and gain, the same in every slice, under shot noise and vignetting."""
    offset = 100 + rng.normal(0, 2, shape[1:]) + rng.normal(0, 1.5, shape[2])
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape[1:]), indexing="ij")
    light = rng.uniform(5, 100) * np.exp(-(x**2 + y**2) / 2) * rng.normal(1, 0.02, shape[1:])
    return (offset + rng.poisson(light.clip(0), shape) + rng.normal(0, 1.5, shape)).clip(0, 65535).astype(np.uint16)


KINDS: dict[str, Callable[[np.random.Generator, Shape], Image]] = {
    kind.__name__: kind for kind in (gaussian, poisson, gradients, clouds, lines, salt, blobs, camera)
}


def noise(kind: str, seed: int) -> Image:
    """Return a stack of a kind of noise."""
    rng = np.random.default_rng([seed, *kind.encode()])
    return KINDS[kind](rng, SHAPES[seed % len(SHAPES)])


def search(image: Image, diameter: float | None) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the positions above the default threshold before the test for noise, and whether they pass it."""
    stack = as_stack(image)
    plan = result_of(iter_plan(stack, Part(), Options(diameter=diameter)))
    volume = stack.volume()
    kept = suppress_overlaps(result_of(iter_search(volume, plan)).candidates)
    found = Candidates(plan.scale.to_source(kept.positions), kept.radii * plan.scale.lateral_step, kept.confidence)
    inside = np.all((found.positions >= -0.5) & (found.positions < np.array(image.shape) - 0.5), axis=1)
    likely = inside & (found.confidence >= DEFAULT_THRESHOLD["network"])
    return found.positions[likely], ~result_of(iter_false_positives(volume, plan, found))[likely]


def main() -> None:
    """Search the stacks and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stacks", type=int, default=25, help="number of stacks of each kind")
    parser.add_argument("--seed", type=int, default=1000, help="seed of the first stack")
    parser.add_argument("--estimate", action="store_true", help="estimate the diameter, in place of giving one")
    parser.add_argument("--dilute", action="store_true", help="stacks with dilute particles")
    options = parser.parse_args()
    seeds = range(options.seed, options.seed + options.stacks)
    (report_dilute if options.dilute else report_noise)(seeds, options.estimate)


def report_noise(seeds: range, estimate: bool) -> None:
    """Print the numbers of false particles by kind of noise."""
    print("| noise | stacks | with false particles | most false particles | stacks before | most before |")
    print("|---|---|---|---|---|---|")
    for kind in KINDS:
        before, after = [], []
        for seed in seeds:
            diameter = None if estimate else DIAMETERS[seed // len(SHAPES) % len(DIAMETERS)]
            found, passed = search(noise(kind, seed), diameter)
            before.append(len(found))
            after.append(int(passed.sum()))
        cells = [kind, len(seeds), np.count_nonzero(after), max(after), np.count_nonzero(before), max(before)]
        print("|", " | ".join(map(str, cells)), "|", flush=True)


def report_dilute(seeds: range, estimate: bool) -> None:
    """Print the numbers of dim and dilute particles found, and of false ones."""
    print("| volume fraction | radius (px) | SNR | particles | found | false | found before | false before |")
    print("|---|---|---|---|---|---|---|---|")
    for fraction, radius, snr in DILUTE:
        scene = Scene(DILUTE_SHAPE, radius, fraction, psf=(2.0, 1.2), snr=snr, cnr=0.8 * snr)
        total = np.zeros(5, int)
        for seed in seeds:
            volume = make_volume(scene, seed)
            found, passed = search(volume.image, None if estimate else volume.diameter)
            true = [len(match(volume.positions, some, radius).truth_index) for some in (found[passed], found)]
            numbers = passed.sum(), len(found)
            total += len(volume.positions), true[0], numbers[0] - true[0], true[1], numbers[1] - true[1]
        print("|", " | ".join(map(str, (fraction, radius, snr, *total))), "|", flush=True)


if __name__ == "__main__":
    main()
