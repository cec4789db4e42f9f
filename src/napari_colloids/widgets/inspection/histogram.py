"""Histogram of a column of the particles in the table, with its mean and spread."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from napari_colloids.particles import WHOLE
from napari_colloids.widgets.layers.column_colours import scale_of
from napari_colloids.widgets.parts.plots import use_log_counts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from napari_colloids.widgets.layers.quantities import Quantity

#: Most bins, and how many there are for the square root of the number of particles.
_MAX_BINS, _BINS_PER_ROOT = 40, 2.0
#: Of the bars where the particles are not coloured by this column.
_PLAIN_COLOUR = "0.5"
#: At most, so that values with four digits do not overlap at the least width of a dock.
_X_TICKS = 4


def plot_histogram(
    values: NDArray[np.generic], quantity: Quantity, limits: tuple[float, float] | None, axes: Axes
) -> Axes:
    """Draw how a column is distributed.

    Parameters
    ----------
    values
        Shape ``(N,)``, in the unit of the quantity.
    quantity
        What it is. Counts of confidences are logarithmic: nearly all of them lie at 1.
    limits
        Both ends of the colours where the particles are coloured by this column, else None.
    axes
        To draw on.
    """
    numbers = values.astype(float)
    numbers = numbers[np.isfinite(numbers)]
    axes.set(xlabel=quantity.title, ylabel="particles")
    if not len(numbers):
        axes.text(0.5, 0.5, "no particle has a value", ha="center", va="center", transform=axes.transAxes)
        return axes
    counts, edges = np.histogram(numbers, _edges(numbers, quantity.name))
    centres = (edges[:-1] + edges[1:]) / 2
    colours: object = _PLAIN_COLOUR
    if limits is not None:
        scale = LinearSegmentedColormap.from_list(quantity.name, scale_of(quantity.name))
        colours = scale((centres - limits[0]) / (limits[1] - limits[0]))
    axes.bar(centres, counts, width=np.diff(edges) * (0.9 if quantity.name in WHOLE else 1.0), color=colours)
    axes.locator_params(axis="x", nbins=_X_TICKS)
    if quantity.name == "confidence":
        use_log_counts(axes, counts)
    return axes


def spread_words(values: NDArray[np.generic], quantity: Quantity) -> str:
    """Return mean and standard deviation in words; of radii also the polydispersity."""
    numbers = values.astype(float)
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return ""
    mean, deviation = float(numbers.mean()), float(numbers.std())
    unit = quantity.title.removeprefix(quantity.words).strip(" ()")
    words = f"{quantity.words} {quantity.text(mean)} ± {quantity.text(deviation)} {unit}".rstrip()
    return f"{words} (polydispersity {deviation / mean:.1%})" if quantity.name == "radius" and mean > 0 else words


def _edges(numbers: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    if name in WHOLE and np.ptp(numbers) < _MAX_BINS:
        return np.arange(numbers.min() - 0.5, numbers.max() + 1.0)
    if name == "confidence":
        return np.linspace(0, 1, _MAX_BINS + 1)
    return np.histogram_bin_edges(numbers, min(_MAX_BINS, max(round(_BINS_PER_ROOT * len(numbers) ** 0.5), 1)))
