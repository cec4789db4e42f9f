"""Several pair correlation functions of the same sample, by name: of classes of particles, or along directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.jsonable import jsonable
from napari_colloids.plotting import axes_or_new, unit_symbol
from napari_colloids.structure.pair_correlation import PairCorrelation

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from napari_colloids.structure.pair_counts import PairCounts

    Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PairCorrelations:
    """Pair correlation functions of the same sample, at the same distances.

    Attributes
    ----------
    parts
        By name.

    See Also
    --------
    partial_pair_correlation, directional_pair_correlation : Compute them.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_colloids.structure import PairCorrelation, PairCorrelations
    >>> r, flat = np.array([0.5, 1.5]), np.zeros(2)
    >>> found = PairCorrelations({"small-small": PairCorrelation(r, flat + 1, "um", flat)})
    >>> found["small-small"].g
    array([1., 1.])
    >>> list(found.to_frame().columns)
    ['r', 'g small-small', 'error small-small']
    """

    parts: Mapping[str, PairCorrelation]

    def __getitem__(self, name: str) -> PairCorrelation:
        return self.parts[name]

    def __repr__(self) -> str:
        return "PairCorrelations(\n" + "".join(f"    {name}: {part}\n" for name, part in self.parts.items()) + ")"

    def to_frame(self) -> pd.DataFrame:
        """Return a table: the distance ``r``, and ``g NAME`` and ``error NAME`` of each part."""
        import pandas as pd

        columns = {"r": next(iter(self.parts.values())).r}
        for name, part in self.parts.items():
            columns |= {f"g {name}": part.g, f"error {name}": part.error}
        return pd.DataFrame(columns)

    def as_dict(self) -> dict[str, object]:
        """Return ``r``, ``g`` and ``error`` of each part by its name, as lists; NaN becomes None."""
        return {name: jsonable({"r": part.r, "g": part.g, "error": part.error}) for name, part in self.parts.items()}

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw g(r) of all parts with their standard errors.

        Parameters
        ----------
        ax
            Axes to draw on; None makes a new figure.

        Returns
        -------
        matplotlib.axes.Axes
        """
        ax = axes_or_new(ax)
        for name, part in self.parts.items():
            (line,) = ax.plot(part.r, part.g, label=name)
            ax.fill_between(
                part.r, part.g - part.error, part.g + part.error, color=line.get_color(), alpha=0.3, linewidth=0
            )
        ax.axhline(1.0, color="0.5", linewidth=0.8, linestyle="--", zorder=1)
        ax.set_xlim(left=0)
        ax.set_ylim(bottom=0)
        ax.set_xlabel(f"r ({unit_symbol(next(iter(self.parts.values())).unit)})")
        ax.set_ylabel("g(r)")
        ax.legend(frameon=False, labelcolor="linecolor")
        return ax


def pair_correlations(
    names: list[str], edges: Array, counts: PairCounts, expected: Array, unit: str
) -> PairCorrelations:
    """Return g(r) of each part from counted pairs.

    Parameters
    ----------
    names
        Of the parts.
    edges
        Of the bins, shape ``(bins + 1,)``, in `unit`.
    counts
        Of shape ``(parts, bins)``, as is `expected`: the counts of an ideal gas. Where this is 0, g is NaN.
    """
    r = (edges[:-1] + edges[1:]) / 2
    some = np.where(expected > 0, expected, np.nan)
    g, error = counts.sums / some, np.sqrt(counts.squares) / some
    return PairCorrelations({name: PairCorrelation(r, g[k], unit, error[k]) for k, name in enumerate(names)})
