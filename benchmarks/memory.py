"""Peak memory and speed of `detect` on a large TIFF, read as a user would read it.

python benchmarks/memory.py                (1024^3 voxels: 1 GB, uint8)
python benchmarks/memory.py --size 256
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

#: The pattern that fills the file: one simulated block, again and again.
BLOCK = 128
DIAMETER = 12.0


def main() -> None:
    """Write the file, detect in a process of its own, print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1024, help="edge of the stack in voxels")
    parser.add_argument("--tile", type=int, help="edge of the tiles in voxels; default: by free memory")
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file, too")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure, options.tile)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.tif"
        write_tiff(path, options.size)
        command = [sys.executable, __file__, "--measure", str(path)]
        if options.tile:
            command += ["--tile", str(options.tile)]
        report = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    print(report, end="")
    if options.out:
        options.out.write_text(report)


def write_tiff(path: Path, size: int) -> None:
    """Write a cubic uint8 stack in one piece, slab by slab."""
    import numpy as np
    import tifffile

    from napari_colloids.simulation import simulate

    block = simulate(shape=(BLOCK, BLOCK, BLOCK), radius=DIAMETER / 2, seed=1).stack.data
    times = -(-size // BLOCK)
    slab = np.tile(block, (1, times, times))[:, :size, :size]
    stack = tifffile.memmap(path, shape=(size, size, size), dtype=np.uint8, bigtiff=True, metadata={"axes": "ZYX"})
    for start in range(0, size, BLOCK):
        stack[start : start + BLOCK] = slab[: size - start]
    stack.flush()


def measure(path: Path, tile: int | None) -> None:
    """Detect, and print what it took beyond the imports."""
    import torch

    from napari_colloids.detection import detect
    from napari_colloids.detection.weights import bundled_network
    from napari_colloids.io import read_stack

    bundled_network()
    baseline = peak_memory()
    stack = read_stack(path)
    found = detect(stack, diameter=DIAMETER, tile=tile)
    peak = peak_memory()
    report = {
        "shape": list(stack.shape),
        "file_mb": round(path.stat().st_size / 1e6),
        "particles": len(found),
        "peak_above_imports_mb": round((peak - baseline) / 1e6),
        "imports_mb": round(baseline / 1e6),
        "seconds": round(found.attrs["seconds"], 1),
        "mvoxel_per_s": round(found.attrs["mvoxel_per_s"], 3),
        "device": found.attrs["device"],
        "threads": torch.get_num_threads(),
        "notices": found.attrs["notices"],
    }
    print(json.dumps(report, indent=1))


def peak_memory() -> int:
    """Return the largest resident memory of this process so far in bytes; pages of mapped files count.

    Not `ru_maxrss` where it can be helped: on Linux a process inherits it from the one that started it.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    main()
