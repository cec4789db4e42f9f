"""Detected nano-colloids drawn over the deconvolved image, in which spheres can be told apart along z by eye.

python measurements/deconvolved.py FOLDER --out docs/images
    --stacks "nano_dense_128=7.5/4.3/1.2,nano_noisy_zoomed_128=13/7.8/1.95,nano_scanlines_128=13/7.2/2.0"

Richardson-Lucy deconvolution assumes neither spheres nor the network, so that it is an independent check. Each stack is
named with the diameter of its particles and the widths of its PSF (standard deviations along z and across), in voxels;
`measurements/residuals.py` prints the widths of the smallest residual. A simulated stack of known truth, with the blur,
noise and uneven brightness of nano_dense_128, is drawn first, also with its true particles. Printed: the fraction of
the brightest spots of the deconvolved image that have a centre within half a diameter, and the fraction that would by
chance (the same particles, shifted by three diameters along x and y).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from real_stacks import COUNTERPART, draw
from scipy.ndimage import gaussian_filter, maximum_filter
from scipy.spatial import cKDTree
from skimage.restoration import richardson_lucy

from napari_colloids.benchmark.microscope import make_volume
from napari_colloids.detection import detect
from napari_colloids.io import read_stack
from napari_colloids.particles import particle_table, positions_of
from napari_colloids.stack import as_stack

if TYPE_CHECKING:
    import pandas as pd

#: Steps of the deconvolution: more of them sharpen the noise.
STEPS = 30
#: The image is smoothed first by this much of the PSF's width, as the noise of single voxels is no light.
SMOOTHED = 0.3
#: Grey level (percentile) that is taken for the dark.
DARK = 2
#: A spot is a maximum that belongs to the brightest of the voxels (per cent).
BRIGHTEST = 3


def main() -> None:
    """Detect in the simulated stack and in those named, and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--stacks", type=stacks_by_name, required=True, help="NAME=DIAMETER/AXIAL/LATERAL,...")
    parser.add_argument("--out", type=Path, default=Path("measurements/results"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    volume = make_volume(COUNTERPART, seed=731_900_000)
    truth = particle_table(volume.positions, radius=volume.radii, confidence=np.ones(len(volume.radii)))
    truth.attrs["diameter"] = volume.diameter
    sharp = deconvolved(volume.image, COUNTERPART.psf)
    report(sharp, truth, "simulated: the true particles", options.out / "deconvolved_truth.png")
    found = detect(volume.image, diameter=volume.diameter)
    report(sharp, found, "simulated: what is found", options.out / "deconvolved_found.png")
    for name, (diameter, axial, lateral) in options.stacks.items():
        image = np.asarray(read_stack(options.folder / f"{name}.tif").volume(0, 0))
        found = detect(image, diameter=diameter)
        report(deconvolved(image, (axial, lateral)), found, name, options.out / f"deconvolved_{name}.png")


def stacks_by_name(text: str) -> dict[str, tuple[float, float, float]]:
    """Read NAME=DIAMETER/AXIAL/LATERAL,..."""
    stacks = {}
    for part in text.split(","):
        name, _, numbers = part.partition("=")
        diameter, axial, lateral = (float(number) for number in numbers.split("/"))
        stacks[name] = (diameter, axial, lateral)
    return stacks


def deconvolved(image: np.ndarray, psf: tuple[float, float]) -> np.ndarray:
    """Return the image before a Gaussian PSF (standard deviations along z and across, in voxels) blurred it."""
    sigma = np.array([psf[0], psf[1], psf[1]])
    margin = [(width, width) for width in np.ceil(3 * sigma).astype(int)]
    light = np.maximum(image.astype(np.float32) - np.percentile(image, DARK), 0)
    light = gaussian_filter(np.pad(light, margin, mode="reflect"), SMOOTHED * sigma)
    point = np.zeros([2 * width + 1 for width, _ in margin], np.float32)
    point[tuple(width for width, _ in margin)] = 1
    scale = float(light.max())
    sharp = richardson_lucy(light / scale, gaussian_filter(point, sigma), num_iter=STEPS, clip=False) * scale
    inside = tuple(slice(width, -width) for width, _ in margin)
    return np.asarray(sharp[inside], np.float32)


def report(sharp: np.ndarray, found: pd.DataFrame, name: str, path: Path) -> None:
    """Draw the particles over the deconvolved image, and print how many of its bright spots they explain."""
    diameter, centres = found.attrs["diameter"], positions_of(found)
    highest = sharp == maximum_filter(sharp, size=max(round(0.7 * diameter), 3))
    spots = np.argwhere(highest & (sharp > np.percentile(sharp, 100 - BRIGHTEST)))
    shifted = np.mod(centres + 3 * diameter * np.array([0, 1, 1]), sharp.shape)
    met, chance = (np.mean(cKDTree(places).query(spots)[0] < diameter / 2) for places in (centres, shifted))
    title = f"{name}: {len(found)} particles in {met:.0%} of the {len(spots)} brightest spots (by chance {chance:.0%})"
    print(title, flush=True)
    draw(as_stack(sharp), found, title, path)


if __name__ == "__main__":
    main()
