"""Standard errors of refined real particles: the odd and the even slices of a stack, each refined by itself.

python measurements/refined_halves.py FOLDER --diameters "nano_scanlines_128=13,polydisperse_46x128x128=11.3"

The two halves show the same particles with noise of their own, so that the distance of the two positions should be what
their standard errors say. A bias that both share, such as that of a wrong PSF, does not show.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from real_stacks import diameters_by_name

from napari_colloids.detection import detect
from napari_colloids.io import read_stack
from napari_colloids.particles import ERRORS, positions_of
from napari_colloids.scoring import match
from napari_colloids.stack import Stack

HEADER = ("stack", "in both", "error z / y / x (d)", "stated (d)", "within one", "within two", "notices")


def main() -> None:
    """Refine the halves of every named TIFF of a folder, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--diameters", type=diameters_by_name, required=True, help="NAME=PX,...")
    options = parser.parse_args()
    print("|", " | ".join(HEADER), "|")
    print("|---" * len(HEADER) + "|")
    for name, diameter in options.diameters.items():
        report(name, np.asarray(read_stack(options.folder / f"{name}.tif").volume(0, 0)), diameter)


def report(name: str, image: np.ndarray, diameter: float) -> None:
    """Print a row."""
    (first, first_errors, said), (second, second_errors, _) = (half(image, start, diameter) for start in (0, 1))
    pairs = match(first, second, diameter / 2)
    away = first[pairs.truth_index] - second[pairs.prediction_index]
    stated = np.hypot(first_errors[pairs.truth_index], second_errors[pairs.prediction_index])
    # Each half has its share of the distance.
    error = np.sqrt(np.mean(away**2, axis=0) / 2) / diameter
    usual = np.median(stated, axis=0) / np.sqrt(2) / diameter
    within = [(np.abs(away) < sigmas * stated).mean(axis=0) for sigmas in (1, 2)]
    cells = [name, len(away), *(" / ".join(f"{v:.3f}" for v in row) for row in (error, usual))]
    cells += [" / ".join(f"{v:.2f}" for v in row) for row in within]
    print("|", " | ".join(map(str, cells)), "|", " ".join(said), "|", flush=True)


def half(image: np.ndarray, start: int, diameter: float) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return positions and standard errors in voxels of the whole stack, of every other slice, and the notices."""
    found = detect(Stack(image[start::2], voxel_size=(2.0, 1.0, 1.0)), diameter=diameter, refine=True)
    refined = found[found["refined"] == 1]
    errors = refined[ERRORS[:3]].to_numpy() * [2, 1, 1]
    return positions_of(refined) * [2, 1, 1] + [start, 0, 0], errors, found.attrs["notices"]


if __name__ == "__main__":
    main()
