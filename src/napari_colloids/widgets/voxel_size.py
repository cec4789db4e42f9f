"""The voxel size of an image: typed in a dock, taken by the image and by every layer that belongs to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
from napari.layers import Image

from napari_colloids.settings import Setting
from napari_colloids.widgets.layers import layers
from napari_colloids.widgets.layers.origin import is_child_of, is_known
from napari_colloids.widgets.layers.unwrapped import unwrapped

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_colloids.stack import VoxelSize

#: Type of the setting, for the docks that have it.
Edges = Annotated[
    tuple[float | None, float | None, float | None],
    Setting(
        label="Voxel size",
        help="Edges of a voxel (z, y, x) in micrometres, where the file does not say them or says them wrong.",
        unit="µm",
        low=1e-6,
        high=1000,
        decimals=6,
        unset="unknown",
        metavar="Z Y X",
    ),
]


def set_voxel_size(viewer: ViewerModel, image: Image, size: VoxelSize | None) -> None:
    """Scale an image, and the layers that belong to it, to a voxel size; None makes it unknown again.

    Particles, tracks and residuals of the image follow, and so do its other channels, and what lies over it alone. The
    same slice stays on show.
    """
    viewer = unwrapped(viewer)
    before, step = np.asarray(image.scale[-3:]), viewer.dims.current_step
    ratio = np.array(size or (1.0, 1.0, 1.0)) / np.abs(before)
    unit = "pixel" if size is None else "um"
    for layer in [image, *_followers(viewer, image)]:
        count = min(layer.ndim, 3)
        layer.translate = [*layer.translate[:-count], *(layer.translate[-count:] * ratio[-count:])]
        layer.scale = [*layer.scale[:-count], *(layer.scale[-count:] * ratio[-count:])]
        layer.units = [*layer.units[:-count], *[unit] * count]
        if isinstance(layer, Image) or "voxel_size" not in layers.note_of(layer):
            continue
        layers.add_to_note(layer, voxel_size=size, assumed="")
    thickness = np.array(viewer.dims.thickness)
    thickness[-3:] *= ratio[-len(thickness) :]
    viewer.dims.thickness = tuple(float(one) for one in thickness)
    viewer.dims.current_step = step
    viewer.reset_view(layers=[image] if image.ndim == viewer.dims.ndim else None)


def _followers(viewer: ViewerModel, image: Image) -> list[Layer]:
    """Return the layers that belong to an image: made from it, of the same file, or lying over it and no other."""
    family: list[Layer] = [image]
    others = [layer for layer in viewer.layers if layer is not image]
    family += [one for one in others if isinstance(one, Image) and _same_file(one, image)]
    strangers = [one for one in others if layers.is_stack(one) and one not in family and one.visible]
    alone = not any(_same_place(one, image) for one in strangers)
    grown = True
    while grown:
        grown = False
        for layer in [layer for layer in others if layer not in family]:
            lies_over = alone and not isinstance(layer, Image) and not is_known(layer) and _same_place(layer, image)
            if lies_over or any(is_child_of(layer, origin) for origin in family):
                family.append(layer)
                grown = True
    return family[1:]


def _same_file(one: Layer, other: Layer) -> bool:
    paths = one.source.path, other.source.path
    return paths[0] is not None and paths[0] == paths[1] and _same_place(one, other)


def _same_place(one: Layer, other: Layer) -> bool:
    count = min(one.ndim, other.ndim, 3)
    return bool(np.allclose(one.scale[-count:], other.scale[-count:])) and one.units[-count:] == other.units[-count:]
