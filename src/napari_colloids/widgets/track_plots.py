"""Plots of the Track dock: each quantity of the dynamics against the lag, corrected and as measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_colloids.dynamics.displacement import log_axis
from napari_colloids.plotting import unit_symbol

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

    from napari_colloids.dynamics import CoherentScattering, Diffusion, Relaxation

_BAND_ALPHA = 0.25


@dataclass(frozen=True)
class Quantity:
    """A quantity of the dynamics: how it is called, what it is, and the label of its axis.

    Attributes
    ----------
    name
        In a list to choose from.
    tip
        What it is, in a sentence or two.
    axis
        Makes the label of the axis of the result that has it.
    mark
        Value that is marked by a line.
    """

    name: str
    tip: str
    axis: Callable[[Any], str]
    mark: float | None = None


#: By the name of the attribute; what has errors has them as ``<name>_err``, and is as measured in ``<name>_raw``.
QUANTITIES = {
    "msd": Quantity(
        "MSD",
        "Mean squared displacement, in µm², or px² (lateral voxels) where the voxel size is unknown; the line is 6 D t "
        "plus what the localisation error adds.",
        lambda found: f"MSD ({unit_symbol(found.unit)}²)",
    ),
    "fs": Quantity(
        "F_s(q, t)",
        "Self-intermediate scattering function: the mean of cos(q Δx). It falls to 1/e, the dotted line, at the "
        "relaxation time.",
        lambda found: f"F_s(q = {found.q:.3g} /{unit_symbol(found.unit)}, t)",
        mark=float(np.exp(-1)),
    ),
    "f_coherent": Quantity(
        "F(q, t) / S(q)",
        "Coherent intermediate scattering function: how long density waves of this length last, of all particles "
        "together. It needs no links, so that it does not lose those that move far.",
        lambda found: f"F(q, t) / S(q), q = {found.q:.3g} /{unit_symbol(found.unit)}",
        mark=float(np.exp(-1)),
    ),
    "overlap": Quantity(
        "overlap Q",
        "Fraction of the particles that have moved by less than a.",
        lambda found: f"overlap Q (a = {found.overlap_distance:.3g} {unit_symbol(found.unit)})",
    ),
    "chi4": Quantity(
        "χ₄",
        "Four-point susceptibility: N times the variance of the overlap over starting times, which grows where many "
        "particles move together.",
        lambda found: "χ₄",
    ),
    "alpha2": Quantity(
        "α₂",
        "Non-Gaussian parameter of the displacements: 0 for free diffusion, above it where some move much farther.",
        lambda found: "α₂",
        mark=0.0,
    ),
    "survivors": Quantity(
        "survivors",
        "Fraction of the particles that are still tracked after the lag. Where it falls, fast ones are lost first.",
        lambda found: "fraction still tracked",
    ),
}


def plot_quantity(found: Relaxation | CoherentScattering, name: str, fit: Diffusion | None, axes: Axes) -> Axes:
    """Draw a quantity with its errors as a band, beside the same as measured where these differ.

    Parameters
    ----------
    found
        The relaxation, or the coherent function for that.
    name
        Of `QUANTITIES`.
    fit
        Line to draw over the mean squared displacement, or None.
    axes
        To draw on.
    """
    lag = found.lag.astype(float) if found.lag_s is None else found.lag_s
    value, raw = getattr(found, name), getattr(found, f"{name}_raw", None)
    error = getattr(found, f"{name}_err", None)
    quantity, logarithmic = QUANTITIES[name], name == "msd"
    axes.set(xlabel=f"lag ({'frames' if found.lag_s is None else 's'})", ylabel=quantity.axis(found))
    if not len(lag):
        return axes
    log_axis(axes, "x")
    axes.set_xlim(lag[0] / 1.1, lag[-1] * 1.1)
    # Where errors are known, what does not change with them is drawn as corrected, too.
    changing = "msd" if hasattr(found, "msd") else name
    corrected = raw is not None and not np.array_equal(getattr(found, changing), getattr(found, f"{changing}_raw"))
    seen = np.isfinite(value) & ((value > 0) | (not logarithmic))
    if logarithmic and (value[seen].size or (raw is not None and np.any(raw > 0))):
        log_axis(axes, "y")
    (line,) = axes.plot(lag[seen], value[seen], "o-", markersize=3, label="corrected" if corrected else "as measured")
    if error is not None:
        low, high = value[seen] - error[seen], value[seen] + error[seen]
        if logarithmic:  # a band that reaches 0 has no end
            low = np.where(low > 0, low, value[seen])
        axes.fill_between(lag[seen], low, high, color=line.get_color(), alpha=_BAND_ALPHA, linewidth=0)
    if raw is not None and corrected:
        axes.plot(lag, raw, "--", label="as measured")
    if fit is not None:
        straight = fit.slope * lag + fit.intercept
        label = f"D = {fit.coefficient:.3g} {unit_symbol(fit.unit)}"
        axes.plot(lag[straight > 0], straight[straight > 0], "-", label=label)
    if quantity.mark is not None:
        axes.axhline(quantity.mark, color="0.5", linestyle=":")
    if corrected or fit is not None:
        axes.legend()
    return axes
