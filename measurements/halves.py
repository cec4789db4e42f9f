"""Repeatability of the detection: the odd and the even slices of a stack, each searched by itself.

python measurements/halves.py FOLDER --diameters "nano_dense_128=7.5,nano_noisy_zoomed_128=13,nano_scanlines_128=13"

The two halves show the same particles with independent noise. Particles that are found in both, at one place, are
signal; the distance of the two is the error due to noise (a bias that both share does not show). The agreement by
chance is that with the same particles shifted by three diameters along x and y. The first row is a simulated stack of
nano-colloids of known truth: how well the agreement of the halves predicts precision and error.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from real_stacks import COUNTERPART, diameters_by_name

from napari_colloids.benchmark.microscope import make_volume
from napari_colloids.detection import detect
from napari_colloids.io import read_stack
from napari_colloids.particles import positions_of
from napari_colloids.scoring import match
from napari_colloids.stack import Stack

if TYPE_CHECKING:
    import pandas as pd

HEADER = (
    "stack",
    "particles",
    "in the halves",
    "found in both",
    "by chance",
    "error z / y / x (d)",
    "confirmed by a half",
    "true",
    "true error (d)",
)


def main() -> None:
    """Search the halves of every named TIFF of a folder, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--diameters", type=diameters_by_name, required=True, help="NAME=PX,...")
    options = parser.parse_args()
    print("|", " | ".join(HEADER), "|")
    print("|---" * len(HEADER) + "|")
    volume = make_volume(COUNTERPART, seed=731_900_000)
    report("simulated, like nano_dense_128", volume.image, volume.diameter, volume.positions)
    for name, diameter in options.diameters.items():
        report(name, np.asarray(read_stack(options.folder / f"{name}.tif").volume(0, 0)), diameter)


def report(name: str, image: np.ndarray, diameter: float, truth: np.ndarray | None = None) -> None:
    """Print a row."""
    whole = positions_of(detect(image, diameter=diameter))
    halves = [half(image, start, diameter) for start in (0, 1)]
    first, second = common(*halves, diameter)
    shift = 3 * diameter * np.array([0, 1, 1])
    moved = np.mod(halves[1] + shift, image.shape)
    chance = len(common(halves[0], moved, diameter)[0])
    away = (first - second) / diameter / np.sqrt(2)
    mean = np.mean([len(part) for part in halves])
    confirmed = max(len(common(whole, part, diameter)[0]) for part in halves) / len(whole)
    cells = [name, len(whole), " and ".join(str(len(part)) for part in halves)]
    cells += [f"{len(first) / mean:.2f}", f"{chance / mean:.2f}", spread(away), f"{confirmed:.2f}"]
    if truth is not None:
        found, true = common(whole, truth, diameter)
        cells += [f"{len(found) / len(whole):.2f}", spread((found - true) / diameter)]
    else:
        cells += ["", ""]
    print("|", " | ".join(str(cell) for cell in cells), "|", flush=True)


def half(image: np.ndarray, start: int, diameter: float) -> np.ndarray:
    """Return what is found in every other slice, in voxels of the whole stack."""
    found: pd.DataFrame = detect(Stack(image[start::2], voxel_size=(2.0, 1.0, 1.0)), diameter=diameter)
    return positions_of(found) * [2, 1, 1] + [start, 0, 0]


def common(a: np.ndarray, b: np.ndarray, diameter: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs of positions at most half a diameter apart, each position in one pair at most."""
    pairs = match(a, b, diameter / 2)
    return a[pairs.truth_index], b[pairs.prediction_index]


def spread(errors: np.ndarray) -> str:
    """Return the root mean square of each axis."""
    return " / ".join(f"{value:.3f}" for value in np.sqrt(np.mean(errors**2, axis=0)))


if __name__ == "__main__":
    main()
