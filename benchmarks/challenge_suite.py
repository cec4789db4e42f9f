"""The challenge's volumes, simulated anew: the network beside trackpy and LoG, both tuned, in the same run.

python benchmarks/challenge_suite.py --metadata x_test_metadata.csv --out benchmarks/results
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from independent import Volume, make_volume

from napari_colloids.detection import DEFAULT_THRESHOLD, FLOOR, detect
from napari_colloids.detection.baselines import LogSettings, TrackpySettings, locate_log, locate_trackpy
from napari_colloids.detection.normalise import GreyLevels
from napari_colloids.io.atomic import replacing
from napari_colloids.particles import particle_table
from napari_colloids.scoring import challenge_ap, score

if TYPE_CHECKING:
    from napari_colloids.detection.candidates import Candidates

#: (r, particle_size) of the challenge's ten test volumes; the volume fraction is 0.55, SNR and CNR are 3.
BUILT_IN = [
    *((6, 0.258), (11, 0.230), (11, 0.231), (11, 0.297), (8, 0.211)),
    *((7, 0.299), (8, 0.272), (9, 0.268), (9, 0.259), (6, 0.225)),
]
#: What the rivals are tuned on.
TUNING = [(6, 0.24), (8, 0.25), (11, 0.26)]
#: Edge of the challenge's volumes in voxels: test, and train.
SIZE, TRAIN_SIZE = 128, 64

#: The values that are tried for each setting, and `cut`: the smallest confidence that counts.
GRIDS: dict[str, dict[str, tuple[float, ...]]] = {
    "trackpy": {
        "diameter": (0.55, 0.65, 0.75, 0.9, 1.05),
        "separation": (0.5, 0.55, 0.6, 0.65, 0.75),
        "noise": (0.08, 0.12, 0.16, 0.2, 0.25),
        "smoothing": (0.85, 1.0, 1.25, 1.5, 2.0),
        "elongation": (1.0, 1.3),
    },
    "log": {
        "sigma": (0.7, 0.8, 0.9, 1.0, 1.1, 1.2),
        "separation": (0.55, 0.65, 0.75, 0.85),
        "elongation": (0.85, 1.0, 1.2),
    },
}
CUTS = (0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7)

Find = Callable[[Volume], pd.DataFrame]
Settings = TrackpySettings | LogSettings


@dataclass(frozen=True)
class Tuned:
    """The best settings, the cut that belongs to them, and their mean AP on the tuning volumes (None: not tuned)."""

    settings: Settings
    cut: float
    challenge_ap: float | None


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--metadata", type=Path, help="the challenge's x_test_metadata.csv; a rounded copy is built in")
    parser.add_argument(
        "--volumes", type=int, default=20, help="more than rows: with other seeds; less: every n-th row"
    )
    parser.add_argument("--seed", type=int, default=731_000_000)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--defaults", action="store_true", help="rivals with the package's defaults instead of tuning")
    options = parser.parse_args()

    tuning = (
        [] if options.defaults else [_volume(row, options.seed + 500_000 + k) for k, row in enumerate(_rows(TUNING))]
    )
    rivals = {method: tune(method, tuning) if tuning else _shipped(method) for method in GRIDS}
    rows = pd.read_csv(options.metadata).to_dict("records") if options.metadata else _rows(BUILT_IN)
    finders: dict[str, tuple[Find, float]] = {"network": (_network, DEFAULT_THRESHOLD["network"])}
    for method, best in rivals.items():
        finders[method] = (partial(_rival, settings=best.settings), best.cut)

    # Whoever is first must not pay for loading libraries and weights, or for compiling.
    warm_up = make_volume(size=48, radius=6, particle_size=0.25, volume_fraction=0.4, snr=5, cnr=5, seed=1)
    for find, _cut in finders.values():
        find(warm_up)
    results = []
    for number in range(options.volumes):
        row = rows[number * max(len(rows) // options.volumes, 1) % len(rows)]
        volume = _volume(row, options.seed + number)
        for method, (find, cut) in finders.items():
            results.append({"volume": number, "r": row["r"], "method": method, **_measure(volume, find, cut)})
            print(
                f"{number:3d}  {method:8s} AP {results[-1]['challenge_ap']:.4f}  {results[-1]['seconds']:.1f} s",
                flush=True,
            )
    report = _summary(results, rivals, options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    with replacing(options.out / "challenge.json") as path:
        path.write_text(json.dumps(report, indent=1) + "\n")
    table = _markdown(report)
    with replacing(options.out / "challenge.md") as path:
        path.write_text(table)
    print(table)


def _rows(pairs: list[tuple[int, float]]) -> list[dict[str, Any]]:
    return [{"volfrac": 0.55, "r": r, "particle_size": size, "snr": 3, "cnr": 3} for r, size in pairs]


def _volume(row: dict[str, Any], seed: int) -> Volume:
    return make_volume(
        size=TRAIN_SIZE if row.get("type") == "train" else SIZE,
        radius=float(row["r"]),
        particle_size=float(row["particle_size"]),
        volume_fraction=float(row["volfrac"]),
        snr=float(row["snr"]),
        cnr=float(row["cnr"]),
        seed=seed,
    )


def _network(volume: Volume) -> pd.DataFrame:
    return detect(volume.image, diameter=2 * float(volume.radii[0]), threshold=FLOOR)


def _rival(volume: Volume, settings: Settings) -> pd.DataFrame:
    found = _candidates(volume, settings)
    return particle_table(found.positions, radius=found.radii, confidence=found.confidence)


def _candidates(volume: Volume, settings: Settings) -> Candidates:
    image = GreyLevels.of(volume.image).apply(volume.image)
    diameter = 2 * float(volume.radii[0])
    if isinstance(settings, TrackpySettings):
        return locate_trackpy(image, diameter, 1.0, settings)
    return locate_log(image, diameter, 1.0, 0.0, settings)


def _ap(tuned: Tuned) -> float:
    return -1.0 if tuned.challenge_ap is None else tuned.challenge_ap


def tune(method: str, volumes: list[Volume]) -> Tuned:
    """Find the settings of the highest mean challenge AP: each in turn over its grid, until none gets better."""
    tried: dict[Settings, Tuned] = {}

    def judge(settings: Settings) -> Tuned:
        if settings not in tried:
            tried[settings] = _judge(settings, volumes)
        return tried[settings]

    best = judge(_shipped(method).settings)
    while True:
        before = best
        for name, values in GRIDS[method].items():
            trials = [judge(replace(best.settings, **{name: value})) for value in values]
            best = max([best, *trials], key=_ap)
        if best is before:
            print(f"{method}: {best} after {len(tried)} trials", flush=True)
            return best


def _shipped(method: str) -> Tuned:
    settings = TrackpySettings() if method == "trackpy" else LogSettings()
    return Tuned(settings, DEFAULT_THRESHOLD[method], None)


def _judge(settings: Settings, volumes: list[Volume]) -> Tuned:
    found = [_candidates(volume, settings) for volume in volumes]
    best = Tuned(settings, 0.0, None)
    for cut in CUTS:
        figures = [
            challenge_ap(v.positions, f.positions[f.confidence >= cut], 2 * float(v.radii[0]), v.image.shape)
            for v, f in zip(volumes, found, strict=True)
        ]
        best = max(best, Tuned(settings, cut, float(np.mean(figures))), key=_ap)
    return best


def _measure(volume: Volume, find: Find, cut: float) -> dict[str, Any]:
    started = time.perf_counter()
    found = find(volume)
    seconds = time.perf_counter() - started
    diameter, shape = 2 * float(volume.radii[0]), volume.image.shape
    ranked = score(volume.positions, found, diameter=diameter, shape=shape)
    kept = score(volume.positions, found[found["confidence"] >= cut], diameter=diameter, shape=shape)
    return {
        "challenge_ap": kept.challenge_ap,
        "precision": kept.precision,
        "recall": kept.recall,
        "f1": kept.f1,
        **{f"rmse_{axis}": kept.rmse[axis] for axis in "zyx"},
        "ap": ranked.ap,
        **{f"ap_{part:g}d": ap for part, ap in ranked.ap_at.items() if part < 0.5},
        "seconds": seconds,
        "mvoxel_per_s": volume.image.size / 1e6 / seconds,
    }


def _summary(results: list[dict[str, Any]], rivals: dict[str, Tuned], seed: int) -> dict[str, Any]:
    table = pd.DataFrame(results)
    methods = {}
    for method, part in table.groupby("method", sort=False):
        figures = part.drop(columns=["volume", "r", "method"])
        methods[str(method)] = {**figures.mean().to_dict(), "challenge_ap_min": float(part["challenge_ap"].min())}
    by_method = table.pivot_table(index="volume", columns="method", values="challenge_ap")
    leads = {rival: by_method["network"] - by_method[rival] for rival in rivals}
    return {
        "volumes": int(table["volume"].nunique()),
        "seed": seed,
        "machine": f"{platform.machine()}, trackpy {'with' if find_spec('numba') else 'without'} numba",
        "tuned": {method: asdict(best) for method, best in rivals.items()},
        "methods": methods,
        "ap_of_network_less": {rival: [float(lead.mean()), float(lead.sem())] for rival, lead in leads.items()},
        "per_volume": results,
    }


def _markdown(report: dict[str, Any]) -> str:
    lines = [
        "| method | AP | worst AP | precision | recall | F1 | RMSE z / y / x | ranked AP | at 0.1 d | s | Mvoxel/s |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for method, m in report["methods"].items():
        errors = " / ".join(f"{m[f'rmse_{axis}']:.2f}" for axis in "zyx")
        quality = " | ".join(
            f"{m[key]:.4f}" for key in ("challenge_ap", "challenge_ap_min", "precision", "recall", "f1")
        )
        lines.append(
            f"| {method} | {quality} | {errors} | {m['ap']:.4f} | {m['ap_0.1d']:.3f} "
            f"| {m['seconds']:.1f} | {m['mvoxel_per_s']:.2f} |"
        )
    leads = [f"{rival} {lead:+.4f} ± {error:.4f}" for rival, (lead, error) in report["ap_of_network_less"].items()]
    settings = [
        f"{method}: {', '.join(f'{k} {v:g}' for k, v in best['settings'].items())}, confidence at least {best['cut']:g}"
        for method, best in report["tuned"].items()
    ]
    lines += [
        "",
        f"AP of the network less that of {', '.join(leads)} (mean and standard error, volume by volume).",
        f"{report['volumes']} volumes; {'; '.join(settings)}.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
