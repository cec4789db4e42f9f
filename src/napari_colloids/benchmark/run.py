"""Benchmark run: every method on every volume of a suite, reference methods tuned before on other volumes of it."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from napari_colloids.benchmark.bound import single_sphere_bound
from napari_colloids.benchmark.measure import THRESHOLDS, Reliability, measure
from napari_colloids.benchmark.methods import prepared
from napari_colloids.benchmark.microscope import Volume, make_volume
from napari_colloids.benchmark.suites import Suite, suite
from napari_colloids.detection.weights import weights_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari_colloids.benchmark.reference_methods import Tuned

#: Distance of the seeds of tuning volumes from those of the volumes that are reported.
_TUNING_SEED_OFFSET = 500_000
_TUNING_VOLUMES = 3


@dataclass(frozen=True, eq=False)
class Result:
    """Figures of a suite.

    Attributes
    ----------
    name, title, axis
        Of the suite.
    figures
        One row per method and volume: ``point``, ``x``, ``volume``, ``method``, what `measure` gives, ``seconds``,
        ``s_per_mvoxel`` and ``bound`` (`single_sphere_bound`).
    curves
        One row per method, volume and threshold: ``method``, ``point``, ``volume``, ``threshold``, ``precision``,
        ``recall``.
    tuned
        Settings of the reference methods, by method.
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
    tuned: dict[str, Tuned]
    reliability: dict[str, Reliability]
    machine: str
    weights_sha256: str


def run(
    name: str,
    *,
    methods: Sequence[str] = ("network", "trackpy", "log"),
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
        Words of `METHODS`.
    volumes
        Volumes per point.
    seed
        Of the first volume; the next ones have the following.
    metadata
        See `suite`.
    weights
        A file of weights for the network; None: the bundled ones.
    tune
        Whether to tune the reference methods, on three volumes of the suite with other seeds; else they run with the
        default settings.
    progress
        Called with the number of volumes that are done and that there are.

    Raises
    ------
    ColloidsError
        If there is no such suite, or the table cannot be used.
    """
    chosen = suite(name, metadata)
    total = len(chosen.points) * volumes
    report = progress or (lambda _done, _total: None)
    report(0, total)
    finders = prepared(
        methods,
        weights=weights,
        tuning_volumes=(lambda: _tuning_volumes(chosen, seed + _TUNING_SEED_OFFSET)) if tune else None,
        by_ap=chosen.by_ap,
    )
    rows: list[dict[str, object]] = []
    curves: list[pd.DataFrame] = []
    reliability: dict[str, Reliability] = {}
    for number in range(total):
        point = chosen.points[number // volumes]
        volume = make_volume(point.scene, seed + number)
        bound = single_sphere_bound(point.scene.psf[1], point.scene.cnr, point.scene.radius)
        for method, finder in finders.items():
            found, seconds = finder.timed(volume.stack, volume.diameter)
            measured = measure(volume, found, finder.threshold)
            counts = measured.reliability
            reliability[method] = reliability[method] + counts if method in reliability else counts
            labels = {"point": point.label, "x": point.x, "volume": number, "method": method}
            speed = {"seconds": seconds, "s_per_mvoxel": seconds / volume.image.size * 1e6}
            rows.append({**labels, **measured.figures, **speed, "bound": bound})
            curve = {"threshold": THRESHOLDS, "precision": measured.precision, "recall": measured.recall}
            curves.append(pd.DataFrame(labels | curve))
        report(number + 1, total)
    return Result(
        name=name,
        title=chosen.title,
        axis=chosen.axis,
        figures=pd.DataFrame(rows),
        curves=pd.concat(curves),
        tuned={method: finder.tuned for method, finder in finders.items() if finder.tuned is not None},
        reliability=reliability,
        machine=platform.machine(),
        weights_sha256=weights_digest(weights),
    )


def _tuning_volumes(chosen: Suite, seed: int) -> list[Volume]:
    """Simulate tuning volumes from the beginning, the middle and the end of the suite."""
    every = max(1, (len(chosen.points) - 1) // (_TUNING_VOLUMES - 1))
    scenes = [point.scene for point in chosen.points[::every]][:_TUNING_VOLUMES]
    return [make_volume(scene, seed + number) for number, scene in enumerate(scenes)]
