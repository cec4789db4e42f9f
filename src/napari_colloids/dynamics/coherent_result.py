"""Coherent intermediate scattering function as a result: a curve against the lag, and its picture."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from napari_colloids.dynamics.relaxation_result import relaxation_time
from napari_colloids.plotting import axes_or_new, unit_symbol

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class CoherentScattering:
    r"""Coherent intermediate scattering function against the lag.

    With the density :math:`\rho_{\mathbf{q}}(t) = \sum_j e^{-i \mathbf{q} \cdot \mathbf{r}_j(t)}` of :math:`N`
    particles:

    .. math::

        \frac{F(q, \tau)}{S(q)} = \frac{\langle \rho_{\mathbf{q}}(t + \tau) \rho_{\mathbf{q}}^*(t) \rangle}
        {\langle |\rho_{\mathbf{q}}(t)|^2 \rangle}, \qquad
        S(q) = \frac{1}{N} \langle |\rho_{\mathbf{q}}(t)|^2 \rangle

    Attributes
    ----------
    lag
        Lags in frames, shape ``(L,)`` as all that follow.
    lag_s
        The same in seconds; None where the frame interval is unknown.
    f_coherent, f_coherent_raw, f_coherent_err
        F(q, lag) / S(q) corrected for the localisation errors, as measured (``raw``), and the standard error of the
        corrected one. NaN where errors explain all of S(q).
    count
        Number of pairs of frames.
    structure_factor, structure_factor_raw
        S(q), corrected and as measured.
    q
        Wave number in 1/`unit`.
    waves
        Number of wave vectors of this length that are averaged.
    lowest
        q from which on the window holds two wavelengths: below it the curve is that of the window, too.
    unit
        ``"um"``, or ``"px"`` for lateral voxels.
    axes
        Axes along which wave vectors lie: letters of ``"zyx"``.
    notices
        What the user should know.

    See Also
    --------
    coherent_scattering : Computes it.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_colloids import particle_table
    >>> from napari_colloids.dynamics import coherent_scattering
    >>> places = np.random.default_rng(0).random((500, 3)) * 30
    >>> still = particle_table(np.tile(places, (3, 1)), frame=np.repeat([0, 1, 2], 500))
    >>> coherent_scattering(still, q=2.0)
    CoherentScattering(2 lags up to 2 frames, q = 2 /px, S = 0.97, F/S from 1 to 1)
    """

    lag: Numbers
    lag_s: Array | None
    f_coherent: Array
    f_coherent_raw: Array
    f_coherent_err: Array
    count: Numbers
    structure_factor: float
    structure_factor_raw: float
    q: float
    waves: int
    lowest: float
    unit: str
    axes: str
    notices: list[str]

    def __repr__(self) -> str:
        if len(self.lag) == 0:
            return "CoherentScattering(no lags)"
        return (
            f"CoherentScattering({len(self.lag)} lags up to {self.lag[-1]} frames, q = {self.q:.3g} "
            f"/{unit_symbol(self.unit)}, S = {self.structure_factor:.3g}, F/S from {self.f_coherent[0]:.3g} to "
            f"{self.f_coherent[-1]:.3g})"
        )

    @property
    def tau(self) -> float | None:
        """Lag in frames at which F/S falls to 1/e; None where it is not reached."""
        return relaxation_time(self.lag, self.f_coherent)

    def to_frame(self) -> pd.DataFrame:
        """Return a table with one row a lag."""
        every = {one.name: getattr(self, one.name) for one in fields(self)}
        table = pd.DataFrame({name: value for name, value in every.items() if isinstance(value, np.ndarray)})
        table.attrs["unit"] = self.unit
        return table

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw F/S against the lag, with a dashed line at 1/e.

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
        drawn.errorbar(time, self.f_coherent, self.f_coherent_err, fmt="o-", markersize=4, label="F/S")
        drawn.axhline(np.exp(-1), color="0.5", linewidth=0.8, linestyle="--")
        if len(self.lag):  # an empty axis has no range for a logarithm
            drawn.set_xscale("log")
        drawn.set_xlabel(f"lag ({'frames' if self.lag_s is None else 's'})")
        drawn.set_ylabel(f"F(q, t) / S(q), q = {self.q:.3g} /{unit_symbol(self.unit)}")
        return drawn
