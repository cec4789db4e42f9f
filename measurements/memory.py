"""Peak memory and throughput of `detect` on a large file, read tile by tile, and on the same stack in memory.

python measurements/memory.py                                   (1024^3 voxels: 1 GB, uint8, BigTIFF)
python measurements/memory.py --shape 1600 1600 1600 --diameter 24   (4 GB)
python measurements/memory.py --shape 1600 1600 1600 --diameter 24 --format ome-zarr
python measurements/memory.py --shape 512 512 512 --format ome-zarr --in-memory   (and the same stack from memory)
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

#: Edge of the simulated block that fills the file, again and again.
BLOCK = 128
NAMES = {"bigtiff": "large.tif", "ome-zarr": "large.zarr"}


def main() -> None:
    """Write the file, detect in a process of its own, print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=int, nargs=3, default=(1024, 1024, 1024), help="z, y, x in voxels")
    parser.add_argument("--diameter", type=float, default=12.0, help="of the particles in voxels")
    parser.add_argument("--format", choices=list(NAMES), default="bigtiff")
    parser.add_argument("--refine", action="store_true", help="fit the positions, too")
    parser.add_argument("--tile", type=int, help="edge of the tiles in voxels; default: by free memory")
    parser.add_argument("--in-memory", action="store_true", help="measure the same stack in memory, too: the ratio")
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file, too")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--read-first", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, options.diameter, options.tile, options.read_first, options.refine)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / NAMES[options.format]
        write(path, tuple(options.shape), options.diameter)
        command = [sys.executable, __file__, "--measure", str(path), "--diameter", str(options.diameter)]
        command += ["--tile", str(options.tile)] if options.tile else []
        command += ["--refine"] if options.refine else []
        report = run(command)
        if options.in_memory:
            beside = run([*command, "--read-first"])
            report["in_memory"] = beside
            report["throughput_ratio"] = round(report["mvoxel_per_s"] / beside["mvoxel_per_s"], 3)
    text = json.dumps(report, indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


def run(command: list[str]) -> dict:
    """Measure in a process of its own."""
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def write(path: Path, shape: tuple[int, int, int], diameter: float) -> None:
    """Write a uint8 stack, slab by slab, so that this process stays small."""
    import numpy as np

    from napari_colloids.simulation import simulate

    block = simulate(shape=(BLOCK, BLOCK, BLOCK), radius=diameter / 2, seed=1).stack.data
    slab = np.tile(block, (1, -(-shape[1] // BLOCK), -(-shape[2] // BLOCK)))[:, : shape[1], : shape[2]]
    stack = empty_zarr(path, shape) if path.suffix == ".zarr" else empty_tiff(path, shape)
    for start in range(0, shape[0], BLOCK):
        stack[start : start + BLOCK] = slab[: shape[0] - start]


def empty_tiff(path: Path, shape: tuple[int, int, int]):
    """Make an uncompressed BigTIFF in one piece."""
    import numpy as np
    import tifffile

    return tifffile.memmap(path, shape=shape, dtype=np.uint8, bigtiff=True, metadata={"axes": "ZYX"})


def empty_zarr(path: Path, shape: tuple[int, int, int]):
    """Make an OME-Zarr 0.5 of chunks that are compressed by the default of zarr."""
    import zarr

    group = zarr.open_group(path, mode="w", zarr_format=3)
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    scale = [{"type": "scale", "scale": [0.1, 0.1, 0.1]}]
    datasets = [{"path": "0", "coordinateTransformations": scale}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    return group.create_array("0", shape=shape, chunks=(64, 256, 256), dtype="uint8", dimension_names=list("zyx"))


def measure(path: Path, diameter: float, tile: int | None, read_first: bool, refine: bool) -> dict:
    """Detect, and return what it took beyond the imports."""
    import torch

    from napari_colloids.detection import Record, detect
    from napari_colloids.detection.weights import bundled_network
    from napari_colloids.io import read_stack
    from napari_colloids.volumes import read_box

    bundled_network()
    baseline = peak_memory()
    stack = read_stack(path, lazy=None if path.suffix == ".tif" else True)  # small ones would be read at once
    volume = read_box(stack.volume(), (slice(None),) * 3) if read_first else stack
    found = detect(volume, diameter=diameter, tile=tile, refine=refine)
    record = Record.from_attrs(found.attrs)
    return {
        "file": path.name,
        "shape": list(stack.shape),
        "voxels_mb": round(stack.data.nbytes / 1e6),
        "particles": len(found),
        "peak_above_imports_mb": round((peak_memory() - baseline) / 1e6),
        "imports_mb": round(baseline / 1e6),
        "seconds": round(record.seconds, 1),
        "mvoxel_per_s": round(record.mvoxel_per_s, 3),
        "device": record.device,
        "threads": torch.get_num_threads(),
        "notices": record.notices,
    }


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
