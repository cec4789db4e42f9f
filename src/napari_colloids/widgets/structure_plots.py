"""Plots of the Structure dock: g(r), S(q), columns and what changes with time, of one layer or of several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from napari_colloids.particles import WHOLE
from napari_colloids.plotting import unit_symbol
from napari_colloids.structure import hard_sphere_contact_value, hard_sphere_structure_factor
from napari_colloids.structure.hard_sphere_theory import FREEZING
from napari_colloids.widgets.layers.column_colours import column_limits
from napari_colloids.widgets.layers.layers import CONFIDENCE_COLOURS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from napari_colloids.structure import Structure

    Array = NDArray[np.float64]

#: Most bins of a histogram, and how many there are for the square root of the number of particles.
_MAX_BINS, _BINS_PER_ROOT = 40, 2.0
#: Of the theory's line, and of its mark at contact, in the legend.
THEORY, CONTACT = "hard spheres (theory)", "contact (theory)"
#: What changes with time, and how it is called.
OVER_TIME = {
    "volume_fraction": "volume fraction",
    "q6_averaged": "q6 averaged",
    "crystalline": "crystalline part",
}


@dataclass(frozen=True)
class Shown:
    """A structure with the name of its layer, and the seconds between its frames where they are known."""

    name: str
    found: Structure
    frame_interval: float | None = None


def plot_pair_correlation(shown: Sequence[Shown], axes: Axes) -> Axes:
    """Draw g(r), with the contact value of a fluid of hard spheres as a mark where the first one is such a fluid."""
    first = shown[0].found
    if len(shown) == 1:
        first.plot_pair_correlation(axes)
    else:
        for one in shown:
            g = one.found.g
            (line,) = axes.plot(g.r, g.g, label=one.name)
            axes.fill_between(g.r, g.g - g.error, g.g + g.error, color=line.get_color(), alpha=0.3, linewidth=0)
        _frame(axes, f"r ({unit_symbol(first.unit)})", "g(r)")
    fraction = _fraction_of_fluid(first)
    if fraction is not None:
        contact = hard_sphere_contact_value(fraction)
        axes.plot([first.diameter], [contact], "x", markersize=5, zorder=4, label=CONTACT)
        _reach(axes, contact)
    if fraction is not None or len(shown) > 1:
        axes.legend()
    return axes


def plot_structure_factor(shown: Sequence[Shown], axes: Axes) -> Axes:
    """Draw S(q), with that of a fluid of hard spheres as a dashed line where the first one is such a fluid."""
    first = shown[0].found
    if len(shown) == 1:
        first.s.plot(axes)
    else:
        for one in shown:
            axes.plot(one.found.s.q, one.found.s.s, zorder=3, label=one.name)
        axes.axvspan(0, max(one.found.s.lowest for one in shown), color="0.5", alpha=0.15, linewidth=0)
        _frame(axes, f"q (1/{unit_symbol(first.unit)})", "S(q)")
    theory = theory_of(first)
    if theory is not None:
        # Over the curve, which it may coincide with.
        axes.plot(first.s.q, theory, linestyle="--", zorder=4, label=THEORY)
        _reach(axes, float(theory.max()))
    axes.legend()
    return axes


def theory_of(found: Structure) -> Array | None:
    """Return S(q) of the fluid of hard spheres of this volume fraction and diameter; None where there is none."""
    fraction = _fraction_of_fluid(found)
    return None if fraction is None else hard_sphere_structure_factor(found.s.q, fraction, found.diameter)


def _fraction_of_fluid(found: Structure) -> float | None:
    """Return the volume fraction where hard spheres of it, and of a known diameter, are a fluid."""
    fraction = found.volume_fraction
    known = fraction is not None and np.isfinite(found.diameter)
    return fraction.value if known and fraction is not None and 0 < fraction.value < FREEZING else None


def plot_histogram(shown: Sequence[Shown], column: str, axes: Axes) -> Axes:
    """Draw how a column is distributed over the particles inside: of one layer in the colours that it gives them."""
    values = [_inside(one.found, column) for one in shown]
    axes.set(xlabel=name_of(column, shown[0].found.unit), ylabel="particles inside")
    if not sum(map(len, values)):
        return _say(axes, "no particle is far enough inside")
    edges = _edges(np.concatenate(values), column)
    if len(shown) > 1:
        axes.set(ylabel="part of the particles inside")
        centres = np.concatenate([[2 * edges[0] - edges[1], *edges[:-1]], [edges[-1]]]) + (edges[1] - edges[0]) / 2
        for one, its_values in zip(shown, values, strict=True):
            counts = np.histogram(its_values, edges)[0] / max(len(its_values), 1)
            axes.plot(centres, [0.0, *counts, 0.0], drawstyle="steps-mid", label=one.name)
        axes.set_ylim(bottom=0)
        axes.legend()
        return axes
    counts, _ = np.histogram(values[0], edges)
    centres = (edges[:-1] + edges[1:]) / 2
    low, high = column_limits(shown[0].found.particles, column)
    colours = LinearSegmentedColormap.from_list(column, CONFIDENCE_COLOURS)((centres - low) / (high - low))
    axes.bar(centres, counts, width=np.diff(edges) * (0.9 if column in WHOLE else 1.0), color=colours)
    return axes


def _inside(found: Structure, column: str) -> Array:
    values = found.inside[column].to_numpy(dtype=float)
    return values[np.isfinite(values)]


def _edges(values: Array, column: str) -> Array:
    """Return the edges of the bins; of whole numbers, one bin each."""
    if column in WHOLE:
        return np.arange(values.min() - 0.5, values.max() + 1.0)
    return np.histogram_bin_edges(values, min(_MAX_BINS, round(_BINS_PER_ROOT * len(values) ** 0.5)))


def plot_over_time(shown: Sequence[Shown], quantity: str, axes: Axes) -> Axes:
    """Draw one of `OVER_TIME` against time, with standard errors; of one layer, the mean over frames as a line."""
    series = [(one, one.found.by_frame) for one in shown if one.found.by_frame is not None]
    if not series:
        return _say(axes, "a time series is needed")
    seconds = all(one.frame_interval is not None for one, _ in series)
    axes.set(xlabel="time (s)" if seconds else "frame", ylabel=OVER_TIME[quantity])
    if not any(table[quantity].notna().any() for _, table in series):
        return _say(axes, "no particle is far enough inside")
    for one, table in series:
        frame, value, error = table[["frame", quantity, f"{quantity}_err"]].to_numpy(dtype=float).T
        time = frame * ((one.frame_interval or 1.0) if seconds else 1.0)
        axes.errorbar(time, value, error, fmt="o-", markersize=3, elinewidth=0.7, label=one.name)
    if len(series) == 1:
        axes.axhline(series[0][1][quantity].mean(), color="0.5", linestyle="--", zorder=1, label="mean")
    axes.legend()
    return axes


def plot_nothing(axes: Axes) -> Axes:
    """Say that there is nothing to draw yet."""
    axes.set(xticks=[], yticks=[])
    return _say(axes, "not measured yet")


def _frame(axes: Axes, xlabel: str, ylabel: str) -> None:
    """Dress the axes of a curve that tends to 1."""
    axes.axhline(1.0, color="0.5", linewidth=0.8, linestyle="--", zorder=1)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.set(xlabel=xlabel, ylabel=ylabel)


def _reach(axes: Axes, value: float) -> None:
    """Let the axes reach a value."""
    axes.set_ylim(top=max(axes.get_ylim()[1], 1.05 * value))


def _say(axes: Axes, text: str) -> Axes:
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes)
    return axes


def name_of(column: str, unit: str = "") -> str:
    """Return how a column is called, with its unit where it has one."""
    name = column.replace("_", " ").replace("voronoi", "Voronoi")
    return f"{name} ({unit_symbol(unit)}³)" if unit and column == "voronoi_volume" else name
