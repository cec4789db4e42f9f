"""Effect of refinement on a real stack: rings before and after, residual, and pair correlation.

python measurements/refined.py FOLDER/polydisperse_46x128x128.tif --diameter 11.3 --out docs/images

In a polydisperse sample the distances of touching spheres differ, and the peak of g(r) stays broad however exact the
centres are. So pairs are also counted by the gap between their surfaces, r - R1 - R2, relative to spheres of the same
sizes at random positions. Both are smoothed by a Gaussian far narrower than their peaks (`--smoothing`), instead of
bins as wide as these.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from real_stacks import rings
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

from napari_colloids.detection import detect
from napari_colloids.io import read_stack
from napari_colloids.particles import POSITION, positions_of
from napari_colloids.progress import result_of
from napari_colloids.refinement.refine import iter_residual
from napari_colloids.structure import pair_correlation

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

#: Colour of the particles as the network found them and after the fit.
COLOURS = {"as found": "tab:cyan", "refined": "tab:orange"}
#: Width of the bins in diameters: many for each standard deviation of the smoothing.
STEP = 0.0025
#: Largest distance in g(r), in diameters.
MAX_DISTANCE = 4.0
GAPS = np.arange(-0.3, 0.5001, STEP)
#: Number of random placements of the spheres.
REPEATS = 20


def main() -> None:
    """Detect with and without refinement, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stack", type=Path)
    parser.add_argument("--diameter", type=float, help="in lateral voxels; default: estimated")
    parser.add_argument("--smoothing", type=float, default=0.02, help="standard deviation in diameters")
    parser.add_argument("--out", type=Path, default=Path("measurements/results"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    stack = read_stack(options.stack)
    image = np.asarray(stack.volume(0, 0), np.float32)
    found = detect(stack, diameter=options.diameter)
    diameter = found.attrs["diameter"]
    refined = detect(stack, diameter=diameter, refine=True)
    tables = {"as found": found, "refined": refined[refined["refined"] == 1]}
    residual = result_of(iter_residual(image, positions_of(refined), refined["radius"].to_numpy(), diameter), None)

    figure, axes = plt.subplots(2, 3, figsize=(15, 9), layout="constrained")
    low, high = np.percentile(image, (1, 99.7))
    views = ((("xy", 1, 2, 0), axes[0, :2]), (("xz", 0, 2, 1), axes[1, :2]))
    for (name, down, across, into), (left, right) in views:
        index = image.shape[into] // 2
        left.imshow(image.take(index, axis=into), cmap="gray", vmin=low, vmax=high)
        for label, table in tables.items():
            rings(left, table, np.ones(3), (down, across, into), index, COLOURS[label])
        left.set_title(f"{name}, {'zyx'[into]} = {index}: {' and '.join(tables)}", fontsize=9)
        half = (high - low) / 2
        right.imshow(residual.image.take(index // residual.bins[into], axis=into), cmap="gray", vmin=-half, vmax=half)
        right.set_title(f"{name}: what the refined particles leave", fontsize=9)
        for ax in (left, right):
            ax.axis("off")
    for label, table in tables.items():
        draw_pairs(axes[:, 2], table, image.shape, diameter, options.smoothing, label)
    axes[0, 2].set(xlabel="r / diameter", ylabel="g(r)")
    axes[1, 2].set(xlabel="gap between surfaces / diameter", ylabel="pairs over those of chance")
    axes[1, 2].axvline(0, color="k", ls=":", lw=1)
    axes[0, 2].legend()
    figure.suptitle(f"{options.stack.stem}: {len(tables['refined'])} of {len(refined)} particles refined")
    figure.savefig(options.out / f"refined_{options.stack.stem}.png", dpi=70)


def draw_pairs(
    axes: tuple[Axes, Axes],
    table: pd.DataFrame,
    shape: tuple[int, ...],
    diameter: float,
    smoothing: float,
    label: str,
) -> None:
    """Draw g(r) and the gaps, and print their peaks."""
    correlation = pair_correlation(
        table,
        shape=shape,
        diameter=diameter,
        cutoff=MAX_DISTANCE * diameter,
        bins=round(min(MAX_DISTANCE, min(shape) / diameter) / STEP),
    )
    r = correlation.r / diameter
    width = smoothing / (r[1] - r[0])
    # Numbers of pairs are smoothed, so that a few at small distances weigh little.
    g = gaussian_filter1d(correlation.g * r**2, width) / gaussian_filter1d(r**2, width)
    gaps = gap_correlation(table, shape, GAPS * diameter, smoothing / STEP)
    middles = (GAPS[1:] + GAPS[:-1]) / 2
    axes[0].plot(r, g, color=COLOURS[label], label=label)
    axes[1].plot(middles, gaps, color=COLOURS[label])
    overlapping = float(np.mean(gaps_of(table, diameter) < -0.1 * diameter))
    print(
        f"{label}: {len(table)} particles; g(r) {_peak(r, g)}; gaps {_peak(middles, gaps)}; "
        f"overlapping by more than 0.1 d: {overlapping:.1%} of the neighbours",
        flush=True,
    )


def _peak(x: np.ndarray, y: np.ndarray) -> str:
    """Say how high the highest peak is, where, and how wide half way down to 1."""
    top = int(y.argmax())
    below = np.flatnonzero(y <= (1 + y[top]) / 2)
    width = (below[below > top].min() - below[below < top].max()) * (x[1] - x[0])
    return f"peak {y[top]:.2f} at {x[top]:.3f} d, {width:.3f} d wide"


def gaps_of(table: pd.DataFrame, reach: float) -> np.ndarray:
    """Return the gaps of all pairs whose surfaces are less than `reach` apart."""
    positions, radii = positions_of(table), table["radius"].to_numpy()
    pairs = cKDTree(positions).query_pairs(2 * radii.max() + reach, output_type="ndarray")
    gaps = np.linalg.norm(np.subtract(*(positions[side] for side in pairs.T)), axis=1) - radii[pairs].sum(axis=1)
    return gaps[gaps < reach]


def gap_correlation(table: pd.DataFrame, shape: tuple[int, ...], edges: np.ndarray, width: float) -> np.ndarray:
    """Return how many pairs have a gap in each bin, over those of spheres of these sizes placed by chance."""
    rng = np.random.default_rng(0)
    by_chance = np.zeros(len(edges) - 1)
    for _ in range(REPEATS):
        anywhere = dict(zip(POSITION, (rng.random((len(table), 3)) * shape).T, strict=True))
        by_chance += np.histogram(gaps_of(table.assign(**anywhere), edges[-1]), edges)[0] / REPEATS
    found = np.histogram(gaps_of(table, edges[-1]), edges)[0].astype(float)
    return gaussian_filter1d(found, width) / gaussian_filter1d(by_chance, width)


if __name__ == "__main__":
    main()
