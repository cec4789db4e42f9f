"""The numbers of a plot, read from its axes: every curve with its errors, in the units that the axes name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.colors import to_rgb
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.patches import StepPatch

from napari_colloids.widgets.parts.plot_look import rgb_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    #: Name, x, y and the errors of y; NaN where there are none.
    Curve = tuple[str, Array, Array, Array]


def numbers_of(axes: Axes) -> pd.DataFrame:
    """Return the curves, histograms and bars on axes, a row each point.

    Lines that only guide the eye (those across all of the axes) are left out.

    Parameters
    ----------
    axes
        As the ``plot`` of a result has left them.

    Returns
    -------
    pandas.DataFrame
        ``curve``, its name in the legend; x and y under the labels of the axes, with their units; ``error of`` y where
        a curve has errors: half of what its band or its bars span.
    """
    x_label, y_label = axes.get_xlabel() or "x", axes.get_ylabel() or "y"
    found = [*_lines(axes), *_steps(axes), *_bars(axes)]
    parts = [
        pd.DataFrame({"curve": name or y_label, x_label: x, y_label: y, f"error of {y_label}": error})
        for name, x, y, error in found
    ]
    if not parts:
        return pd.DataFrame(columns=["curve", x_label, y_label])
    table = pd.concat(parts, ignore_index=True)
    return table if table.iloc[:, -1].notna().any() else table.iloc[:, :-1]


def _lines(axes: Axes) -> Iterator[Curve]:
    barred = {box.lines[0]: box for box in axes.containers if isinstance(box, ErrorbarContainer)}
    caps = {cap for box in barred.values() for cap in box.lines[1]}
    for line in axes.get_lines():
        if line in caps or line.get_transform() != axes.transData:
            continue
        box = barred.get(line)
        ends = _band_of(axes, line) if box is None else _vertices(box.lines[2][-1:] if box.has_yerr else ())
        x, y = np.asarray(line.get_xydata(), dtype=float).T
        yield _shown(line.get_label() if box is None else box.get_label()), x, y, _halves(x, ends)


def _band_of(axes: Axes, line: Line2D) -> Array:
    """Return the vertices of the bands in the colour of a line."""
    bars = {bar for box in axes.containers if isinstance(box, ErrorbarContainer) for bar in box.lines[2]}
    colour = to_rgb(line.get_color())
    return _vertices(band for band in axes.collections if band not in bars and rgb_of(band) == colour)


def _vertices(collections: Iterable) -> Array:
    paths = [path.vertices for one in collections for path in one.get_paths()]
    return np.concatenate(paths) if paths else np.empty((0, 2))


def _halves(x: Array, ends: Array) -> Array:
    """Return half of what vertices span at each x."""
    at = pd.Series(ends[:, 1]).groupby(ends[:, 0]).agg(["min", "max"])
    return ((at["max"] - at["min"]) / 2).reindex(x).to_numpy(dtype=float)


def _steps(axes: Axes) -> Iterator[Curve]:
    for patch in axes.patches:
        if isinstance(patch, StepPatch):
            values, edges, _ = patch.get_data()
            yield _shown(patch.get_label()), (edges[:-1] + edges[1:]) / 2, values, np.full(len(values), np.nan)


def _bars(axes: Axes) -> Iterator[Curve]:
    for box in axes.containers:
        if isinstance(box, BarContainer):
            x = np.array([bar.get_x() + bar.get_width() / 2 for bar in box])
            yield _shown(box.get_label()), x, np.array([bar.get_height() for bar in box]), np.full(len(x), np.nan)


def _shown(label: object) -> str:
    """Return a label without those that matplotlib makes up, which no legend shows."""
    return "" if str(label).startswith("_") else str(label)
