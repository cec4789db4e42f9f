"""What localisation errors do to the relaxation of a suspension, and what is left of it once they are corrected.

python measurements/dynamics.py                      (free and dense hard spheres, axial errors of .1 and .2 diameters)
python measurements/dynamics.py --walkers 4000       (independent Brownian walkers with known errors, beside theory)
python measurements/dynamics.py --coherent           (coherent scattering function of the dense ones, also with misses)
python measurements/dynamics.py --large 500000       (time and memory for as many particles in ten frames)
"""

from __future__ import annotations

import argparse
import resource
import time
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import erf

import napari_colloids as nc
from napari_colloids.dynamics import coherent_scattering, collective_overlap, nonaffine_displacement

if TYPE_CHECKING:
    import pandas as pd

RADIUS = 4.0
#: Standard errors along z, y, x in diameters: those of a good and of a poor image.
ERRORS = {"z .1, lateral .033 d": (0.1, 0.033, 0.033), "z .2, lateral .067 d": (0.2, 0.067, 0.067)}
NAMES = ("msd", "fs", "overlap", "chi4", "alpha2")


def main() -> None:
    """Print a table, in the format of the documentation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", type=int, help="number of particles of a frame")
    parser.add_argument("--walkers", type=int, help="number of independent walkers, compared with theory")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--coherent", action="store_true", help="the coherent scattering function alone")
    options = parser.parse_args()
    if options.large:
        large(options.large)
        return
    if options.walkers:
        walkers(options.walkers, options.frames)
        return
    if options.coherent:
        coherent(options.frames)
        return
    print("| system | errors | lag | | MSD / .001 d² | F_s | Q | chi_4 | alpha_2 |")
    print("|---|---|---|---|---|---|---|---|---|")
    for phi, step in ((0.05, 0.5), (0.5, 0.5)):
        series = nc.simulate_brownian(
            shape=(32, 64, 64), radius=RADIUS, volume_fraction=phi, frames=options.frames, step=step, seed=1
        ).trajectories
        for words, errors in ERRORS.items():
            compare(f"phi {phi}", words, series, 2 * RADIUS * np.array(errors))


def compare(system: str, words: str, truth: pd.DataFrame, errors: np.ndarray) -> None:
    """Print the curves at a short and a long lag: of the true positions, as measured, and corrected."""
    seen = truth.copy()
    seen[["z", "y", "x"]] += np.random.default_rng(0).normal(0, errors, (len(truth), 3))
    options = {"diameter": 2 * RADIUS, "max_lag": 12}
    true = nc.relaxation(truth, errors=(0, 0, 0), **options)
    found = nc.relaxation(seen, errors=errors, **options)
    for lag in (1, 12):
        row = int(np.flatnonzero(true.lag == lag)[0])
        for name, result, suffix in (("truth", true, ""), ("as measured", found, "_raw"), ("corrected", found, "")):
            values = [float(getattr(result, one + suffix)[row]) for one in NAMES]
            values[0] *= 1000 / (2 * RADIUS) ** 2
            numbers = f"{values[0]:.2f} | " + " | ".join(f"{value:.3f}" for value in values[1:])
            scatter = f" ± {result.alpha2_err[row]:.2f}" if name == "corrected" else ""
            print(f"| {system} | {words} | {lag} | {name} | {numbers}{scatter} |")


def walkers(count: int, frames: int) -> None:
    """Print what independent Brownian walkers have beside theory, as measured and corrected, at three lags.

    With D = step² / 2 and x = a / sqrt(2 D lag): MSD = 6 D lag, F_s = exp(-q² D lag), alpha_2 = 0,
    Q = erf(x / sqrt 2) - x sqrt(2 / pi) exp(-x² / 2), chi_4 = Q (1 - Q).
    """
    diameter, step = 2 * RADIUS, 0.5
    rng = np.random.default_rng(0)
    moves = rng.normal(0, step, (frames, count, 3))
    moves[0] = rng.uniform(0, 200, (count, 3))
    paths = np.cumsum(moves, axis=0)
    print("| errors | lag | | MSD / .001 d² | F_s | Q | chi_4 | alpha_2 |\n|---|---|---|---|---|---|---|---|")
    for words, errors in ERRORS.items():
        blur = diameter * np.array(errors)
        seen = paths + rng.normal(0, blur, paths.shape)
        tracks = nc.particle_table(
            seen.reshape(-1, 3), frame=np.repeat(np.arange(frames), count), particle=np.tile(np.arange(count), frames)
        )
        found = nc.relaxation(tracks, diameter=diameter, errors=blur, max_lag=12)
        for lag in (1, 4, 12):
            row, spread = int(np.flatnonzero(found.lag == lag)[0]), step * lag**0.5
            reach = found.overlap_distance / spread
            overlap = erf(reach / 2**0.5) - reach * (2 / np.pi) ** 0.5 * np.exp(-(reach**2) / 2)
            theory = [3 * spread**2, np.exp(-((found.q * spread) ** 2) / 2), overlap, overlap * (1 - overlap), 0.0]
            measured = [[float(getattr(found, one + suffix)[row]) for one in NAMES] for suffix in ("_raw", "")]
            for name, values in zip(("theory", "as measured", "corrected"), (theory, *measured), strict=True):
                numbers = " | ".join(f"{value:.3f}" for value in values[1:])
                print(f"| {words} | {lag} | {name} | {1000 * values[0] / diameter**2:.2f} | {numbers} |")


def coherent(frames: int) -> None:
    """Print S(q) and F/S at the first peak of dense hard spheres: true, as measured and corrected, and with misses."""
    truth = nc.simulate_brownian(
        shape=(64, 64, 64), radius=RADIUS, volume_fraction=0.5, frames=frames, step=0.5, seed=1
    ).trajectories
    rng = np.random.default_rng(0)
    print("| errors | | S | F/S, lag 1 | lag 4 | lag 12 |\n|---|---|---|---|---|---|")
    for words, errors in {"none": (0.0, 0.0, 0.0), **ERRORS}.items():
        blur = 2 * RADIUS * np.array(errors)
        seen = truth.copy()
        seen[["z", "y", "x"]] += rng.normal(0, 1, (len(truth), 3)) * blur
        for what, table in {"": seen, ", 5 % missed": seen[rng.random(len(seen)) > 0.05]}.items():
            found = coherent_scattering(table, diameter=2 * RADIUS, errors=tuple(blur), max_lag=12)
            rows = [int(np.flatnonzero(found.lag == lag)[0]) for lag in (1, 4, 12)]
            s, raw = f"{found.structure_factor:.3f}", f"{found.structure_factor_raw:.3f}"
            curve = " | ".join(f"{found.f_coherent[row]:.3f} ± {found.f_coherent_err[row]:.3f}" for row in rows)
            if any(errors):
                measured = " | ".join(f"{found.f_coherent_raw[row]:.3f}" for row in rows)
                print(f"| {words}{what} | as measured | {raw} | {measured} |")
            print(f"| {words}{what} | {'corrected' if any(errors) else ''} | {s} | {curve} |")


def large(count: int) -> None:
    """Time all that reads many particles, and tell the peak memory of the process."""
    rng, edge = np.random.default_rng(0), int(np.ceil(count ** (1 / 3)))
    start = 10.0 * np.indices((edge, edge, edge)).reshape(3, -1).T[:count]
    paths = start + np.cumsum(rng.normal(0, 0.4, (10, count, 3)), axis=0)
    tracks = nc.particle_table(
        paths.reshape(-1, 3),
        frame=np.repeat(np.arange(10), count),
        particle=np.tile(np.arange(count), 10),
        errors=np.tile([0.4, 0.1, 0.1, 0.1], (10 * count, 1)),
    )
    del start, paths
    print(f"table of {len(tracks)} rows: peak {_peak():.1f} GB")
    for name, call in {
        "relaxation": lambda: nc.relaxation(tracks),
        "relaxation, cage-relative": lambda: nc.relaxation(tracks, cage_relative=True, cutoff=14),
        "D2min of two frames": lambda: nonaffine_displacement(tracks, 0, 3, cutoff=14),
        "collective overlap": lambda: collective_overlap(tracks, diameter=10),
        "coherent scattering function": lambda: coherent_scattering(tracks, diameter=10),
    }.items():
        began = time.perf_counter()
        call()
        print(f"{name}: {time.perf_counter() - began:.0f} s, peak {_peak():.1f} GB")


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    main()
