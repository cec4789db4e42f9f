"""Plots of the particles found in real stacks: slices in xy, xz and yz with the cross-sections of the particles.

`--counterpart` adds two plots of a simulated stack that looks like nano_dense_128: with the particles found in it, and
with the true ones, for comparison. The images that are drawn, not those that are searched, are smoothed by a tenth of a
diameter, at most by 1.2 voxels.

python measurements/real_stacks.py FOLDER --out docs/images --diameters "nano_dense_128=7.5,nano_scanlines_128=13"
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import EllipseCollection
from scipy.ndimage import gaussian_filter

from napari_colloids.benchmark.microscope import Scene, make_volume
from napari_colloids.detection import Record, detect
from napari_colloids.errors import ColloidsError
from napari_colloids.io import read_stack
from napari_colloids.particles import POSITION, particle_table
from napari_colloids.scoring import score
from napari_colloids.stack import as_stack

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from napari_colloids.stack import Stack

#: Blur, noise and unevenness as in nano_dense_128.
COUNTERPART = Scene(
    shape=(128, 128, 128), radius=3.6, volume_fraction=0.4, psf=(4.3, 1.2), brightness_spread=0.65, snr=2.5, cnr=1.8
)
#: Title, and which axes of (z, y, x) go down, across and into the picture.
VIEWS = (("xy", 1, 2, 0), ("xz", 0, 2, 1), ("yz", 0, 1, 2))
#: Where the slices are cut, as fractions of the stack.
DEPTHS = (0.35, 0.65)


def main() -> None:
    """Detect in every TIFF of a folder and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--diameters", type=diameters_by_name, default={}, help="NAME=PX,...: a second picture of these"
    )
    parser.add_argument("--counterpart", action="store_true", help="draw a simulated stack of nano-colloids, too")
    parser.add_argument("--out", type=Path, default=Path("measurements/results"))
    options = parser.parse_args()
    paths = sorted(p for p in options.folder.iterdir() if p.suffix.lower() in (".tif", ".tiff"))
    unknown = set(options.diameters) - {p.stem for p in paths}
    if unknown:
        parser.error(f"no TIFF in {options.folder} is called {', '.join(sorted(unknown))}")
    options.out.mkdir(parents=True, exist_ok=True)
    if options.counterpart:
        draw_counterpart(options.out)
    for path in paths:
        stack = read_stack(path)
        for diameter in {None, options.diameters.get(path.stem)}:
            target = options.out / f"real_{path.stem}{'_given' if diameter else ''}.png"
            try:
                found = detect(stack, diameter=diameter)
            except ColloidsError as error:
                print(f"{path.stem}: {error}")
                continue
            title = describe(found)
            print(f"{path.stem}: {title}; {Record.from_attrs(found.attrs).seconds:.1f} s", flush=True)
            draw(stack, found, f"{path.stem}: {title}", target)


def draw_counterpart(folder: Path) -> None:
    """Draw a simulated stack like nano_dense_128 with what is found, and with the truth."""
    volume = make_volume(COUNTERPART, seed=731_900_000)
    stack = as_stack(volume.image)
    found = detect(stack, diameter=volume.diameter)
    result = score(volume.positions, found, diameter=volume.diameter, shape=volume.image.shape)
    title = f"simulated: {len(found)} particles found, precision {result.precision:.2f}, recall {result.recall:.2f}"
    print(title, flush=True)
    draw(stack, found, title, folder / "counterpart_found.png")
    truth = particle_table(volume.positions, radius=volume.radii, confidence=np.ones(len(volume.radii)))
    truth.attrs["diameter"] = volume.diameter
    draw(stack, truth, f"simulated: the {len(truth)} true particles", folder / "counterpart_truth.png")


def diameters_by_name(text: str) -> dict[str, float]:
    """Read NAME=PX,NAME=PX."""
    return {name: float(value) for name, _, value in (part.partition("=") for part in text.split(","))}


def describe(found: pd.DataFrame) -> str:
    """Return a line on the number of particles and their diameter."""
    record = Record.from_attrs(found.attrs)
    source = "given"
    if record.diameter_estimated:
        source = "estimated, certain" if record.diameter_certain else "estimated, NOT certain"
    return f"{len(found)} particles, diameter {record.diameter:.1f} px ({source})"


def draw(stack: Stack, found: pd.DataFrame, title: str, path: Path) -> None:
    """Write a picture of two slices in each direction."""
    # By eye, particles are easier to see in an image that is smoothed a little.
    smoothing = min(0.1 * found.attrs["diameter"], 1.2)
    image = gaussian_filter(np.asarray(stack.volume(0, 0), np.float32), smoothing)
    scale = np.array(stack.voxel_size or (1.0, 1.0, 1.0))
    scale = scale / scale[2]
    limits = np.percentile(image, (1, 99.7))
    figure, axes = plt.subplots(len(DEPTHS), len(VIEWS), figsize=(13, 9), layout="constrained")
    for row, depth in zip(axes, DEPTHS, strict=True):
        for ax, (name, down, across, into) in zip(row, VIEWS, strict=True):
            index = int(depth * image.shape[into])
            ax.imshow(image.take(index, axis=into), cmap="gray", vmin=limits[0], vmax=limits[1])
            ax.set_aspect(scale[down] / scale[across])
            ax.set_title(f"{name}, {'zyx'[into]} = {index}", fontsize=9)
            ax.axis("off")
            cuts = rings(ax, found, scale, (down, across, into), index)
    figure.colorbar(cuts, ax=axes, label="confidence", shrink=0.5, pad=0.01)
    figure.suptitle(title)
    figure.savefig(path, dpi=90)
    plt.close(figure)


def rings(
    ax: Axes, found: pd.DataFrame, scale: np.ndarray, view: tuple[int, int, int], index: int, colour: str | None = None
) -> EllipseCollection:
    """Draw where the slice cuts the particles: circles of radius sqrt(r^2 - d^2), by default coloured by confidence."""
    down, across, into = view
    centres = found[POSITION].to_numpy(dtype=float)
    squared = found["radius"].to_numpy() ** 2 - ((centres[:, into] - index) * scale[into]) ** 2
    cut = squared > 0
    diameters = 2 * np.sqrt(squared[cut])
    cuts = EllipseCollection(
        diameters / scale[across],
        diameters / scale[down],
        np.zeros(len(diameters)),
        units="xy",
        offsets=centres[cut][:, [across, down]],
        offset_transform=ax.transData,
        array=None if colour else found["confidence"].to_numpy()[cut],
        edgecolors=colour,
        cmap="plasma",
        clim=(0, 1),
        facecolors="none",
        linewidths=0.8,
    )
    ax.add_collection(cuts)
    return cuts


if __name__ == "__main__":
    main()
