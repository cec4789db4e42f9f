"""trackpy and LoG at their best: their settings are searched for on volumes like those they are then measured on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_colloids.detection import DEFAULT_THRESHOLD
from napari_colloids.detection.baselines import LogSettings, TrackpySettings, locate_log, locate_trackpy
from napari_colloids.detection.normalise import GreyLevels
from napari_colloids.particles import particle_table
from napari_colloids.scoring import challenge_ap, score

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from napari_colloids.benchmark.microscope import Volume
    from napari_colloids.detection.candidates import Candidates

Settings = TrackpySettings | LogSettings

#: The values that are tried for each setting.
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
#: Smallest confidences that are tried with each of them.
CUTS = (0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7)


@dataclass(frozen=True)
class Tuned:
    """The best settings, the smallest confidence that belongs to them, and what they reached (None: not tuned)."""

    settings: Settings
    cut: float
    reached: float | None = None


def shipped(method: str) -> Tuned:
    """Return the settings that the package has by default."""
    settings = TrackpySettings() if method == "trackpy" else LogSettings()
    return Tuned(settings, DEFAULT_THRESHOLD[method])


def find(volume: Volume, settings: Settings) -> pd.DataFrame:
    """Return what a rival finds, whatever its confidence."""
    found = _candidates(volume, settings)
    return particle_table(found.positions, radius=found.radii, confidence=found.confidence)


def tune(method: str, volumes: Sequence[Volume], *, by_ap: bool) -> Tuned:
    """Find the settings of the highest mean F1 (or challenge AP): each in turn over its grid, until none gets better.

    Parameters
    ----------
    method
        One of `GRIDS`.
    volumes
        What to tune on.
    by_ap
        Whether the challenge's average precision is what counts.
    """
    tried: dict[Settings, Tuned] = {}

    def judge(settings: Settings) -> Tuned:
        if settings not in tried:
            tried[settings] = _judge(settings, volumes, by_ap=by_ap)
        return tried[settings]

    best = judge(shipped(method).settings)
    while True:
        before = best
        for name, values in GRIDS[method].items():
            trials = [judge(_with(best.settings, name, value)) for value in values]
            best = max([best, *trials], key=_reached)
        if best is before:
            return best


def _with(settings: Settings, name: str, value: float) -> Settings:
    changes: dict[str, Any] = {name: value}
    return replace(settings, **changes)


def _reached(tuned: Tuned) -> float:
    return -1.0 if tuned.reached is None else tuned.reached


def _judge(settings: Settings, volumes: Sequence[Volume], *, by_ap: bool) -> Tuned:
    found = [_candidates(volume, settings) for volume in volumes]
    best = Tuned(settings, 0.0)
    for cut in CUTS:
        figures = [_figure(v, f.positions[f.confidence >= cut], by_ap) for v, f in zip(volumes, found, strict=True)]
        best = max(best, Tuned(settings, cut, float(np.mean(figures))), key=_reached)
    return best


def _figure(volume: Volume, positions: np.ndarray, by_ap: bool) -> float:
    shape = volume.image.shape
    if by_ap:
        return challenge_ap(volume.positions, positions, volume.diameter, shape)
    aspect = (volume.scene.aspect, 1.0, 1.0)
    return score(volume.positions, positions, diameter=volume.diameter, shape=shape, voxel_size=aspect).f1


def _candidates(volume: Volume, settings: Settings) -> Candidates:
    image = GreyLevels.of(volume.image).apply(volume.image).numpy()
    proportions = (volume.scene.aspect, 1.0, 1.0)
    if isinstance(settings, TrackpySettings):
        return locate_trackpy(image, volume.diameter, proportions, settings)
    return locate_log(image, volume.diameter, proportions, 0.0, settings)
