"""Reference methods, trackpy and LoG, with settings tuned on volumes like those that they are then measured on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.detection.methods import METHODS
from napari_colloids.detection.normalise import GreyLevels
from napari_colloids.particles import particle_table
from napari_colloids.scoring import challenge_ap, score
from napari_colloids.settings import changed
from napari_colloids.stack import proportions_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from _typeshed import DataclassInstance
    from numpy.typing import NDArray

    from napari_colloids.benchmark.microscope import Volume
    from napari_colloids.detection.candidates import Candidates
    from napari_colloids.stack import Stack

#: Names of the reference methods.
NAMES = tuple(name for name, method in METHODS.items() if not method.tiled)
#: Confidence thresholds that are tried with each of them.
THRESHOLDS = (0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7)


@dataclass(frozen=True)
class Tuned:
    """A reference method with its settings.

    Attributes
    ----------
    method
        Name of the method.
    settings
        Of the method.
    threshold
        Minimum confidence that belongs to them.
    score
        Mean F1, or challenge AP, on the tuning volumes; None where they were not tuned.
    """

    method: str
    settings: DataclassInstance
    threshold: float
    score: float | None = None


def shipped(method: str) -> Tuned:
    """Return a reference method with the default settings of the package."""
    return Tuned(method, METHODS[method].locator.Settings(), METHODS[method].default_threshold)


def find(stack: Stack, diameter: float, tuned: Tuned) -> pd.DataFrame:
    """Return all particles that a reference method finds, of any confidence."""
    found = _candidates(stack, diameter, tuned)
    return particle_table(found.positions, radius=found.radii, confidence=found.confidence)


def tune(method: str, volumes: Sequence[Volume], *, by_ap: bool) -> Tuned:
    """Search the settings of the highest mean F1 (or challenge AP) by coordinate descent over the grid of each.

    Parameters
    ----------
    method
        One of `NAMES`.
    volumes
        What to tune on.
    by_ap
        Whether to tune for the challenge's average precision.
    """
    tried: dict[DataclassInstance, Tuned] = {}

    def tried_out(settings: DataclassInstance) -> Tuned:
        if settings not in tried:
            tried[settings] = _with_best_threshold(method, settings, volumes, by_ap=by_ap)
        return tried[settings]

    best = tried_out(shipped(method).settings)
    while True:
        before = best
        for name, values in METHODS[method].locator.GRID.items():
            trials = [tried_out(changed(best.settings, {name: value}, "setting")) for value in values]
            best = max([best, *trials], key=_score)
        if best is before:
            return best


def _score(tuned: Tuned) -> float:
    return -1.0 if tuned.score is None else tuned.score


def _with_best_threshold(method: str, settings: DataclassInstance, volumes: Sequence[Volume], *, by_ap: bool) -> Tuned:
    best = Tuned(method, settings, 0.0)
    found = [_candidates(volume.stack, volume.diameter, best) for volume in volumes]
    for threshold in THRESHOLDS:
        kept = [f.positions[f.confidence >= threshold] for f in found]
        scores = [_score_of(*pair, by_ap=by_ap) for pair in zip(volumes, kept, strict=True)]
        best = max(best, replace(best, threshold=threshold, score=float(np.mean(scores))), key=_score)
    return best


def _score_of(volume: Volume, positions: NDArray[np.float64], *, by_ap: bool) -> float:
    shape = volume.image.shape
    if by_ap:
        return challenge_ap(volume.positions, positions, volume.diameter, shape)
    voxel_size = volume.stack.voxel_size
    return score(volume.positions, positions, diameter=volume.diameter, shape=shape, voxel_size=voxel_size).f1


def _candidates(stack: Stack, diameter: float, tuned: Tuned) -> Candidates:
    volume = np.asarray(stack.volume())
    image = GreyLevels.of(volume).apply(volume).numpy()
    locator = METHODS[tuned.method].locator
    return locator.locate(image, diameter, proportions_of(stack.voxel_size), tuned.settings)
