"""trackpy and LoG at their best: their settings are searched for on volumes like those they are then measured on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_colloids.detection import METHODS
from napari_colloids.detection.normalise import GreyLevels
from napari_colloids.particles import particle_table
from napari_colloids.scoring import challenge_ap, score

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from _typeshed import DataclassInstance

    from napari_colloids.benchmark.microscope import Volume
    from napari_colloids.detection.candidates import Candidates

#: The methods that can be tuned.
TUNABLE = tuple(name for name, method in METHODS.items() if not method.tiled)
#: Smallest confidences that are tried with each of them.
CUTS = (0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7)


@dataclass(frozen=True)
class Tuned:
    """The best settings, the smallest confidence that belongs to them, and what they reached (None: not tuned)."""

    settings: DataclassInstance
    cut: float
    reached: float | None = None


def shipped(method: str) -> Tuned:
    """Return the settings that the package has by default."""
    return Tuned(METHODS[method].locator.Settings(), METHODS[method].default_threshold)


def find(volume: Volume, method: str, settings: DataclassInstance) -> pd.DataFrame:
    """Return what a rival finds, whatever its confidence."""
    found = _candidates(volume, method, settings)
    return particle_table(found.positions, radius=found.radii, confidence=found.confidence)


def tune(method: str, volumes: Sequence[Volume], *, by_ap: bool) -> Tuned:
    """Find the settings of the highest mean F1 (or challenge AP): each in turn over its grid, until none gets better.

    Parameters
    ----------
    method
        Name of a method with tunable settings.
    volumes
        What to tune on.
    by_ap
        Whether the challenge's average precision is what counts.
    """
    tried: dict[DataclassInstance, Tuned] = {}

    def judge(settings: DataclassInstance) -> Tuned:
        if settings not in tried:
            tried[settings] = _judge(method, settings, volumes, by_ap=by_ap)
        return tried[settings]

    best = judge(shipped(method).settings)
    while True:
        before = best
        for name, values in METHODS[method].locator.GRID.items():
            trials = [judge(_with(best.settings, name, value)) for value in values]
            best = max([best, *trials], key=_reached)
        if best is before:
            return best


def _with(settings: DataclassInstance, name: str, value: float) -> DataclassInstance:
    changes: dict[str, Any] = {name: value}
    return replace(settings, **changes)


def _reached(tuned: Tuned) -> float:
    return -1.0 if tuned.reached is None else tuned.reached


def _judge(method: str, settings: DataclassInstance, volumes: Sequence[Volume], *, by_ap: bool) -> Tuned:
    found = [_candidates(volume, method, settings) for volume in volumes]
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


def _candidates(volume: Volume, method: str, settings: DataclassInstance) -> Candidates:
    image = GreyLevels.of(volume.image).apply(volume.image).numpy()
    return METHODS[method].locator.locate(image, volume.diameter, (volume.scene.aspect, 1.0, 1.0), settings)
