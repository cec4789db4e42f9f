"""Residual of a stack after a model of the particles found in it: image, model, residual, and g(r).

python measurements/residuals.py FOLDER --out docs/images --diameters "nano_dense_128=7.5,nano_scanlines_128=13"

The model: every particle is a sphere of its own radius and brightness, blurred by one Gaussian PSF, on a smooth
background. Brightness and background are the least-squares solution; the widths of the PSF (and of a dark core, if that
helps) minimise the residual. Neighbouring slices share the light but not the noise, so the unexplained light shows in
their covariance: its ratio to that of the image is printed as "left". A false particle gets a negative brightness as
often as a positive one; "negative" is the fraction of negative ones.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from real_stacks import diameters_by_name
from scipy.ndimage import gaussian_filter
from scipy.sparse import csc_array
from scipy.sparse.linalg import LinearOperator, lsqr
from trackpy.static import pair_correlation_3d

from napari_colloids.detection import detect
from napari_colloids.io import read_stack
from napari_colloids.particles import positions_of

if TYPE_CHECKING:
    import pandas as pd

#: Widths of the PSF and of the dark core that are tried, in radii.
AXIAL = (0.2, 0.35, 0.5, 0.7, 0.9, 1.1, 1.3, 1.6)
LATERAL = (0.1, 0.2, 0.3, 0.45)
CORES = (0.0, 0.4, 0.6)
#: Steps of the least-squares solver while the optics are searched for, and for the picture.
QUICK, THOROUGH = 8, 60


@dataclass(frozen=True)
class Optics:
    """Standard deviations of the PSF and radius of the dark core, in particle radii."""

    axial: float = 0.5
    lateral: float = 0.2
    core: float = 0.0


def main() -> None:
    """Detect in every TIFF of a folder, fit and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--diameters", type=diameters_by_name, default={}, help="NAME=PX,...: not estimated in these")
    parser.add_argument("--out", type=Path, default=Path("measurements/results"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for path in sorted(p for p in options.folder.iterdir() if p.suffix.lower() in (".tif", ".tiff")):
        stack = read_stack(path)
        image = np.asarray(stack.volume(0, 0), np.float32)
        found = detect(stack, diameter=options.diameters.get(path.stem))
        optics = fit_optics(image, found)
        model, brightness = fit(image, found, optics, THOROUGH)
        left = covariance(image - model) / covariance(image)
        title = (
            f"{path.stem}: {len(found)} particles, PSF {optics.axial:g} / {optics.lateral:g} r, "
            f"dark core {optics.core:g} r, left {left:.1%}, negative {np.mean(brightness < 0):.1%}"
        )
        print(title, flush=True)
        draw(image, model, brightness, found, title, options.out / f"residual_{path.stem}.png")


def fit_optics(image: np.ndarray, found: pd.DataFrame) -> Optics:
    """Return the optics that leave the least: each number in turn, until none gets better."""
    tried: dict[Optics, float] = {}

    def left(optics: Optics) -> float:
        if optics not in tried:
            tried[optics] = float(np.var(image - fit(image, found, optics, QUICK)[0]))
        return tried[optics]

    best = Optics()
    while True:
        before = best
        for name, values in (("axial", AXIAL), ("lateral", LATERAL), ("core", CORES)):
            best = min((replace(best, **{name: value}) for value in values), key=left)
        if best == before:
            return best


def fit(image: np.ndarray, found: pd.DataFrame, optics: Optics, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the best image that these particles can make through these optics, and their brightness in it."""
    radius = float(found["radius"].median())
    sigma = (optics.axial * radius, optics.lateral * radius, optics.lateral * radius)
    blur = partial(gaussian_filter, sigma=sigma, truncate=3.0)
    spheres = _spheres(image.shape, found, optics.core)
    axes = np.meshgrid(*[np.linspace(-1, 1, length) for length in image.shape], indexing="ij")
    background = np.stack([np.ones(image.size), *(axis.ravel() ** k for axis in axes for k in (1, 2))])
    n = len(found)
    # A Gaussian is its own transpose.
    system = LinearOperator(
        (image.size, n + len(background)),
        matvec=lambda x: blur((spheres @ x[:n]).reshape(image.shape)).ravel() + x[n:] @ background,
        rmatvec=lambda y: np.concatenate([spheres.T @ blur(y.reshape(image.shape)).ravel(), background @ y]),
        dtype=np.float64,
    )
    solution = lsqr(system, image.ravel().astype(np.float64), iter_lim=steps)[0]
    return system.matvec(solution).reshape(image.shape), solution[:n]


def _spheres(shape: tuple[int, ...], found: pd.DataFrame, core: float) -> csc_array:
    """Return the anti-aliased spheres as columns of a matrix (voxels x particles)."""
    rows, values, starts = [], [], [0]
    for centre, radius in zip(positions_of(found), found["radius"].to_numpy(), strict=True):
        low = np.maximum(np.ceil(centre - radius - 1), 0).astype(int)
        high = np.minimum(np.floor(centre + radius + 1) + 1, shape).astype(int)
        grid = np.meshgrid(*[np.arange(a, b) for a, b in zip(low, high, strict=True)], indexing="ij")
        distance = np.sqrt(sum((axis - c) ** 2 for axis, c in zip(grid, centre, strict=True)))
        covered = np.clip(radius + 0.5 - distance, 0, 1)
        if core:
            covered -= np.clip(core * radius + 0.5 - distance, 0, 1)
        some = covered > 0
        rows.append(np.ravel_multi_index([axis[some] for axis in grid], shape))
        values.append(covered[some])
        starts.append(starts[-1] + len(rows[-1]))
    return csc_array(
        (np.concatenate(values), np.concatenate(rows), np.array(starts)), shape=(int(np.prod(shape)), len(found))
    )


def covariance(image: np.ndarray) -> float:
    """Return the covariance of neighbouring slices, slowly varying light taken out."""
    sharp = image - gaussian_filter(image, 0.15 * min(image.shape))
    return float(np.mean(sharp[1:] * sharp[:-1]))


def draw(
    image: np.ndarray, model: np.ndarray, brightness: np.ndarray, found: pd.DataFrame, title: str, path: Path
) -> None:
    """Write the picture: image, model and residual in xy and xz, g(r), and how bright the particles are."""
    figure, axes = plt.subplots(2, 4, figsize=(16, 8), layout="constrained")
    low, high = np.percentile(image, (1, 99.7))
    for row, axis in zip(axes, (0, 1), strict=True):
        index = image.shape[axis] // 2
        panels = (("image", image), ("model", model), ("residual", image - model))
        for ax, (name, volume) in zip(row[:3], panels, strict=True):
            offset = 0 if name != "residual" else -(high - low) / 2
            ax.imshow(volume.take(index, axis=axis), cmap="gray", vmin=low * (not offset) + offset, vmax=high + offset)
            ax.set_title(f"{name}, {'xy' if axis == 0 else 'xz'}, {'zy'[axis]} = {index}", fontsize=9)
            ax.axis("off")
    diameter = found.attrs["diameter"]
    _draw_g(axes[0, 3], found, image.shape, diameter)
    axes[1, 3].hist(brightness / np.median(brightness), bins=50)
    axes[1, 3].axvline(0, color="k", ls=":", lw=1)
    axes[1, 3].set_xlabel("brightness / median")
    axes[1, 3].set_ylabel("particles")
    figure.suptitle(title)
    figure.savefig(path, dpi=70)
    plt.close(figure)


def _draw_g(ax: plt.Axes, found: pd.DataFrame, shape: tuple[int, ...], diameter: float) -> None:
    bounds = [float(edge) for n in reversed(shape) for edge in (0, n - 1)]
    edges, g = pair_correlation_3d(
        found, cutoff=min(4 * diameter, min(shape) / 2), dr=0.06 * diameter, boundary=tuple(bounds), max_rel_ndensity=40
    )
    ax.plot((edges[1:] + edges[:-1]) / 2 / diameter, g)
    ax.axvline(1, color="k", ls=":", lw=1)
    ax.axhline(1, color="k", ls=":", lw=1)
    ax.set_xlabel("r / diameter")
    ax.set_ylabel("g(r)")


if __name__ == "__main__":
    main()
