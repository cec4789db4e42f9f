"""Edits by hand: features of points that were added or moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers.base import ActionType

from napari_colloids.widgets.layers.layers import added_by_hand

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari.layers import Points
    from napari.utils.events import Event
    from numpy.typing import ArrayLike, NDArray


def reset_edited_features(event: Event) -> None:
    """Reset the features of points that were added or moved (for an event of a layer's ``data``).

    A point that was added is certain and not fitted, though napari gives it the features of the one that was selected
    last; its channel is kept. A point that was moved keeps its confidence.
    """
    if event.action not in (ActionType.ADDED, ActionType.CHANGED):
        return
    layer = event.source
    which = np.zeros(len(layer.data), bool)
    which[list(event.data_indices)] = True
    features = layer.features
    values: dict[str, ArrayLike] = dict(added_by_hand(features[~which]))
    if event.action == ActionType.CHANGED:
        kept = ("radius", "confidence", "channel", "particle")
        _set(layer, which, {name: value for name, value in values.items() if name not in kept})
        return
    values.pop("channel", None)
    if values.pop("radius", None) and (layer.shown & ~which).any():
        values["radius"] = added_by_hand(features[layer.shown & ~which])["radius"]
    if "particle" in values:
        values["particle"] = values["particle"] + np.arange(which.sum())
    _set(layer, which, values)
    layer.shown = layer.shown | which  # else as visible as the point before


def _set(layer: Points, which: NDArray[np.bool_], values: Mapping[str, ArrayLike]) -> None:
    features = layer.features.copy()
    for name, value in values.items():
        features.loc[which, name] = value
    if not features.equals(layer.features):
        defaults = layer.feature_defaults
        layer.features = features
        # napari has put those of the last row in their place, which may be of another channel.
        layer.feature_defaults = defaults
