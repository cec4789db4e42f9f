"""Suites of the benchmark: lists of points, each a scene that is simulated with several seeds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from napari_colloids.benchmark.microscope import Scene
from napari_colloids.benchmark.sted import FWHM_PER_SIGMA
from napari_colloids.errors import ColloidsError
from napari_colloids.simulation.challenge import challenge_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: Full width at half maximum of the challenge's PSF in micrometres: axial, lateral.
CHALLENGE_FWHM_UM = (0.371, 0.106)
#: (r, particle_size) of the challenge's ten test volumes; the volume fraction is 0.55, SNR and CNR are 3.
_TEST_ROWS = [
    *((6, 0.258), (11, 0.230), (11, 0.231), (11, 0.297), (8, 0.211)),
    *((7, 0.299), (8, 0.272), (9, 0.268), (9, 0.259), (6, 0.225)),
]
_MAX_TRAIN_VOLUMES = 100


@dataclass(frozen=True)
class Point:
    """One scene of a suite.

    Attributes
    ----------
    label
        In the tables.
    scene
        What is imaged.
    x
        In a sweep: the value that is varied.
    """

    label: str
    scene: Scene
    x: float | None = None


@dataclass(frozen=True)
class Suite:
    """Scenes that are reported together.

    Attributes
    ----------
    title
        In words.
    points
        At least one.
    axis
        Label of the axis of a sweep; None where the points have no order.
    by_ap
        Whether reference methods are tuned for the challenge's average precision, and not for F1.
    """

    title: str
    points: list[Point]
    axis: str | None = None
    by_ap: bool = False


def suite(name: str, metadata: Path | None = None) -> Suite:
    """Return a suite by name.

    Parameters
    ----------
    name
        One of `SUITES`.
    metadata
        Table of the challenge (CSV) whose rows the two challenge suites take instead of those that are built in.

    Raises
    ------
    ColloidsError
        If there is no such suite, or the table cannot be used.
    """
    if name not in SUITES:
        raise ColloidsError(f"There is no suite '{name}'; the suites are: {', '.join(SUITES)}.")
    return SUITES[name](metadata)


def _challenge_test(metadata: Path | None) -> Suite:
    return Suite("challenge, test set", _challenge_points(metadata, _built_in_test(), None), by_ap=True)


def _challenge_train(metadata: Path | None) -> Suite:
    points = _challenge_points(metadata, _built_in_train(), _MAX_TRAIN_VOLUMES)
    return Suite("challenge, training set", points, by_ap=True)


def _built_in_test() -> pd.DataFrame:
    rows = [{"volfrac": 0.55, "r": r, "particle_size": p, "snr": 3, "cnr": 3, "type": "test"} for r, p in _TEST_ROWS]
    return pd.DataFrame(rows)


def _built_in_train() -> pd.DataFrame:
    """Draw rows from the ranges of the challenge's training table."""
    rng = np.random.default_rng(1400)
    rows = []
    for _ in range(_MAX_TRAIN_VOLUMES):
        snr = float(rng.uniform(1, 10))
        rows.append(
            {
                "volfrac": float(rng.choice([0.25, 0.35, 0.45, 0.55])),
                "r": int(rng.integers(4, 14)),
                "particle_size": float(rng.uniform(0.1, 1.0)),
                "snr": snr,
                "cnr": float(rng.uniform(1, snr)),
                "type": "train",
            }
        )
    return pd.DataFrame(rows)


def _challenge_points(metadata: Path | None, built_in: pd.DataFrame, wanted: int | None) -> list[Point]:
    """Return a point per row, or per row of `wanted` ones at equal distances."""
    table = challenge_table(built_in if metadata is None else metadata)
    if wanted is not None and len(table) > wanted:
        table = table.iloc[:: len(table) // wanted][:wanted]
    points = []
    for number, row in enumerate(table.to_dict("records")):
        edge = 128 if row.get("type", "test") == "test" else 64
        per_voxel = row["r"] / row["particle_size"] / FWHM_PER_SIGMA
        scene = Scene(
            shape=(edge, edge, edge),
            radius=float(row["r"]),
            volume_fraction=float(row["volfrac"]),
            psf=(CHALLENGE_FWHM_UM[0] * per_voxel, CHALLENGE_FWHM_UM[1] * per_voxel),
            snr=float(row["snr"]),
            cnr=min(float(row["cnr"]), float(row["snr"])),
            photon_noise=0.0,
            scaled_by_maximum=True,
        )
        points.append(Point(f"{number}: r {row['r']:g}", scene))
    return points


#: Base of the single scenes: a dense suspension at r = 6, axial standard deviation of half a radius, SNR 5.
_BASE = Scene()
#: Base of the sweeps: a glass at low SNR, axial standard deviation of three quarters of a radius.
_GLASS = replace(_BASE, volume_fraction=0.55, psf=(4.5, 1.3), snr=3.0, cnr=3.0)


def _sweep(
    title: str, axis: str, values: tuple[float, ...], change: Callable[[float], Scene]
) -> Callable[[Path | None], Suite]:
    return lambda _metadata: Suite(title, [Point(f"{value:g}", change(value), value) for value in values], axis)


def _scaled(scene: Scene, radius: float, *, aspect: float = 1.0) -> Scene:
    """Return the scene scaled to a radius, with some hundred particles in it."""
    edge = int(np.clip(round(12 * radius), 64, 160))
    scale = radius / scene.radius
    return replace(
        scene,
        shape=(round(edge / aspect), edge, edge),
        radius=radius,
        psf=(scene.psf[0] * scale, scene.psf[1] * scale),
        aspect=aspect,
    )


def _scenes(_metadata: Path | None) -> Suite:
    """Return hard scenes, and arrangements other than a glass."""
    poor = replace(_BASE, snr=3.0, cnr=2.0, photon_noise=0.9)
    scenes = {
        "axial sigma 1.0 r": replace(_BASE, psf=(6.0, 1.5)),
        "axial sigma 1.3 r, low light": replace(poor, psf=(7.8, 1.5)),
        "nano: r 4, uneven, background": replace(
            _scaled(_BASE, 4.0), psf=(5.0, 1.6), brightness_spread=0.25, snr=4.0, cnr=2.8, photon_noise=0.8
        ),
        # From the autocorrelation and the fitted brightness of real nano-colloids.
        "nano: very uneven, as real ones": replace(
            _scaled(_BASE, 6.0), psf=(6.9, 1.8), volume_fraction=0.35, brightness_spread=0.65, snr=2.5, cnr=1.8
        ),
        "polydispersity 15 %": replace(_BASE, polydispersity=0.15),
        "binary mixture 1 : 1.4": replace(_BASE, size_ratio=1.4),
        "binary mixture 1 : 2.5": replace(_BASE, size_ratio=2.5, radius=7.0),
        "core-shell": replace(_BASE, shell=0.6, psf=(2.4, 1.0), volume_fraction=0.4),
        "bleached to 14 %, tilted PSF": replace(_BASE, bleaching=0.86, tilt=0.25),
        "SNR 1.3": replace(_BASE, snr=1.3, cnr=1.3),
        "r 3": _scaled(_BASE, 3.0),
        "dilute, low light": replace(poor, volume_fraction=0.05),
        "gel": replace(_BASE, arrangement="gel", volume_fraction=0.15),
        "crystal": replace(_BASE, arrangement="crystal", volume_fraction=0.6),
        "strings of shells": replace(_BASE, arrangement="strings", volume_fraction=0.12, shell=0.5, psf=(3.0, 1.0)),
    }
    return Suite("hard and other scenes", [Point(label, scene) for label, scene in scenes.items()])


def _strings(_metadata: Path | None) -> Suite:
    """Return strings along z: blur merges touching beads, and in the gap between others it looks like another bead."""
    beads = replace(_BASE, arrangement="strings", volume_fraction=0.3, radius=4.0, brightness_spread=0.4)
    points = [
        Point(
            f"{spacing:g} d from bead to bead, axial {axial:g} r", replace(beads, spacing=spacing, psf=(axial * 4, 1.0))
        )
        for spacing, axial in ((1.0, 0.5), (1.0, 0.75), (1.0, 1.0), (1.9, 0.75), (1.9, 1.0), (1.9, 1.2))
    ]
    return Suite("strings of beads", points)


def _shells(_metadata: Path | None) -> Suite:
    """Return hollow spheres that touch: the thinner the shell and the stronger the blur, the darker their centres."""
    points = [
        Point(
            f"dark up to {shell:g} r, axial {axial:g} r",
            replace(_BASE, shell=shell, psf=(axial * 6, axial * 1.8)),
        )
        for shell in (0.5, 0.65, 0.75, 0.85)
        for axial in (0.4, 0.7)
    ]
    return Suite("hollow spheres", points)


def _mixtures(_metadata: Path | None) -> Suite:
    """Return binary mixtures; the small particles have a radius of 4, and the given diameter is the mean of all."""
    points = []
    for ratio, share in ((2.0, 0.25), (2.5, 0.15), (2.5, 0.4), (3.0, 0.05), (3.0, 0.12), (3.0, 0.3), (3.0, 0.5)):
        mean = 4 * (1 + share * (ratio - 1))
        scene = replace(_BASE, radius=mean, size_ratio=ratio, large_share=share, psf=(2.0, 1.0))
        points.append(Point(f"1 : {ratio:g}, {share:.0%} large", scene))
    return Suite("binary mixtures", points)


def _dense(_metadata: Path | None) -> Suite:
    points = [
        Point(
            f"phi {phi:g}, axial {axial:g} r",
            replace(_BASE, volume_fraction=phi, psf=(axial * 6, 1.3), snr=3.0, cnr=3.0),
        )
        for phi in (0.55, 0.6)
        for axial in (0.4, 0.6, 0.8)
    ]
    return Suite("dense, SNR 3", points)


#: The suites by name.
SUITES: dict[str, Callable[[Path | None], Suite]] = {
    "challenge-test": _challenge_test,
    "challenge-train": _challenge_train,
    "dense": _dense,
    "scenes": _scenes,
    "strings": _strings,
    "shells": _shells,
    "phi": _sweep(
        "volume fraction", "volume fraction", (0.05, 0.15, 0.25, 0.35, 0.45, 0.5, 0.55, 0.6),
        lambda v: replace(_GLASS, volume_fraction=v),
    ),
    "snr": _sweep(
        "signal to noise ratio", "SNR", (1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0),
        lambda v: replace(_GLASS, snr=v, cnr=v),
    ),
    "cnr": _sweep(
        "contrast to noise ratio at SNR 5", "CNR", (0.7, 1.0, 1.5, 2.0, 3.0, 5.0),
        lambda v: replace(_GLASS, snr=5.0, cnr=v),
    ),
    "axial": _sweep(
        "axial standard deviation of the PSF", "axial sigma / radius", (0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.5),
        lambda v: replace(_GLASS, psf=(6 * v, min(1.3, 6 * v))),
    ),
    "radius": _sweep(
        "radius", "radius (px)", (2.5, 3.0, 4.0, 6.0, 8.0, 11.0, 16.0),
        lambda v: _scaled(_GLASS, v),
    ),
    "polydispersity": _sweep(
        "polydispersity", "polydispersity", (0.0, 0.04, 0.08, 0.12, 0.15), lambda v: replace(_GLASS, polydispersity=v)
    ),
    "brightness": _sweep(
        "spread of the brightness", "brightness spread", (0.0, 0.1, 0.2, 0.3, 0.5),
        lambda v: replace(_GLASS, brightness_spread=v),
    ),
    "bleaching": _sweep(
        "light lost from the first to the last slice", "fraction lost", (0.0, 0.3, 0.6, 0.86),
        lambda v: replace(_GLASS, bleaching=v),
    ),
    "anisotropy": _sweep(
        "height over width of a voxel", "voxel aspect", (1.0, 1.5, 2.0, 3.0, 4.0),
        lambda v: _scaled(_GLASS, 7.0, aspect=v),
    ),
    "mixtures": _mixtures,
}  # fmt: skip
