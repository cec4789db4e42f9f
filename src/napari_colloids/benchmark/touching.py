"""Distance error of pairs of spheres that touch, or nearly do, where blur biases positions most."""

from __future__ import annotations

from typing import TYPE_CHECKING

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

    from napari_colloids.benchmark.measure import Find

    Array = NDArray[np.float64]

#: Distance of the surfaces, in diameters.
GAPS = (0.0, 0.05, 0.1, 0.2, 0.3)
#: Directions of the pairs ``(z, y, x)``.
DIRECTIONS = {"z": (1, 0, 0), "y": (0, 1, 0), "x": (0, 0, 1), "diagonal": (1, 1, 1)}
CASES = [(gap, name) for gap in GAPS for name in DIRECTIONS]
#: Imaging conditions.
IMAGED = Parameters(shape=(104, 120, 120), radius=6.0, psf_sigma=(3.0, 1.32, 1.32), snr=5.0, cnr=5.0)
#: Cells of the stack; every other one holds a pair, the others a sphere alone.
_CELLS = (2, 3, 3)


def make_pairs(gap: float, direction: tuple[int, int, int], seed: int) -> tuple[Simulation, Array]:
    """Simulate nine equal pairs among nine single spheres, each at another fraction of a voxel.

    Parameters
    ----------
    gap
        Distance of the surfaces, in diameters.
    direction
        Of the pairs ``(z, y, x)``, of any length.
    seed
        Of positions and noise.

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
    """Measure the error of the distance of the two spheres of a pair.

    Parameters
    ----------
    finders
        By the name of the method.
    seed
        Of the first stack.
    progress
        Called with the number of `CASES` that are done.

    Returns
    -------
    pandas.DataFrame
        A row per gap, direction and method: ``gap``, ``direction``, ``method``, ``bias`` (mean error of the distance in
        diameters), ``bias_err`` (its standard error), ``pairs`` (number of pairs of which both spheres were found).
    """
    rows: list[dict[str, object]] = []
    diameter = 2 * IMAGED.radius
    for number, (gap, name) in enumerate(CASES):
        simulation, pairs = make_pairs(gap, DIRECTIONS[name], seed + number)
        for method, find in finders.items():
            errors = _distance_errors(pairs, positions_of(find(simulation.stack, diameter)), diameter) / diameter
            known = errors[np.isfinite(errors)]
            bias = float(known.mean()) if len(known) else float("nan")
            bias_err = float(known.std(ddof=1) / np.sqrt(len(known))) if len(known) > 1 else float("nan")
            labels = {"gap": gap, "direction": name, "method": method}
            rows.append(labels | {"bias": bias, "bias_err": bias_err, "pairs": len(known)})
        progress(number + 1)
    return pd.DataFrame(rows)


def _distance_errors(pairs: Array, found: Array, diameter: float) -> Array:
    """Return the found minus the true distance of each pair, in voxels; NaN where a sphere was not found."""
    matching = match(pairs.reshape(-1, 3), found, diameter / 2)
    matched = np.full((2 * len(pairs), 3), np.nan)
    matched[matching.truth_index] = found[matching.prediction_index]
    distance, true = (np.linalg.norm(np.diff(p.reshape(-1, 2, 3), axis=1)[:, 0], axis=1) for p in (matched, pairs))
    return np.asarray(distance - true)
