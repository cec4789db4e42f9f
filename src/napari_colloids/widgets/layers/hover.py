"""What napari's status bar says of the particle under the mouse, with units."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np
from napari.layers import Points

from napari_colloids.particles import COLUMNS
from napari_colloids.widgets.layers.places import voxel_size_of

if TYPE_CHECKING:
    from collections.abc import Callable

#: Words for lengths in voxels along their own axis.
_VOXELS = "voxels"


def say_units(layer: Points) -> None:
    """Have napari give position and features of this layer's particles with their units, in micrometres where known."""
    layer.get_status = partial(_status, ref(layer))


def _status(of: Callable[[], Points | None], *args: Any, **kwargs: Any) -> dict[str, Any]:
    layer = of()
    if layer is None:
        return {}
    status = Points.get_status(layer, *args, **kwargs)
    value = layer.get_value(*args, **kwargs) if args else layer.get_value(**kwargs)
    if value is None or not 0 <= value < len(layer.data):
        return status
    words = describe(layer, int(value))
    return {**status, "value": words, "coordinates": f"particle {value}: {words}"}


def describe(layer: Points, number: int) -> str:
    """Return position and features of a particle in words, with their units."""
    size = voxel_size_of(layer)
    position = np.asarray(layer.data, dtype=float)[number, -3:]
    where, unit_of_it = (position, "px") if size is None else (position * size, "µm")
    words = [f"z, y, x {_numbers(where)} {unit_of_it}"]
    for name, values in layer.features.items():
        value = float(values.iloc[number]) if name in COLUMNS else np.nan
        if np.isnan(value):
            continue
        unit = COLUMNS[name].unit
        if size is not None and unit in ("px", _VOXELS):
            edge = size["zyx".index(str(name)[0])] if unit == _VOXELS else size[2]
            pixels = f" ({value:.2f} px)" if name == "radius" else ""
            words.append(f"{_label(name)} {value * edge:.3g} µm{pixels}")
        else:
            words.append(f"{_label(name)} {value:.3g} {'px' if unit == _VOXELS else unit}".rstrip())
    return ", ".join(words)


def _numbers(values: np.ndarray[Any, Any]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)


def _label(name: object) -> str:
    return str(name).replace("_err", " ±").replace("_", " ")
