"""Throughput of `detect` with worker processes beside the plain command on one core: whole commands, in turn.

python measurements/workers.py                         (60 frames of 64 x 256 x 256, two workers)
python measurements/workers.py --frames 20 --repeat 3
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

#: Frames that are simulated; the file repeats them.
DIFFERENT = 3
DIAMETER = 10.0


def main() -> None:
    """Write the series, run both commands in turn, print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--shape", type=int, nargs=3, default=(64, 256, 256), help="z, y, x in voxels")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=2, help="runs of each command")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_series(folder / "series.tif", options.frames, tuple(options.shape))
        plain, spread = [], []
        for _ in range(options.repeat):
            plain.append(seconds(folder, "plain.csv"))
            spread.append(seconds(folder, "spread.csv", "--workers", str(options.workers)))
        equal = (folder / "plain.csv").read_bytes() == (folder / "spread.csv").read_bytes()
    voxels = options.frames * options.shape[0] * options.shape[1] * options.shape[2] / 1e6
    report = {
        "frames": options.frames,
        "shape": list(options.shape),
        "workers": options.workers,
        "plain_seconds": plain,
        "workers_seconds": spread,
        "plain_mvoxel_per_s": round(voxels / statistics.median(plain), 2),
        "workers_mvoxel_per_s": round(voxels / statistics.median(spread), 2),
        "throughput_ratio": round(statistics.median(p / s for p, s in zip(plain, spread, strict=True)), 2),
        "same_table": equal,
    }
    print(json.dumps(report, indent=1))


def write_series(path: Path, frames: int, shape: tuple[int, int, int]) -> None:
    """Write a time series, frame by frame."""
    import tifffile

    from napari_colloids.simulation import simulate

    some = [
        simulate(shape=shape, radius=DIAMETER / 2, volume_fraction=0.3, seed=seed).stack.data
        for seed in range(DIFFERENT)
    ]
    series = tifffile.memmap(path, shape=(frames, *shape), dtype=some[0].dtype, metadata={"axes": "TZYX"}, imagej=True)
    for frame in range(frames):
        series[frame] = some[frame % DIFFERENT]


def seconds(folder: Path, table: str, *more: str) -> float:
    """Run the command on one core a process and return how long it took."""
    code = "import sys; from napari_colloids.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "detect", "series.tif", "-o", table, "--diameter", str(DIAMETER), *more]
    started = time.perf_counter()
    subprocess.run(command, check=True, cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE)
    return round(time.perf_counter() - started, 1)


if __name__ == "__main__":
    main()
