"""Comparison of two detections of one stack: particles in both, in one alone, and how far apart they are."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import median_abs_deviation

from napari_colloids.jsonable import jsonable
from napari_colloids.particles import POSITION
from napari_colloids.plotting import axes_or_new
from napari_colloids.scoring.inputs import checked_aspect, checked_length, checked_positions
from napari_colloids.scoring.matching import match

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from napari_colloids.scoring.ranking import Mask


@dataclass(frozen=True, eq=False)
class Comparison:
    r"""Two detections of the same particles, neither of them the truth.

    With the displacements :math:`\Delta` of the particles that both have, along each axis,

    .. math::

        \text{offset} = \operatorname{median} \Delta, \qquad
        \text{spread} = 1.4826\, \operatorname{median} |\Delta - \text{offset}|

    Where the errors of the two are independent and alike, each of them is :math:`\text{spread} / \sqrt 2`; errors that
    they have in common do not show.

    Attributes
    ----------
    diameter, max_distance
        In lateral voxels; particles of the two that are at most `max_distance` apart are one.
    first_index, second_index
        Rows of the particles that both have, shape ``(common,)``.
    only_first, only_second
        Over the rows of either: what it alone has.
    displacement
        Second less first position of what both have, shape ``(common, 3)``: z, y, x in voxels.

    See Also
    --------
    compare : Computes it.
    score : Against the truth.

    Examples
    --------
    >>> from napari_colloids import compare
    >>> first = [[16, 16, 16], [16, 16, 30], [30, 16, 16]]
    >>> compare(first, [[16.5, 16, 16], [16.5, 16, 30.25]], diameter=8)
    Comparison(common = 2, only in the first = 1, only in the second = 0,
               of the first in the second: 66.7 %, of the second in the first: 100.0 %,
               offset (voxels): z 0.5, y 0, x 0.125; spread (voxels): z 0, y 0, x 0.185,
               greatest distance = 4 px)
    """

    diameter: float
    max_distance: float
    first_index: NDArray[np.intp]
    second_index: NDArray[np.intp]
    only_first: Mask
    only_second: Mask
    displacement: NDArray[np.float64]

    @property
    def common(self) -> int:
        """Number of particles that both have."""
        return len(self.first_index)

    @property
    def share_of_first(self) -> float:
        """Fraction of the first that the second has, too; NaN where there are none."""
        return self.common / len(self.only_first) if len(self.only_first) else np.nan

    @property
    def share_of_second(self) -> float:
        """Fraction of the second that the first has, too; NaN where there are none."""
        return self.common / len(self.only_second) if len(self.only_second) else np.nan

    @property
    def offset(self) -> dict[str, float]:
        """Median displacement along each axis in voxels: a shift of the one against the other."""
        return self._by_axis(_medians(self.displacement))

    @property
    def spread(self) -> dict[str, float]:
        """Robust standard deviation of the displacement along each axis in voxels."""
        if not self.common:
            return self.offset
        return self._by_axis(np.asarray(median_abs_deviation(self.displacement, axis=0, scale="normal")))

    @staticmethod
    def _by_axis(values: NDArray[np.float64]) -> dict[str, float]:
        return dict(zip(POSITION, values.tolist(), strict=True))

    def __repr__(self) -> str:
        offset, spread = (
            ", ".join(f"{axis} {value:.3g}" for axis, value in by.items()) for by in (self.offset, self.spread)
        )
        return (
            f"Comparison(common = {self.common}, only in the first = {int(self.only_first.sum())}, "
            f"only in the second = {int(self.only_second.sum())},\n"
            f"           of the first in the second: {100 * self.share_of_first:.1f} %, "
            f"of the second in the first: {100 * self.share_of_second:.1f} %,\n"
            f"           offset (voxels): {offset}; spread (voxels): {spread},\n"
            f"           greatest distance = {self.max_distance:g} px)"
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw histograms of the displacement along each axis.

        Parameters
        ----------
        ax
            Axes to draw on; None makes a new figure.

        Returns
        -------
        matplotlib.axes.Axes
        """
        drawn = axes_or_new(ax)
        for axis, values in zip(POSITION, self.displacement.T, strict=True):
            drawn.stairs(*np.histogram(values, bins="auto"), label=axis)
        drawn.set_xlabel("displacement (voxels)")
        drawn.set_ylabel("particles")
        drawn.legend(frameon=False, labelcolor="linecolor")  # on a dark background, too
        return drawn

    def as_dict(self) -> dict[str, object]:
        """Return the figures as plain numbers and dicts; NaN becomes None."""
        figures = {
            "common": self.common,
            "only_first": int(self.only_first.sum()),
            "only_second": int(self.only_second.sum()),
        }
        names = ("share_of_first", "share_of_second", "offset", "spread", "diameter", "max_distance")
        return {**figures, **{name: jsonable(getattr(self, name)) for name in names}}

    def to_json(self) -> str:
        """Return the figures as one JSON object."""
        return json.dumps(self.as_dict())


def compare(
    first: pd.DataFrame | ArrayLike,
    second: pd.DataFrame | ArrayLike,
    *,
    diameter: float,
    max_distance: float | None = None,
    voxel_size: Sequence[float] | None = None,
) -> Comparison:
    """Compare two detections of the particles of one stack: of two methods, thresholds or halves of the light.

    Particles of the two are matched one-to-one (`match`) within `max_distance`.

    Parameters
    ----------
    first, second
        Particle tables, or arrays of shape ``(N, 3)``: z, y, x in voxels of the same stack.
    diameter
        Particle diameter in lateral voxels.
    max_distance
        Greatest distance of a match in lateral voxels; half a diameter where None.
    voxel_size
        Edges of a voxel ``(z, y, x)`` in any unit; None as in `score`.

    Returns
    -------
    Comparison

    Raises
    ------
    ColloidsError
        If positions, diameter, distance or voxel size are not valid.

    See Also
    --------
    score : Figures of a detection against the truth.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_colloids import compare
    >>> grid = 10.0 * np.indices((4, 4, 4)).reshape(3, -1).T
    >>> compare(grid, grid[5:] + [0, 0, 1], diameter=8).offset["x"]
    1.0
    """
    diameter = checked_length(diameter)
    reach = diameter / 2 if max_distance is None else checked_length(max_distance, "greatest distance of a match")
    one, other = checked_positions(first, "The first table"), checked_positions(second, "The second table")
    scale = checked_aspect(voxel_size, first, second)
    matching = match(one * scale, other * scale, reach)
    pairs = matching.truth_index, matching.prediction_index
    alone = np.ones(len(one), bool), np.ones(len(other), bool)
    for mask, index in zip(alone, pairs, strict=True):
        mask[index] = False
    return Comparison(diameter, reach, *pairs, *alone, other[pairs[1]] - one[pairs[0]])


def _medians(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median of each column; NaN where there are no rows."""
    return np.median(values, axis=0) if len(values) else np.full(values.shape[1], np.nan)
