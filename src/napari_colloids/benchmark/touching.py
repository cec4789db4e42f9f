"""Two spheres that touch, or nearly: blur that is taken for position shows in their distance first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from napari_colloids.particles import positions_of
from napari_colloids.scoring import match
from napari_colloids.simulation.arrangement import Arrangement
from napari_colloids.simulation.parameters import Parameters
from napari_colloids.simulation.scene import Simulation, image_arrangement

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from napari_colloids.benchmark.refinement import Find

    Array = NDArray[np.float64]

#: Distance of the surfaces, in diameters.
GAPS = (0.0, 0.05, 0.1, 0.2, 0.3)
#: Directions of the pairs ``(z, y, x)``.
DIRECTIONS = {"z": (1, 0, 0), "y": (0, 1, 0), "x": (0, 0, 1), "diagonal": (1, 1, 1)}
CASES = [(gap, name) for gap in GAPS for name in DIRECTIONS]
#: How the pairs are imaged.
IMAGED = Parameters(shape=(104, 120, 120), radius=6.0, psf_sigma=(3.0, 1.32, 1.32), snr=5.0, cnr=5.0)
#: Cells of the stack; every other one holds a pair, the others a sphere alone.
_CELLS = (2, 3, 3)


def make_pairs(gap: float, direction: tuple[int, int, int], seed: int) -> tuple[Simulation, Array]:
    """Simulate nine equal pairs among nine spheres alone, no two of them in the same place within a voxel.

    Parameters
    ----------
    gap
        Distance of the surfaces, in diameters.
    direction
        Of the pairs ``(z, y, x)``, of any length.
    seed
        Of places and noise.

    Returns
    -------
    tuple
        The stack, and the centres of each pair, shape ``(9, 2, 3)`` in voxels.
    """
    rng = np.random.default_rng(seed)
    box = np.array(IMAGED.shape, float)
    cells = np.stack(np.meshgrid(*map(np.arange, _CELLS), indexing="ij"), -1).reshape(-1, 3)
    middles = (cells + 0.5) * box / _CELLS + rng.uniform(-0.5, 0.5, cells.shape)
    half = np.array(direction) / np.linalg.norm(direction) * (1 + gap) * IMAGED.radius
    paired = cells.sum(axis=1) % 2 == 0
    pairs = np.stack([middles[paired] - half, middles[paired] + half], axis=1)
    spheres = np.concatenate([pairs.reshape(-1, 3), middles[~paired]])
    radii = np.full(len(spheres), IMAGED.radius)
    arrangement = Arrangement(spheres, radii, (box[0], box[1], box[2]), periodic=False)
    return image_arrangement(arrangement, IMAGED, rng), pairs - 0.5


def measure_pairs(finders: Mapping[str, Find], seed: int, progress: Callable[[int], None]) -> pd.DataFrame:
    """Measure how far off the distance of two spheres is.

    Parameters
    ----------
    finders
        By name: stack and diameter to particle table.
    seed
        Of the first stack.
    progress
        Called with the number of `CASES` that are done.

    Returns
    -------
    pandas.DataFrame
        A row per gap, direction and method: ``gap``, ``direction``, ``method``, ``bias`` (mean error of the distance in
        diameters), ``bias_err`` (its standard error), ``pairs`` (those of which both spheres were found).
    """
    rows: list[dict[str, Any]] = []
    diameter = 2 * IMAGED.radius
    for number, (gap, name) in enumerate(CASES):
        simulation, pairs = make_pairs(gap, DIRECTIONS[name], seed + number)
        for method, find in finders.items():
            off = _distance_errors(pairs, positions_of(find(simulation.stack, diameter)), diameter) / diameter
            known = off[np.isfinite(off)]
            bias = float(known.mean()) if len(known) else float("nan")
            doubt = float(known.std(ddof=1) / np.sqrt(len(known))) if len(known) > 1 else float("nan")
            what = {"gap": gap, "direction": name, "method": method}
            rows.append(what | {"bias": bias, "bias_err": doubt, "pairs": len(known)})
        progress(number + 1)
    return pd.DataFrame(rows)


def _distance_errors(pairs: Array, found: Array, diameter: float) -> Array:
    """Return how much larger each distance is than the true one, in voxels; NaN where a sphere was not found."""
    matching = match(pairs.reshape(-1, 3), found, diameter / 2)
    seen = np.full((2 * len(pairs), 3), np.nan)
    seen[matching.truth_index] = found[matching.prediction_index]
    apart, true = (np.linalg.norm(np.diff(p.reshape(-1, 2, 3), axis=1)[:, 0], axis=1) for p in (seen, pairs))
    return np.asarray(apart - true)
