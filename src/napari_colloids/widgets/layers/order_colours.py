"""Particles coloured by a column, of their structure or any other, and the colours that they had before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from napari_colloids.particles import POSITION
from napari_colloids.structure import LOCAL_COLUMNS
from napari_colloids.widgets.layers import layers
from napari_colloids.widgets.layers.column_colours import column_colours
from napari_colloids.widgets.layers.quantities import values_of
from napari_colloids.widgets.layers.spheres import is_ours, watch

if TYPE_CHECKING:
    import pandas as pd
    from napari.components import ViewerModel
    from napari.layers import Points
    from numpy.typing import NDArray

#: What layers looked like before they were coloured.
_BEFORE: WeakKeyDictionary[Points, _Look] = WeakKeyDictionary()


@dataclass(frozen=True)
class _Look:
    """The column that a layer of this plugin was coloured by; the colours that another layer had."""

    colour_by: object
    colours: NDArray[np.float64]
    current: str


def has_columns(layer: Points | None) -> bool:
    """Whether the structure of the points was measured."""
    return layer is not None and set(LOCAL_COLUMNS) <= set(layer.features)


def add_columns(viewer: ViewerModel, layer: Points, table: pd.DataFrame, inside: NDArray[np.bool_]) -> None:
    """Add the columns of the structure of the points on show, in their order, and colour the layer anew.

    `inside` tells which of them were measured. All others get what a point has that is added by hand.
    """
    shown = np.array(layer.shown, dtype=bool)
    shown[shown] = inside
    features, defaults = layer.features.copy(), layer.feature_defaults
    unknown = layers.added_by_hand(table[list(LOCAL_COLUMNS)])
    for name, value in unknown.items():
        measured = table[name].to_numpy()
        column = np.full(len(features), value, dtype=measured.dtype)
        column[shown] = measured
        features[name] = column
    layer.features = features
    layer.feature_defaults = {**{name: values.iloc[0] for name, values in defaults.items()}, **unknown}
    if column_of(layer):
        colour(viewer, layer, column_of(layer))


def column_of(layer: Points | None) -> str:
    """Return the column of the structure that points are coloured by, or nothing."""
    column = coloured_by(layer)
    return column if column in LOCAL_COLUMNS else ""


def coloured_by(layer: Points | None) -> str:
    """Return the column that points are coloured by, or nothing."""
    column = "" if layer is None else str(layers.note_of(layer).get("colour_by", ""))
    return column if layer is not None and column in (*POSITION, *layer.features) else ""


def colour(viewer: ViewerModel, layer: Points, column: str, limits: tuple[float, float] | None = None) -> None:
    """Colour points by a column; an empty one brings back what they looked like before.

    `limits` are the values at both ends of the colours; None takes those of the column (`column_limits`).
    """
    if column and layer not in _BEFORE:
        before = layers.note_of(layer).get("colour_by", "")
        _BEFORE[layer] = _Look(before, np.array(layer.face_color), layer.current_face_color)
    look = None if column else _BEFORE.pop(layer, None)
    if not column and look is None:
        return
    layers.add_to_note(layer, colour_by=column if look is None else look.colour_by, colour_limits=limits)
    if is_ours(layer):
        watch(viewer).dress(layer)
    elif look is None:
        layer.face_color = column_colours(layer.features, column, values_of(layer, column), limits)
    else:
        # Points may have come or gone since.
        layer.face_color = look.colours if len(look.colours) == len(layer.data) else look.current


def colour_plainly(viewer: ViewerModel, layer: Points) -> None:
    """Give all points of a layer the same colour; points of others get back what they looked like before."""
    if not is_ours(layer):
        colour(viewer, layer, "")
        return
    layers.add_to_note(layer, colour_by="", colour_limits=None)
    watch(viewer).dress(layer)
