"""What a point still is once it was added or moved by hand: certain, but not fitted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers.base import ActionType

from napari_colloids.particles import ERRORS
from napari_colloids.widgets.layers.layers import next_particle

if TYPE_CHECKING:
    from napari.layers import Points


def reset_edited_features(event: Any) -> None:
    """Take from points that were just added, or moved, what is not true of them (for an event of a layer's ``data``).

    napari gives a new point the features of the one that was selected last.
    """
    if event.action not in (ActionType.ADDED, ActionType.CHANGED):
        return
    layer = event.source
    which = np.zeros(len(layer.data), bool)
    which[list(event.data_indices)] = True
    if event.action == ActionType.ADDED:
        fresh: dict[str, Any] = {"confidence": 1.0, "refined": 0, **dict.fromkeys(ERRORS, math.nan)}
        others = layer.shown & ~which
        if "radius" in layer.features and others.any():
            fresh["radius"] = float(np.nanmedian(layer.features["radius"][others]))
        if "particle" in layer.features:
            fresh["particle"] = next_particle(layer.features["particle"][~which]) + np.arange(which.sum())
        _set(layer, which, fresh)
        layer.shown = layer.shown | which  # else as visible as the point before
    else:
        _set(layer, which, {"refined": 0, **dict.fromkeys(ERRORS, math.nan)})


def _set(layer: Points, which: Any, values: dict[str, Any]) -> None:
    features = layer.features.copy()
    for name, value in values.items():
        if name in features:
            features.loc[which, name] = value
    if not features.equals(layer.features):
        defaults = layer.feature_defaults
        layer.features = features
        # napari has put those of the last row in their place, which may be of another channel.
        layer.feature_defaults = defaults
