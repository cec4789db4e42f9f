"""Relaxation of a suspension as a result: curves against the lag, the relaxation time, and their picture."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from napari_colloids.plotting import axes_or_new, unit_symbol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Relaxation:
    r"""Relaxation of a suspension: averages over the displacements of its particles against the lag.

    With the displacement :math:`\Delta\mathbf{r}_i` of a particle over the lag :math:`\tau`, the number :math:`N` of
    particles that are tracked over it, and :math:`d` axes:

    .. math::

        \mathrm{MSD} &= \langle \Delta r^2 \rangle, \qquad
        F_s = \frac{1}{d} \sum_a \langle \cos(q \Delta x_a) \rangle, \qquad
        \alpha_2 = \frac{d \langle \Delta r^4 \rangle}{(d + 2) \langle \Delta r^2 \rangle^2} - 1, \\
        Q(t, \tau) &= \frac{1}{N} \sum_i \Theta(a - |\Delta\mathbf{r}_i|), \qquad
        \chi_4 = N \left( \langle Q^2 \rangle_t - \langle Q \rangle_t^2 \right)

    Attributes
    ----------
    lag
        Lags in frames, shape ``(L,)`` as all that follow.
    lag_s
        The same in seconds; None where the frame interval is unknown.
    msd, msd_raw, msd_err
        Mean squared displacement in `unit` squared: corrected for the localisation errors, as measured (``raw``), and
        the standard error of the corrected one; so for the following.
    fs, fs_raw, fs_err
        Self-intermediate scattering function, the mean over the axes.
    overlap, overlap_raw, overlap_err
        Mean overlap: the fraction of displacements that are shorter than `overlap_distance`.
    chi4, chi4_raw, chi4_err
        Four-point susceptibility of the overlap; NaN where fewer than two intervals fit into the series.
    alpha2, alpha2_raw, alpha2_err
        Non-Gaussian parameter; NaN where errors explain all of the mean squared displacement.
    survivors
        Fraction of the particles of the first frame of each pair that are tracked at the second.
    count
        Number of displacements.
    q
        Wave number in 1/`unit`.
    overlap_distance
        Distance :math:`a` in `unit`.
    unit
        ``"um"``, or ``"px"`` for lateral voxels.
    axes
        Axes along which displacements are taken: letters of ``"zyx"``.
    notices
        What the user should know.

    See Also
    --------
    relaxation : Computes it.

    Examples
    --------
    >>> from napari_colloids import particle_table, relaxation
    >>> positions = [[5, 5, x] for x in (0.0, 0.5, 2.0, 2.5)]
    >>> tracks = particle_table(positions, frame=[0, 1, 2, 3], particle=[0, 0, 0, 0])
    >>> relaxation(tracks, q=1.0, diameter=3)
    Relaxation(3 lags up to 3 frames, q = 1 /px, F_s from 0.87 to 0.4, tau_alpha not reached)
    """

    lag: Numbers
    lag_s: Array | None
    msd: Array
    msd_raw: Array
    msd_err: Array
    fs: Array
    fs_raw: Array
    fs_err: Array
    overlap: Array
    overlap_raw: Array
    overlap_err: Array
    chi4: Array
    chi4_raw: Array
    chi4_err: Array
    alpha2: Array
    alpha2_raw: Array
    alpha2_err: Array
    survivors: Array
    count: Numbers
    q: float
    overlap_distance: float
    unit: str
    axes: str
    notices: list[str]

    def __repr__(self) -> str:
        if len(self.lag) == 0:
            return "Relaxation(no lags)"
        tau = "not reached" if self.tau_alpha is None else f"= {self.tau_alpha:.3g} frames"
        if self.tau_alpha_s is not None:
            tau = f"= {self.tau_alpha_s:.3g} s"
        return (
            f"Relaxation({len(self.lag)} lags up to {self.lag[-1]} frames, q = {self.q:.3g} /{unit_symbol(self.unit)}, "
            f"F_s from {self.fs[0]:.3g} to {self.fs[-1]:.3g}, tau_alpha {tau})"
        )

    @property
    def tau_alpha(self) -> float | None:
        """Relaxation time in frames, at which the corrected F_s falls to 1/e; None where it is not reached."""
        return relaxation_time(self.lag, self.fs)

    @property
    def tau_alpha_s(self) -> float | None:
        """Relaxation time in seconds; None where it is not reached, or the frame interval is unknown."""
        if self.lag_s is None or self.tau_alpha is None:
            return None
        return self.tau_alpha * float(self.lag_s[0] / self.lag[0])

    def as_dict(self) -> dict[str, object]:
        """Return all attributes and the relaxation times by name; ``lag_s`` only where the interval is known."""
        found: dict[str, object] = {one.name: getattr(self, one.name) for one in fields(self)}
        found |= {"tau_alpha": self.tau_alpha}
        if self.lag_s is None:
            del found["lag_s"]
        else:
            found |= {"tau_alpha_s": self.tau_alpha_s}
        return found

    def to_frame(self) -> pd.DataFrame:
        """Return a table with one row a lag."""
        columns = {name: value for name, value in self.as_dict().items() if isinstance(value, np.ndarray)}
        table = pd.DataFrame(columns)
        table.attrs["unit"] = self.unit
        return table

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw F_s, the overlap and the survivors against the lag, with a dashed line at 1/e.

        Parameters
        ----------
        ax
            Axes to draw on; None makes a new figure.

        Returns
        -------
        matplotlib.axes.Axes
        """
        drawn = axes_or_new(ax)
        time = self.lag if self.lag_s is None else self.lag_s
        drawn.axhline(np.exp(-1), color="0.5", linewidth=0.8, linestyle="--")
        drawn.errorbar(time, self.fs, self.fs_err, fmt="o-", markersize=4, label="F_s")
        drawn.errorbar(time, self.overlap, self.overlap_err, fmt="s-", markersize=4, label="overlap")
        drawn.plot(time, self.survivors, color="0.5", label="survivors")
        if len(self.lag):  # an empty axis has no range for a logarithm
            drawn.set_xscale("log")
        drawn.set_xlabel(f"lag ({'frames' if self.lag_s is None else 's'})")
        drawn.set_ylabel(f"F_s(q = {self.q:.3g} /{unit_symbol(self.unit)}), overlap")
        if ax is None:
            drawn.legend()
        return drawn


def relaxation_time(lag: Sequence[float] | Array | Numbers, fs: Sequence[float] | Array) -> float | None:
    """Return the lag at which F_s falls to 1/e, interpolated in the logarithm of the lag.

    Parameters
    ----------
    lag, fs
        Lags, rising, and the scattering function there.

    Returns
    -------
    float or None
        In the unit of the lags; None where F_s stays above, or is below from the first lag on.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_colloids.dynamics import relaxation_time
    >>> lag = np.arange(1, 20)
    >>> print(f"{relaxation_time(lag, np.exp(-lag / 7.5)):.2f}")
    7.50
    """
    lags, values = np.asarray(lag, dtype=float), np.asarray(fs, dtype=float)
    below = np.flatnonzero(values <= np.exp(-1))
    if len(below) == 0 or below[0] == 0:
        return None
    before, after = values[below[0] - 1], values[below[0]]
    part = (before - np.exp(-1)) / (before - after)
    start, end = lags[below[0] - 1], lags[below[0]]
    return float(start * (end / start) ** part)
