"""Which image a layer was made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from napari_colloids.widgets import layers

if TYPE_CHECKING:
    from napari.layers import Image, Layer

#: The images that layers were made from.
_MADE_FROM: WeakKeyDictionary[Any, ref[Any]] = WeakKeyDictionary()


def made_from(layer: Layer, image: Image) -> None:
    """Remember which image a layer was made from: names change, and come back on other images."""
    _MADE_FROM[layer] = ref(image)


def is_known(layer: Layer) -> bool:
    """Tell whether the image that a layer was made from was remembered, even if it is gone since."""
    return layer in _MADE_FROM


def is_of(layer: Layer, image: Image) -> bool:
    """Tell whether a layer was made from this image; by the name in its note, if it comes from a file, say."""
    known = _MADE_FROM.get(layer)
    if known is not None:
        return known() is image
    return bool(layers.note_of(layer).get("image") == image.name)
