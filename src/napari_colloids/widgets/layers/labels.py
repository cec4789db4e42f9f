"""Menu command: particles of the chosen Points layer as a Labels layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image, Labels, Points

from napari_colloids.errors import ColloidsError
from napari_colloids.widgets.layers.layers import in_voxels, is_stack, note_of
from napari_colloids.widgets.layers.places import place_of, voxel_size_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from numpy.typing import NDArray

#: Largest Labels layer that is made in memory, in bytes.
_MAX_BYTES = 1 << 32


def add_labels() -> None:
    """Add a Labels layer of the particles on show of the chosen Points layer (npe2 entry point)."""
    from napari import current_viewer
    from napari.utils.notifications import show_error

    viewer = current_viewer()
    if viewer is None:
        return
    try:
        add_labels_layer(viewer)
    except ColloidsError as error:
        show_error(str(error))


def add_labels_layer(viewer: ViewerModel) -> Labels:
    """Add a Labels layer of the particles on show of the chosen Points layer, and return it.

    It has the voxels of the image in which they were found, or of the only image there is. Raises a `ColloidsError` if
    no layer of particles is chosen, or the image is not known.
    """
    points = viewer.layers.selection.active
    if not isinstance(points, Points) or points.ndim < 3:
        raise ColloidsError("Choose a Points layer of particles in the layer list first.")
    image = _image_of(points, viewer)
    labels = Labels(_labels(points, image), name=f"{points.name} labels", **place_of(image))
    viewer.add_layer(labels)
    return labels


def _image_of(points: Points, viewer: ViewerModel) -> Image:
    images = [layer for layer in viewer.layers if is_stack(layer)]
    own = [image for image in images if image.name == note_of(points).get("image")] or images
    if len(own) != 1:
        raise ColloidsError(
            f"'{points.name}' lies in {'no' if not own else 'one of several'} image{'s' * (len(own) > 1)}: its labels "
            "need the image for their shape; keep just that one in the layer list."
        )
    return own[0]


def _labels(points: Points, image: Image) -> NDArray[np.unsignedinteger]:
    """Return the labels of the particles on show, one volume for each of the image."""
    from napari_colloids.io import label_image

    shape = tuple((image.data[0] if image.multiscale else image.data).shape)
    if np.prod(shape, dtype=float) * 4 > _MAX_BYTES:
        raise ColloidsError("The labels do not fit into memory; export the particles, and run napari-colloids labels.")
    size = voxel_size_of(image)
    if len(shape) == 3:
        return label_image(in_voxels(points, image, ()), shape, voxel_size=size)
    volumes = [
        label_image(in_voxels(points, image, index), shape[-3:], voxel_size=size) for index in np.ndindex(shape[:-3])
    ]
    return np.stack(volumes).reshape(shape)
