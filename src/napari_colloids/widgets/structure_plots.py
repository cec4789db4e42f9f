"""Plots of the Structure dock: S(q) beside the theory of hard spheres, and histograms of the columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from napari_colloids.particles import WHOLE
from napari_colloids.plotting import unit_symbol
from napari_colloids.structure import hard_sphere_structure_factor
from napari_colloids.structure.hard_sphere_theory import FREEZING
from napari_colloids.widgets.layers.layers import CONFIDENCE_COLOURS, order_limits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from napari_colloids.structure import Structure

#: Most bins of a histogram, and how many there are for the square root of the number of particles.
_MAX_BINS, _BINS_PER_ROOT = 40, 2.0
#: Of the theory's line in the legend.
THEORY = "hard spheres (theory)"


def theory_of(found: Structure) -> NDArray[np.float64] | None:
    """Return S(q) of the fluid of hard spheres of this volume fraction and diameter; None where there is none."""
    fraction = found.volume_fraction
    if fraction is None or not 0 < fraction.value < FREEZING or not np.isfinite(found.diameter):
        return None
    return hard_sphere_structure_factor(found.s.q, fraction.value, found.diameter)


def plot_structure_factor(found: Structure, axes: Axes) -> Axes:
    """Draw S(q), with that of a fluid of hard spheres as a dashed line where it is one."""
    found.s.plot(axes)
    theory = theory_of(found)
    if theory is not None:
        # Over the curve, which it may coincide with.
        axes.plot(found.s.q, theory, linestyle="--", zorder=4, label=THEORY)
        axes.set_ylim(top=max(axes.get_ylim()[1], 1.05 * float(theory.max())))
        axes.legend()
    return axes


def plot_histogram(found: Structure, column: str, axes: Axes) -> Axes:
    """Draw how a column is distributed over the particles inside, in the colours that it gives them."""
    values = found.inside[column].to_numpy(dtype=float)
    values = values[np.isfinite(values)]
    axes.set(xlabel=name_of(column, found.unit), ylabel="particles inside")
    if not len(values):
        axes.text(0.5, 0.5, "no particle is far enough inside", ha="center", va="center", transform=axes.transAxes)
        return axes
    if column in WHOLE:
        edges = np.arange(values.min() - 0.5, values.max() + 1.0)
    else:
        edges = np.histogram_bin_edges(values, min(_MAX_BINS, round(_BINS_PER_ROOT * len(values) ** 0.5)))
    counts, _ = np.histogram(values, edges)
    centres = (edges[:-1] + edges[1:]) / 2
    low, high = order_limits(found.particles, column)
    colours = LinearSegmentedColormap.from_list(column, CONFIDENCE_COLOURS)((centres - low) / (high - low))
    axes.bar(centres, counts, width=np.diff(edges) * (0.9 if column in WHOLE else 1.0), color=colours)
    return axes


def name_of(column: str, unit: str = "") -> str:
    """Return how a column is called, with its unit where it has one."""
    name = column.replace("_", " ").replace("voronoi", "Voronoi")
    return f"{name} ({unit_symbol(unit)}³)" if unit and column == "voronoi_volume" else name
