"""Which layer another one was made from: the image of particles, the particles of tracks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from napari_colloids.widgets.layers import layers

if TYPE_CHECKING:
    from napari.layers import Layer

#: The layers that others were made from.
_PARENTS: WeakKeyDictionary[Any, ref[Any]] = WeakKeyDictionary()


def set_parent(layer: Layer, origin: Layer) -> None:
    """Remember what a layer was made from: names change, and come back on other layers."""
    _PARENTS[layer] = ref(origin)


def is_known(layer: Layer) -> bool:
    """Tell whether it was remembered what a layer was made from, even if that is gone since."""
    return layer in _PARENTS


def is_child_of(layer: Layer, origin: Layer) -> bool:
    """Tell whether a layer was made from another; by the name of the image in its note, if it comes from a file."""
    known = _PARENTS.get(layer)
    if known is not None:
        return known() is origin
    return bool(layers.note_of(layer).get("image") == origin.name)
