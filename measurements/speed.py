"""Search and refinement of a dense stack on a CPU beside trackpy, in turns; and beside loops that keep cores busy.

python measurements/speed.py                                        (about 1000 particles)
python measurements/speed.py --busy 1
python measurements/speed.py --shape 192 384 384 --repeat 1         (some 17,000)

The stack has a volume fraction of 0.55, particles of 6 voxels in radius, an SNR of 5 and a PSF with an axial standard
deviation of half a radius. trackpy has a mask of 0.85 diameters, a separation of 0.75 and the percentile 30.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import torch
import trackpy

from napari_colloids import refine
from napari_colloids.detection import Options, detect
from napari_colloids.detection.measurement import forget
from napari_colloids.simulation import simulate

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import pandas as pd

RADIUS_PX = 6.0
DIAMETER_PX = 2 * RADIUS_PX
#: What keeps a core busy, and how long it takes to begin.
LOOP = "while True: pass"
SECONDS_OF_START = 0.3


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=int, nargs=3, default=(96, 128, 128), help="z, y, x in voxels")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each, after one to warm up; the median counts")
    parser.add_argument("--busy", type=int, default=0, help="loops that run beside every second run, too")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    optics = {"psf_sigma": (RADIUS_PX / 2, 1.3, 1.3), "snr": 5.0, "cnr": 5.0}
    simulation = simulate(shape=tuple(given.shape), radius=RADIUS_PX, volume_fraction=0.55, seed=given.seed, **optics)
    stack, particles = simulation.stack.data, len(simulation.particles)
    print(f"{particles} particles, {stack.size / 1e6:.2f} Mvoxel, {torch.get_num_threads()} threads")
    report(jobs_of(stack), particles, given.repeat, given.busy)


def jobs_of(stack: np.ndarray) -> dict[str, Callable[[], object]]:
    """Return what is timed, by name."""
    settings = Options(diameter=DIAMETER_PX, device="cpu")
    found = detect(stack, settings)

    def searched() -> pd.DataFrame:
        forget()
        return detect(stack, settings)

    def estimated() -> pd.DataFrame:
        forget()
        return detect(stack, Options(device="cpu"))

    def by_trackpy() -> pd.DataFrame:
        mask = int(0.85 * DIAMETER_PX) // 2 * 2 + 1
        return trackpy.locate(stack, mask, separation=0.75 * DIAMETER_PX, percentile=30, engine="numba")

    return {
        "trackpy": by_trackpy,
        "search, diameter given": searched,
        "search again": lambda: detect(stack, settings),
        "search, diameter estimated": estimated,
        "refinement": lambda: refine(stack, found, diameter=DIAMETER_PX),
    }


def report(jobs: dict[str, Callable[[], object]], particles: int, repeat: int, loops: int) -> None:
    """Time jobs in turns, and print a table."""
    seconds: dict[tuple[str, bool], list[float]] = {}
    for job in jobs.values():
        job()
    for _ in range(repeat):
        for name, job in jobs.items():
            for busy in (False, True)[: 1 + bool(loops)]:
                seconds.setdefault((name, busy), []).append(timed(job, loops * busy))
    print("| job | s (fastest, slowest) | ms per particle | over trackpy | busy over idle |\n|---|---|---|---|---|")
    usual = {key: statistics.median(times) for key, times in seconds.items()}
    for name in jobs:
        alone, times = usual[name, False], seconds[name, False]
        slower = f"{usual[name, True] / alone:.2f}" if loops else ""
        print(
            f"| {name} | {alone:.2f} ({min(times):.2f}, {max(times):.2f}) | {1e3 * alone / particles:.2f} "
            f"| {alone / usual['trackpy', False]:.2f} | {slower} |"
        )


def timed(job: Callable[[], object], loops: int) -> float:
    """Return the seconds of a job beside so many loops."""
    others = [subprocess.Popen([sys.executable, "-c", LOOP]) for _ in range(loops)]
    time.sleep(SECONDS_OF_START if loops else 0)
    started = time.perf_counter()
    job()
    seconds = time.perf_counter() - started
    for other in others:
        other.kill()
        other.wait()
    return seconds


if __name__ == "__main__":
    main()
