"""Edits by hand: features of points that were added or moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers.base import ActionType

from napari_colloids.widgets.layers.layers import added_by_hand

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from napari.layers import Points
    from napari.utils.events import Event
    from numpy.typing import ArrayLike, NDArray

#: Column that marks what was edited by hand, which a layer has from its first edit on.
BY_HAND = "by_hand"
#: Its values for particles that are as found, were added, and were moved or resized.
AS_FOUND, ADDED, CHANGED = 0, 1, 2


def reset_edited_features(event: Event) -> None:
    """Reset the features of points that were added or moved (for an event of a layer's ``data``).

    A point that was added is certain and not fitted, though napari gives it the features of the one that was selected
    last; its channel is kept. A point that was moved keeps its confidence. Both are marked as edited by hand.
    """
    if event.action not in (ActionType.ADDED, ActionType.CHANGED):
        return
    layer = event.source
    which = np.zeros(len(layer.data), bool)
    which[list(event.data_indices)] = True
    features = layer.features
    if event.action == ActionType.CHANGED:
        _set(layer, which, changed_by_hand(features, which))
        return
    values: dict[str, ArrayLike] = {**added_by_hand(features[~which]), BY_HAND: ADDED}
    values.pop("channel", None)
    if values.pop("radius", None) and (layer.shown & ~which).any():
        values["radius"] = added_by_hand(features[layer.shown & ~which])["radius"]
    if "particle" in values:
        values["particle"] = values["particle"] + np.arange(which.sum())
    _set(layer, which, values)
    layer.shown = layer.shown | which  # else as visible as the point before


def changed_by_hand(features: pd.DataFrame, which: NDArray[np.bool_] | NDArray[np.intp]) -> dict[str, ArrayLike]:
    """Return the features of points that were moved or resized: what was measured of them no longer holds."""
    kept = ("radius", "confidence", "channel", "particle", BY_HAND)
    values: dict[str, ArrayLike] = {name: value for name, value in added_by_hand(features).items() if name not in kept}
    before = features[BY_HAND].to_numpy()[which] if BY_HAND in features else AS_FOUND
    values[BY_HAND] = np.where(before == ADDED, ADDED, CHANGED)
    return values


def _set(layer: Points, which: NDArray[np.bool_], values: Mapping[str, ArrayLike]) -> None:
    features = layer.features.copy()
    if BY_HAND not in features:
        features[BY_HAND] = AS_FOUND
    for name, value in values.items():
        features.loc[which, name] = value
    if not features.equals(layer.features):
        set_features(layer, features)


def set_features(layer: Points, features: pd.DataFrame) -> None:
    """Set the features of a layer, and leave those of the next point that is added as they were.

    napari puts those of the last row in their place, which may be of another channel.
    """
    before = layer.feature_defaults
    layer.features = features
    defaults = {**_first(layer.feature_defaults), **added_by_hand(features), **_first(before)}
    layer.feature_defaults = {name: value for name, value in defaults.items() if name in features}


def _first(defaults: pd.DataFrame) -> dict[str, object]:
    return {str(name): values.iloc[0] for name, values in defaults.items()}
