"""Diffusion coefficient and localisation error from the first lags of the mean squared displacement.

References
----------
Michalet, Phys. Rev. E 82, 041914 (2010): the slope of the first few lags, with the localisation error as the intercept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.dynamics.displacement import (
    FIT_LAGS,
    checked_unit,
    lag_column,
    plot_mean_squared_displacement,
)
from napari_colloids.errors import ColloidsError
from napari_colloids.plotting import unit_symbol
from napari_colloids.settings import check_value

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Diffusion:
    r"""Diffusion coefficient: a straight line through the first lags of the mean squared displacement.

    .. math::

        \mathrm{MSD}(\tau) = 6 D \tau + 6 \sigma^2

    Attributes
    ----------
    coefficient
        Diffusion coefficient :math:`D`: a sixth of the slope.
    slope, intercept
        Of the line.
    unit
        Of the coefficient: ``"um^2/s"``, ``"px^2/s"``, ``"um^2/frame"`` or ``"px^2/frame"``.
    msd
        The mean squared displacement that was fitted, from `mean_squared_displacement`.

    See Also
    --------
    diffusion_coefficient : Fits it.

    Notes
    -----
    For a single sphere of diameter :math:`d` in a solvent of viscosity :math:`\eta`, the Stokes-Einstein relation gives

    .. math::

        D_0 = \frac{k_B T}{3 \pi \eta d}.

    In dense suspensions hydrodynamic interactions and cages make :math:`D` smaller.

    Examples
    --------
    >>> import pandas as pd
    >>> from napari_colloids import diffusion_coefficient
    >>> msd = pd.DataFrame({"lag": [1, 2, 3], "lag_s": [0.5, 1.0, 1.5], "msd": [0.36, 0.66, 0.96]})
    >>> msd.attrs["unit"] = "um"
    >>> diffusion_coefficient(msd)
    Diffusion(D = 0.1 µm²/s, localisation error <= 0.1 µm per axis)
    """

    coefficient: float
    slope: float
    intercept: float
    unit: str
    msd: pd.DataFrame = field(compare=False)

    def __repr__(self) -> str:
        length = unit_symbol(self.unit.partition("^")[0])
        return (
            f"Diffusion(D = {self.coefficient:.4g} {unit_symbol(self.unit)}, "
            f"localisation error <= {self.localisation_error:.2g} {length} per axis)"
        )

    @property
    def localisation_error(self) -> float:
        r"""Localisation error :math:`\sigma`: standard deviation of a position along an axis, from the intercept.

        It is the root mean square over the three axes. It is an upper limit in crowded samples: cages bend the MSD, and
        a straight line through it has an intercept above 0 even where positions are exact (hard spheres of volume
        fraction 0.5 that would move by a fifth of their diameter from frame to frame: 0.04 diameters). Zero where the
        intercept is negative, which motion during the exposure, or chance, can bring about.
        """
        return float(np.sqrt(max(self.intercept, 0.0) / 6))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the mean squared displacement against the lag on logarithmic axes, and the fitted line.

        Parameters
        ----------
        ax
            Axes to draw on; None makes a new figure.

        Returns
        -------
        matplotlib.axes.Axes
        """
        drawn = plot_mean_squared_displacement(self.msd, ax)
        lag = self.msd[lag_column(self.msd)].to_numpy(dtype=float)
        line = self.slope * lag + self.intercept
        positive = line > 0  # on a logarithmic axis
        drawn.plot(lag[positive], line[positive], label=f"D = {self.coefficient:.3g} {unit_symbol(self.unit)}")
        if ax is None:
            drawn.legend()
        return drawn


def diffusion_coefficient(msd: pd.DataFrame, *, lags: int = FIT_LAGS) -> Diffusion:
    r"""Fit a diffusion coefficient and a localisation error to the first lags of the mean squared displacement.

    .. math::

        \mathrm{MSD}(\tau) = 6 D \tau + 6 \sigma^2

    Parameters
    ----------
    msd
        From `mean_squared_displacement`.
    lags
        How many of its first rows to fit.

    Returns
    -------
    Diffusion
        In seconds where `msd` has them, else in frames. Where crowding slows the motion, this is the coefficient over
        the fitted lags.

    Raises
    ------
    ColloidsError
        If it is no such table, or there are fewer than two lags.

    See Also
    --------
    mean_squared_displacement : Computes what is fitted.

    Notes
    -----
    A localisation error :math:`\sigma` of an axis adds :math:`2 \sigma^2` per axis to every lag [1]_, which a line
    through the origin would take for motion; it goes into the intercept instead, together with what crowding adds.

    References
    ----------
    .. [1] Michalet, "Mean square displacement analysis of single-particle trajectories with localization error:
       Brownian motion in an isotropic medium", Phys. Rev. E 82, 041914 (2010).

    Examples
    --------
    A random walk with steps of 0.2 micrometres along each axis, one a second: D is 0.02 in its units.

    >>> import numpy as np
    >>> from napari_colloids import diffusion_coefficient, mean_squared_displacement
    >>> from napari_colloids.particles import particle_table
    >>> steps = np.random.default_rng(0).normal(0, 2.0, (50, 100, 3))  # voxels of 0.1 micrometres
    >>> tracks = particle_table(
    ...     np.cumsum(steps, axis=0).reshape(-1, 3),
    ...     frame=np.repeat(np.arange(50), 100),
    ...     particle=np.tile(np.arange(100), 50),
    ... )
    >>> msd = mean_squared_displacement(tracks, frame_interval=1.0, voxel_size=(0.1, 0.1, 0.1))
    >>> diffusion = diffusion_coefficient(msd)
    >>> f"{diffusion.coefficient:.3f} {diffusion.unit}"
    '0.020 um^2/s'
    """
    unit = checked_unit(msd)
    check_value("lags", lags, int, low=2)
    first = msd.head(lags)
    if len(first) < 2:
        raise ColloidsError("A diffusion coefficient needs trajectories over at least three frames (two lags).")
    time = lag_column(msd)
    slope, intercept = np.polyfit(first[time].to_numpy(dtype=float), first["msd"].to_numpy(dtype=float), 1)
    per = "s" if time == "lag_s" else "frame"
    return Diffusion(float(slope) / 6, float(slope), float(intercept), f"{unit}^2/{per}", msd)
