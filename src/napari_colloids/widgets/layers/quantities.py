"""Columns of a Points layer as numbers: positions and features, in the units that they are shown in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from napari_colloids.particles import COLUMNS, ERRORS, FEATURES, POSITION
from napari_colloids.plotting import unit_symbol
from napari_colloids.widgets.layers.places import voxel_size_of

if TYPE_CHECKING:
    from napari.layers import Points
    from numpy.typing import NDArray

#: Of what is shown in micrometres, in nanometres and in voxels; further numbers get so many significant digits.
_DECIMALS = {"um": 3, "nm": 1, "voxels": 2, "px": 2}
_SIGNIFICANT_DIGITS = 4
_NM_PER_UM = 1000.0
#: Names of columns that are not their own words.
_WORDS = {**{f"{axis}_err": f"{axis} error" for axis in "zyx"}, "radius_err": "radius error"}


@dataclass(frozen=True)
class Quantity:
    """A column of a layer and how it is shown.

    Attributes
    ----------
    name
        Of the column, as in a particle table, or of a feature of another plugin.
    unit
        That it is shown in: ``um``, ``nm``, ``voxels``, ``px`` or nothing.
    factor
        What a value of the column is multiplied with to be shown.
    doc
        Description, for a tooltip.
    """

    name: str
    unit: str = ""
    factor: float = 1.0
    doc: str = ""

    @property
    def words(self) -> str:
        """The name in words, without the unit."""
        return _WORDS.get(self.name, self.name.replace("_", " "))

    @property
    def title(self) -> str:
        """The name in words, with the unit in brackets."""
        return f"{self.words} ({unit_symbol(self.unit)})" if self.unit else self.words

    def text(self, value: object) -> str:
        """Return a value as it is shown; `value` is in the unit of the quantity."""
        if not isinstance(value, float | np.floating):
            return str(value)
        if np.isnan(value):
            return "none"
        decimals = _DECIMALS.get(self.unit)
        return f"{value:.{_SIGNIFICANT_DIGITS}g}" if decimals is None else f"{value:.{decimals}f}"


def quantities_of(layer: Points) -> dict[str, Quantity]:
    """Return the columns of a layer by name: place, then the features in the order of tables, then those of others.

    Lengths are in micrometres, and their errors in nanometres, where the voxel size is known; else in voxels.
    """
    size = voxel_size_of(layer)
    by_axis = dict(zip(POSITION, (1.0, 1.0, 1.0) if size is None else size, strict=True))
    features = list(map(str, layer.features.columns))
    known = [name for name in FEATURES if name in features]
    names = [*(["frame"] if layer.ndim > 3 else []), *POSITION, *known, *(n for n in features if n not in COLUMNS)]
    found = {}
    for name in names:
        doc = COLUMNS[name].doc if name in COLUMNS else "Feature of the layer."
        axis = name.removesuffix("_err")
        unit, factor = "", 1.0
        if name in POSITION or name in ERRORS or name == "radius":
            lateral = axis == "radius"
            unit, factor = ("px" if lateral else "voxels"), 1.0
            if size is not None:
                factor = size[2] if lateral else by_axis[axis]
                unit, factor = ("nm", factor * _NM_PER_UM) if name in ERRORS else ("um", factor)
        found[name] = Quantity(name, unit, factor, doc)
    return found


def values_of(layer: Points, name: str) -> NDArray[np.generic]:
    """Return a column of a layer, shape ``(N,)``, hidden points included: numbers as they are kept, else text.

    Positions are in voxels, radii and their errors in lateral voxels.
    """
    if name in POSITION:
        return np.asarray(layer.data, dtype=float)[:, POSITION.index(name) - 3]
    if name == "frame" and layer.ndim > 3:
        return np.rint(np.asarray(layer.data)[:, -4]).astype(int)
    column = layer.features[name]
    if not pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(dtype=str)
    if pd.api.types.is_integer_dtype(column) and not column.hasnans:
        return column.to_numpy(dtype=int)
    return column.to_numpy(dtype=float, na_value=np.nan)


def is_number(values: NDArray[np.generic]) -> bool:
    """Whether a column holds numbers, by which points can be coloured."""
    return values.dtype.kind in "biuf"
