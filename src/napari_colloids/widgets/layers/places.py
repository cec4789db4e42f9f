"""Places of layers: scale, units, index on show, and transforms from one layer's data to another's voxels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.errors import ColloidsError

if TYPE_CHECKING:
    import pint
    from napari.components import ViewerModel
    from napari.layers import Image, Layer
    from numpy.typing import NDArray

    from napari_colloids.stack import VoxelSize


#: Attributes that say where a layer lies: scale, translate, units and axis labels.
Place = Mapping[str, "tuple[object, ...]"]


def place_of(layer: Layer) -> Place:
    """Return the attributes that place another layer exactly where this one is.

    Raises a `ColloidsError` if the layer does not lie straight along the axes.
    """
    check_straight(layer)
    return {
        "scale": tuple(layer.scale),
        "translate": tuple(layer.translate),
        "units": tuple(layer.units),
        "axis_labels": tuple(layer.axis_labels),
    }


def check_straight(layer: Layer) -> None:
    """Raise a `ColloidsError` if a layer is rotated, sheared or otherwise transformed."""
    here = np.asarray(layer.data_to_world(np.zeros(layer.ndim)))
    axes = np.array([layer.data_to_world(step) for step in np.eye(layer.ndim)]) - here
    if not (np.allclose(axes, np.diag(layer.scale)) and np.allclose(here, layer.translate)):
        raise ColloidsError(
            f"'{layer.name}' is rotated, sheared or has an affine transform, which is not supported: resample it, "
            "or reset its transform (rotate, shear and affine of the layer)."
        )


def voxel_size_of(layer: Layer) -> VoxelSize | None:
    """Return the voxel size of a layer in micrometres ``(z, y, x)``, or None where it is unknown.

    A scale other than 1 whose unit was never said (napari calls it "pixel") is taken as micrometres, as most scripts
    that call ``add_image(..., scale=...)`` mean it.
    """
    scale = [abs(float(s)) for s in layer.scale[-3:]]
    factors = [_ratio(unit, "um") for unit in layer.units[-3:]]
    if any(map(math.isnan, factors)):
        if scale == [1.0, 1.0, 1.0]:
            return None
        factors = [1.0, 1.0, 1.0]
    z, y, x = (s * f for s, f in zip(scale, factors, strict=True))
    return (z, y, x)


def interval_of(layer: Layer) -> float | None:
    """Return the seconds between frames that the scale of a layer's time axis tells, or None."""
    interval = math.nan if layer.ndim < 4 else abs(float(layer.scale[-4])) * _ratio(layer.units[-4], "s")
    return None if math.isnan(interval) else interval


def same_dimension(one: Layer, other: Layer) -> bool:
    """Whether the last axis of two layers is in pixels in both, or a length in both."""
    pixels = [math.isnan(_ratio(layer.units[-1], "um")) for layer in (one, other)]
    return pixels[0] == pixels[1]


def _ratio(unit: pint.Unit, other: pint.Unit | str) -> float:
    """Return a unit over another; NaN if one of them is a pixel: nobody said how long these are."""
    try:
        return float((1 * unit).to(other).magnitude)
    except Exception:
        return math.nan


def index_of(layer: Layer, viewer: ViewerModel) -> tuple[int, ...]:
    """Return the index of what the viewer shows along the layer's axes before z (empty for a 3D layer)."""
    here = np.asarray(layer.world_to_data(viewer.dims.point[-layer.ndim :]))
    lengths = np.ptp(layer.extent.data, axis=0) + 1
    return tuple(int(np.clip(round(here[axis]), 0, lengths[axis] - 1)) for axis in range(layer.ndim - 3))


def into_voxels(layer: Layer, image: Image) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return `scale` and `shift` along z, y, x (or y, x) that make voxels of an image of the data of another layer.

    Raises a `ColloidsError` if one of the two does not lie straight along the axes.
    """
    for one in (layer, image):
        check_straight(one)
    count = min(layer.ndim, 3)
    ratio = np.array(list(map(_ratio, layer.units[-count:], image.units[-count:])))
    ratio[np.isnan(ratio)] = 1.0
    scale, shift = (np.asarray(part[-count:]) * ratio for part in (layer.scale, layer.translate))
    unit = np.asarray(image.scale[-count:])
    return scale / unit, (shift - np.asarray(image.translate[-count:])) / unit


def coincide(layer: Layer, image: Image) -> bool:
    """Whether the voxels of an image are those of another layer.

    Raises a `ColloidsError` if one of the two does not lie straight along the axes.
    """
    scale, shift = into_voxels(layer, image)
    return bool(np.allclose(scale, 1) and np.allclose(shift, 0))
