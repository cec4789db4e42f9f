"""What was measured of the structure of a sample, with the intervals that errors leave, in words and as numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from napari_colloids.interval import NORMAL_QUANTILE, Interval
from napari_colloids.jsonable import jsonable
from napari_colloids.plotting import unit_symbol

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from napari_colloids.structure.pair_correlation import PairCorrelation
    from napari_colloids.structure.structure_factor import StructureFactor

Value = TypeVar("Value", float, "NDArray[np.float64]")

#: Columns of which averages are given.
AVERAGED = ("neighbours", "q4", "q6", "w6", "q4_averaged", "q6_averaged", "crystalline", "tetrahedrality")


@dataclass(frozen=True, eq=False)
class Structure:
    """Structure of a sample.

    Attributes
    ----------
    particles
        The table with the columns of `local_structure`.
    g
        Pair correlation function.
    s
        Static structure factor.
    volume_fraction
        None where no radius and no diameter is known.
    excess_entropy
        Two-body excess entropy per particle over the Boltzmann constant.
    diameter
        Mean diameter in `unit`: given, of the radii, or the distance of neighbours; NaN where there is none of these.
    density
        Particles per cubic `unit`.
    unit
        ``"um"``, or ``"px"`` for lateral voxels.
    notices
        What the user should know.
    errors
        Standard errors of `figures` from the scatter between eight parts of the window; of the spread of the Voronoi
        volumes from their number.
    again
        The structures of these particles with their errors (localisation errors, missed and false particles) made once
        and twice more, from which `bands` are; none where no errors are known.
    by_frame
        What `structure_by_frame` returns, where there are several frames.

    See Also
    --------
    measure_structure : Makes one.

    Examples
    --------
    >>> import napari_colloids as nc
    >>> simulated = nc.simulate(shape=(40, 40, 40), volume_fraction=0.3, radius=4, seed=1)
    >>> result = nc.measure_structure(simulated.particles, shape=simulated.stack.shape)
    >>> result.unit, result.volume_fraction.low < 0.3 < result.volume_fraction.high
    ('px', True)
    >>> result.notices[0]
    'Only 0 of 68 particles lie so far inside ... the window is small.'
    """

    particles: pd.DataFrame
    g: PairCorrelation
    s: StructureFactor
    volume_fraction: Interval | None
    excess_entropy: float
    diameter: float
    density: float
    unit: str
    notices: tuple[str, ...]
    errors: dict[str, float]
    again: tuple[Structure, ...] = ()
    by_frame: pd.DataFrame | None = None

    @property
    def inside(self) -> pd.DataFrame:
        """The particles far enough from the faces for all their columns to be trusted."""
        return self.particles[self.particles["interior"] == 1]

    def averages(self) -> dict[str, float]:
        """Return means over the particles inside; NaN where there are none."""
        inside = self.inside
        return {name: float(inside[name].mean()) if len(inside) else float("nan") for name in AVERAGED}

    def figures(self) -> dict[str, float]:
        """Return `averages`, and the standard deviation of the Voronoi volumes inside over their mean."""
        volumes = self.inside["voronoi_volume"]
        spread = float(volumes.std() / volumes.mean()) if len(volumes) > 1 else float("nan")
        return {**self.averages(), "voronoi_spread": spread}

    def bands(self) -> dict[str, Interval]:
        r"""Return `figures` with the intervals that errors and the window leave.

        A figure :math:`x_0` that becomes :math:`x_1` and :math:`x_2` where the same errors are made once and twice more
        was about :math:`2 x_0 - x_1` before they were made, if it changes in proportion to their variance, and about
        :math:`3 x_0 - 3 x_1 + x_2`, if there is a term of second order, too [1]_. The interval holds all three, and
        1.96 standard errors beyond them. Where no errors are known, these are all of it.

        References
        ----------
        .. [1] Cook and Stefanski, "Simulation-extrapolation estimation in parametric measurement error models",
           J. Am. Stat. Assoc. 89, 1314 (1994).
        """
        here, again = self.figures(), [other.figures() for other in self.again]
        return {
            name: Interval.around(value, _before(value, *(other[name] for other in again)), self.errors[name])
            for name, value in here.items()
        }

    def g_band(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the lower and the upper end of the interval of g(r), as those of `bands`, at each distance."""
        again = [np.interp(self.g.r, other.g.r, other.g.g) for other in self.again]
        ends = np.array([self.g.g, *_before(self.g.g, *again)])
        error = NORMAL_QUANTILE * self.g.error
        return np.maximum(ends.min(axis=0) - error, 0.0), ends.max(axis=0) + error

    def plot_pair_correlation(self, ax: Axes | None = None) -> Axes:
        """Draw g(r) with its standard error and, paler, the interval of `g_band` where errors are known.

        Parameters
        ----------
        ax
            Axes to draw on; None makes a new figure.

        Returns
        -------
        matplotlib.axes.Axes
        """
        ax = self.g.plot(ax)
        if self.again:
            ax.fill_between(self.g.r, *self.g_band(), color=ax.lines[0].get_color(), alpha=0.15, linewidth=0)
        return ax

    def __repr__(self) -> str:
        return "Structure(" + "\n          ".join(self.lines()) + ")"

    def lines(self) -> list[str]:
        """Return what was measured in words, a line each."""
        unit = unit_symbol(self.unit)
        means = self.averages()
        peak = int(np.argmax(self.g.g))
        q, s = self.s.peak
        fraction = "unknown without a radius" if self.volume_fraction is None else repr(self.volume_fraction)
        lines = [
            f"{len(self.particles)} particles of diameter {self.diameter:.3g} {unit}, {len(self.inside)} of them so "
            "far inside that their order is that of the bulk",
            f"Volume fraction: {fraction}",
            f"g(r): highest {self.g.g[peak]:.3g} at {self.g.r[peak]:.3g} {unit}",
            f"S(q): highest {s:.3g} at {q:.3g}/{unit}; trusted from {self.s.lowest:.3g}/{unit} on",
            f"Two-body excess entropy: {self.excess_entropy:.3g} k_B",
        ]
        if len(self.inside):
            bands = self.bands()
            lines += [
                f"Inside, on average: {means['neighbours']:.2f} neighbours, q4 {means['q4']:.3f}, "
                f"q6 {means['q6']:.3f}, w6 {means['w6']:.4f}, averaged q6 {bands['q6_averaged']}, "
                f"{means['crystalline']:.0%} crystalline",
                f"Voronoi volumes inside scatter by {bands['voronoi_spread']} of their mean",
            ]
        return lines

    def as_dict(self) -> dict[str, object]:
        """Return the figures as plain numbers, lists and dicts; NaN becomes None."""
        figures = {
            "g": {
                **{"r": self.g.r, "g": self.g.g, "error": self.g.error},
                **dict(zip(("low", "high"), self.g_band(), strict=True)),
            },
            "s": {
                **{"q": self.s.q, "s": self.s.s, "direct": self.s.direct, "direct_error": self.s.error},
                "lowest_q": self.s.lowest,
            },
            "volume_fraction": self.volume_fraction,
            "interior": len(self.inside),
            "unit": self.unit,
            "particles": len(self.particles),
            "density": self.density,
            "diameter": self.diameter,
            "excess_entropy": self.excess_entropy,
            "inside": self.averages(),
            "bands": {name: band.as_dict() for name, band in self.bands().items()},
            "notices": self.notices,
            "by_frame": None if self.by_frame is None else self.by_frame.to_dict("list"),
        }
        return {name: jsonable(value) for name, value in figures.items()}

    def record(self) -> dict[str, object]:
        """Return the figures as `as_dict` does, without the curves: for the note beside a table."""
        return {name: figure for name, figure in self.as_dict().items() if name not in ("g", "s")}

    def to_json(self) -> str:
        """Return the figures as one JSON object."""
        return json.dumps(self.as_dict())


def _before(here: Value, *again: Value) -> tuple[Value, ...]:
    """Return what a figure was before errors that were then made once and twice more, in first and second order."""
    if not again:
        return ()
    once, twice = again
    return 2 * here - once, 3 * here - 3 * once + twice
