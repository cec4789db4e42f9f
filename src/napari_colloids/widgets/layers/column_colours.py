"""Colours of particles by a column: which values are to be trusted, the limits of the colours, and the colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.utils.colormaps import Colormap

from napari_colloids.particles import ERRORS
from napari_colloids.structure import LOCAL_COLUMNS
from napari_colloids.widgets.layers.layers import COLOUR_SCALES, CONFIDENCE_COLOURS

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Limits = tuple[float, float]

#: Of particles whose value is unknown, or not to be trusted: opaque, as what shines through hides the others in 3D.
_UNKNOWN_COLOUR = (0.55, 0.55, 0.55, 1.0)
#: The columns whose high values are the doubtful ones, which have the colour of a low confidence.
_DOUBTFUL_IF_HIGH = (*ERRORS, "misfit")
#: Percentiles of a column at both ends of its colours.
_COLOURED_PERCENTILES = (1.0, 99.0)


def scale_of(column: str) -> list[str]:
    """Return the colours of a column from the lower end of its range to the upper one."""
    return CONFIDENCE_COLOURS[::-1] if column in _DOUBTFUL_IF_HIGH else CONFIDENCE_COLOURS


def known(table: pd.DataFrame, column: str, values: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Return which values of a column are known; of the structure, only those inside are those of the bulk.

    Parameters
    ----------
    table
        Features of the particles.
    column
        Name of the column, which need not be among them.
    values
        Shape ``(N,)``: the column.
    """
    finite = np.isfinite(values.astype(float))
    if column in LOCAL_COLUMNS and "interior" in table:
        finite &= (table["interior"] == 1).to_numpy()
    return finite


def column_limits(table: pd.DataFrame, column: str, values: NDArray[np.generic] | None = None) -> Limits:
    """Return the values at both ends of the colours of a column: percentiles of those that are known.

    Parameters
    ----------
    table, column, values
        As in `known`; None takes the values from the table.
    """
    if column in COLOUR_SCALES:
        return COLOUR_SCALES[column][0]
    numbers = (table[column].to_numpy() if values is None else values).astype(float)
    numbers = numbers[known(table, column, numbers)]
    if not len(numbers):
        return 0.0, 1.0
    for ends in (_COLOURED_PERCENTILES, (0.0, 100.0)):
        low, high = map(float, np.percentile(numbers, ends))
        if high > low:
            return low, high
    return low - 0.5, low + 0.5


def column_colours(
    table: pd.DataFrame, column: str, values: NDArray[np.generic], limits: Limits | None = None
) -> NDArray[np.float64]:
    """Return the colours ``(N, 4)`` of particles by a column: grey where it is unknown or not to be trusted.

    Parameters
    ----------
    table, column, values
        As in `known`.
    limits
        Values at both ends of the colours; None takes `column_limits`.
    """
    low, high = column_limits(table, column, values) if limits is None else limits
    numbers = values.astype(float)
    which = known(table, column, numbers)
    colours = np.tile(np.array(_UNKNOWN_COLOUR), (len(numbers), 1))
    colours[which] = Colormap(scale_of(column)).map(np.clip((numbers[which] - low) / (high - low), 0, 1))
    return colours
