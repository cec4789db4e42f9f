"""Throughput of `detect` from a stack in memory to the table, time of each stage, and fraction of the chip's peak.

python measurements/throughput.py                                      (512^3 voxels, on what `auto` chooses)
python measurements/throughput.py --shape 256 256 256 --device cpu
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from napari_colloids.detection import Options, Part, Record, detect
from napari_colloids.detection.candidates import suppress_overlaps
from napari_colloids.detection.device import choose_device, half_precision
from napari_colloids.detection.inference import predict_symmetrised, prepare, without_margin
from napari_colloids.detection.measurement import forget
from napari_colloids.detection.plan import Plan, iter_plan
from napari_colloids.detection.search import iter_search
from napari_colloids.detection.slabs import SlabNetwork
from napari_colloids.detection.weights import bundled_network, network_on
from napari_colloids.detection.workers import Workers
from napari_colloids.progress import result_of
from napari_colloids.simulation import PRESETS, simulate
from napari_colloids.stack import as_stack

if TYPE_CHECKING:
    import pandas as pd

#: Edge of the simulated block that fills the stack, again and again.
BLOCK = 128
#: Edge of the matrices whose product measures the peak performance.
MATRIX = {"cuda": 8192, "mps": 4096, "cpu": 2048}


def main() -> None:
    """Measure, print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=int, nargs=3, default=(512, 512, 512), help="z, y, x in voxels")
    parser.add_argument("--diameter", type=float, default=10.0, help="of the particles in voxels")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--repeat", type=int, default=5, help="runs, after one to warm up; the median counts")
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file, too")
    options = parser.parse_args()
    stack = tiled(tuple(options.shape), options.diameter)
    text = json.dumps(measure(stack, options.diameter, choose_device(options.device), options.repeat), indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


def tiled(shape: tuple[int, int, int], diameter: float) -> np.ndarray:
    """Return a dense uint8 stack."""
    block = simulate(PRESETS["dense"], shape=(BLOCK,) * 3, radius=diameter / 2, seed=1).stack.data
    return np.tile(block, [-(-n // BLOCK) for n in shape])[tuple(slice(n) for n in shape)].copy()


def measure(stack: np.ndarray, diameter: float, device: str, repeat: int) -> dict:
    """Return the figures of one stack on one device."""
    settings = Options(diameter=diameter, device=device)
    first = time.perf_counter()
    found = searched(stack, settings)
    first = time.perf_counter() - first
    seconds = [timed(device, searched, stack, settings) for _ in range(repeat)]
    median = statistics.median(seconds)
    cpu = [cpu_seconds(searched, stack, settings) for _ in range(repeat)]
    plan = result_of(iter_plan(as_stack(stack), Part(), settings), None)
    parts = stages(stack, plan, device, repeat)
    peak, flops = peak_flops(device), flops_of(plan)
    return {
        "device": name_of(device),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "shape": list(stack.shape),
        "diameter": diameter,
        "particles": len(found),
        "notices": Record.from_attrs(found.attrs).notices,
        "seconds_first_time": round(first, 3),
        "seconds": round(median, 4),
        "seconds_fastest_slowest": [round(min(seconds), 4), round(max(seconds), 4)],
        "cpu_seconds_fastest": round(min(cpu), 4),
        "seconds_of_estimate": round(median_of(repeat, device, lambda: estimated(stack)), 4),
        "mvoxel_per_s": round(stack.size / 1e6 / median, 1),
        "stages_s": {name: round(value, 4) for name, value in parts.items()},
        "network_tflop": round(flops / 1e12, 3),
        "peak_tflop_per_s": round(peak / 1e12, 2),
        "fraction_of_peak_network": round(flops / parts["network"] / peak, 4),
        "fraction_of_peak_end_to_end": round(flops / median / peak, 4),
        "peak_device_memory_mb": round(torch.cuda.max_memory_allocated() / 1e6) if device == "cuda" else None,
    }


def stages(stack: np.ndarray, plan: Plan, device: str, repeat: int) -> dict[str, float]:
    """Return the median seconds of each stage by itself: of the whole stack, but for the network in one tile.

    The tile is the largest cube of at most 256 canonical voxels an edge that the stack fills; its time is scaled up.
    """
    network = network_on(device)
    padded = plan.scale.padded_shape
    low, high = (0, 0, 0), tuple(min(n, 256) for n in padded)
    share = float(np.prod(padded) / np.prod(high))
    half = half_precision(device)

    def resample() -> torch.Tensor:
        return prepare(stack, without_margin(low), without_margin(high), plan.scale, plan.levels, device)

    image = resample()

    def predict() -> None:
        if device == "cpu":
            with Workers() as workers:
                result_of(SlabNetwork(network, half or torch.float32).iter_predict(image, workers))
            return
        with torch.inference_mode(), torch.autocast(device, dtype=half, enabled=half is not None):
            predict_symmetrised(network, image[None, None].to(memory_format=torch.channels_last_3d))

    predict()
    candidates = result_of(iter_search(stack, plan), None).candidates
    return {
        "plan": median_of(repeat, device, lambda: planned(stack, plan.options)),
        "normalise_and_resample": share * median_of(repeat, device, resample),
        "network": share * median_of(repeat, device, predict),
        "overlaps": median_of(repeat, device, lambda: suppress_overlaps(candidates)),
    }


def searched(stack: np.ndarray, settings: Options) -> pd.DataFrame:
    """Detect, as if the stack was new."""
    forget()
    return detect(stack, settings)


def planned(stack: np.ndarray, options: Options) -> Plan:
    """Measure what a search needs to know, as if the stack was new."""
    forget()
    return result_of(iter_plan(as_stack(stack), Part(), options), None)


def estimated(stack: np.ndarray) -> Plan:
    """Do the same without a diameter."""
    return planned(stack, Options(device="cpu"))


def cpu_seconds(job, *arguments) -> float:
    """Return the seconds of a job of all threads together."""
    started = time.process_time()
    job(*arguments)
    return time.process_time() - started


def median_of(repeat: int, device: str, job) -> float:
    """Return the median seconds of a job."""
    return statistics.median(timed(device, job) for _ in range(repeat))


def timed(device: str, job, *arguments) -> float:
    """Return the seconds of a job, until the device has done it."""
    synchronise(device)
    started = time.perf_counter()
    job(*arguments)
    synchronise(device)
    return time.perf_counter() - started


def synchronise(device: str) -> None:
    """Wait for the device."""
    if device != "cpu":
        getattr(torch, device).synchronize()


def flops_of(plan: Plan) -> float:
    """Return the additions and multiplications of the network for a stack: both predictions, without halos."""
    edge = 64
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        predict_symmetrised(bundled_network(), torch.zeros(1, 1, edge, edge, edge))
    return counter.get_total_flops() / edge**3 * float(np.prod(plan.scale.padded_shape))


def peak_flops(device: str) -> float:
    """Return the operations per second of a large matrix product of random numbers, in the network's precision."""
    n = MATRIX[device]
    a, b = (torch.randn(n, n, device=device, dtype=half_precision(device) or torch.float32) for _ in range(2))
    torch.mm(a, b)
    return 2 * n**3 / median_of(10, device, lambda: torch.mm(a, b))


def name_of(device: str) -> str:
    """Return the name of the device."""
    return torch.cuda.get_device_name() if device == "cuda" else device


if __name__ == "__main__":
    main()
