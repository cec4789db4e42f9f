"""Parents of layers: the image of particles, the particles of tracks."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, ref

from napari_colloids.widgets.layers import layers, places

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari.components import ViewerModel
    from napari.layers import Image, Layer

#: The layers that others were made from.
_PARENTS: WeakKeyDictionary[Layer, ref[Layer]] = WeakKeyDictionary()


def set_parent(layer: Layer, origin: Layer) -> None:
    """Set the layer that another was made from: names change, and come back on other layers."""
    _PARENTS[layer] = ref(origin)


def is_known(layer: Layer) -> bool:
    """Whether the parent of a layer was set, even if it is gone since."""
    return layer in _PARENTS


def is_child_of(layer: Layer, origin: Layer) -> bool:
    """Whether a layer was made from another; by the image's name in its metadata, if it comes from a file."""
    known = _PARENTS.get(layer)
    if known is not None:
        return known() is origin
    return bool(layers.note_of(layer).get("image") == origin.name)


def image_of(points: Layer | None, among: Iterable[Layer]) -> Image | None:
    """Return the image that points were found in, if it is there; by its name, if they come from a file."""
    if points is None:
        return None
    return next((image for image in filter(layers.is_stack, among) if is_child_of(points, image)), None)


def image_shape_of(points: Layer, viewer: ViewerModel) -> tuple[int, int, int] | None:
    """Return the shape of the image that points were found in, where it is there and in its place."""
    image = image_of(points, viewer.layers)
    if image is None or not places.coincide(points, image):
        return None
    return layers.stack_of(image, places.index_of(image, viewer)).shape
