"""Runs suites: every method on every volume, the rivals tuned beforehand on other volumes of the same suite."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from napari_colloids.benchmark import rivals
from napari_colloids.benchmark.measure import LEVELS, Reliability, measure
from napari_colloids.benchmark.microscope import Scene, Volume, make_volume
from napari_colloids.benchmark.suites import Suite, suite
from napari_colloids.detection import DEFAULT_THRESHOLD, FLOOR, detect
from napari_colloids.detection.weights import weights_digest
from napari_colloids.stack import Stack

if TYPE_CHECKING:
    from pathlib import Path

#: What can be measured; the diameter is given to all but the network that estimates it.
METHODS = ("network", "trackpy", "log", "network, diameter estimated", "network, refined")
#: Tuning volumes have seeds this far from those that are reported.
_TUNING_SEED = 500_000
_TUNING_VOLUMES = 3

Find = Callable[[Volume], pd.DataFrame]


@dataclass
class Result:
    """What came of a suite.

    Attributes
    ----------
    name, title, axis
        Of the suite.
    figures
        One row per method and volume: ``point``, ``x``, ``volume``, ``method``, what `measure` gives, ``seconds`` and
        ``s_per_mvoxel``.
    tuned
        The rivals' settings.
    curves
        One row per method, volume and threshold: ``method``, ``point``, ``volume``, ``threshold``, ``precision``,
        ``recall``.
    reliability
        By method.
    machine
        What it ran on.
    weights_sha256
        Digest of the network's weights.
    """

    name: str
    title: str
    axis: str | None
    figures: pd.DataFrame
    curves: pd.DataFrame
    tuned: dict[str, Any]
    reliability: dict[str, Reliability]
    machine: str
    weights_sha256: str


def run(
    name: str,
    *,
    methods: Sequence[str] = METHODS[:3],
    volumes: int = 2,
    seed: int = 731_000_000,
    metadata: Path | None = None,
    weights: str | None = None,
    tune: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Result:
    """Measure a suite.

    Parameters
    ----------
    name
        One of `SUITES`.
    methods
        Of `METHODS`.
    volumes
        Volumes per point.
    seed
        Of the first volume; the next ones have the following.
    metadata
        See `suite`.
    weights
        A file of weights for the network; None takes the bundled ones.
    tune
        Whether to tune the rivals, on three volumes of the suite with other seeds; else they run as shipped.
    progress
        Called with the number of volumes that are done and that there are.

    Raises
    ------
    ColloidsError
        If there is no such suite, or the table cannot be used.
    """
    chosen = suite(name, metadata)
    finders: dict[str, tuple[Find, float]] = {}
    tuned: dict[str, Any] = {}
    total = len(chosen.points) * volumes
    report = progress or (lambda _done, _total: None)
    report(0, total)
    for method in methods:
        if method not in rivals.TUNABLE:
            network = partial(_network, told="estimated" not in method, refine="refined" in method, weights=weights)
            finders[method] = (network, DEFAULT_THRESHOLD["network"])
            continue
        best = _tuned(method, chosen, seed + _TUNING_SEED) if tune else rivals.shipped(method)
        finders[method] = (partial(rivals.find, method=method, settings=best.settings), best.cut)
        tuned[method] = asdict(best)
    _warm_up(finders)
    rows: list[dict[str, Any]] = []
    curves: list[pd.DataFrame] = []
    reliability: dict[str, Reliability] = {}
    for number in range(total):
        point = chosen.points[number // volumes]
        volume = make_volume(point.scene, seed + number)
        for method, (find, cut) in finders.items():
            started = time.perf_counter()
            found = find(volume)
            seconds = time.perf_counter() - started
            measured = measure(volume, found, cut)
            counts = measured.reliability
            reliability[method] = reliability[method] + counts if method in reliability else counts
            what = {"point": point.label, "x": point.x, "volume": number, "method": method}
            speed = {"seconds": seconds, "s_per_mvoxel": seconds / volume.image.size * 1e6}
            rows.append(what | measured.figures | speed | {"bound": _bound(point.scene)})
            curve = {"threshold": LEVELS, "precision": measured.precision, "recall": measured.recall}
            curves.append(pd.DataFrame(what | curve))
        report(number + 1, total)
    return Result(
        name,
        chosen.title,
        chosen.axis,
        pd.DataFrame(rows),
        pd.concat(curves),
        tuned,
        reliability,
        platform.machine(),
        weights_digest(weights),
    )


def _tuned(method: str, chosen: Suite, seed: int) -> rivals.Tuned:
    """Tune a rival on volumes from the beginning, the middle and the end of the suite."""
    every = max(1, (len(chosen.points) - 1) // (_TUNING_VOLUMES - 1))
    scenes = [point.scene for point in chosen.points[::every]][:_TUNING_VOLUMES]
    practice = [make_volume(scene, seed + number) for number, scene in enumerate(scenes)]
    return rivals.tune(method, practice, by_ap=chosen.by_ap)


def _network(volume: Volume, *, told: bool, refine: bool, weights: str | None) -> pd.DataFrame:
    stack = Stack(volume.image, voxel_size=(volume.scene.aspect, 1.0, 1.0), name="benchmark")
    diameter = volume.diameter if told else None
    return detect(stack, diameter=diameter, refine=refine, weights=weights, threshold=FLOOR)


def _warm_up(finders: dict[str, tuple[Find, float]]) -> None:
    """Whoever is first must not pay for loading libraries and weights, or for compiling."""
    volume = make_volume(Scene(shape=(48, 48, 48), volume_fraction=0.4), seed=1)
    for find, _cut in finders.values():
        find(volume)


def _bound(scene: Scene) -> float:
    """Return the Cramer-Rao bound of the lateral position of one sphere alone, in voxels.

    ``0.92 sqrt(sigma_psf) / (CNR R)``: the least error with which the place of a blurred edge on a sphere of radius R
    can be known in white noise.
    """
    return 0.92 * scene.psf[1] ** 0.5 / (scene.cnr * scene.radius)
