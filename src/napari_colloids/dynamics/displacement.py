"""Mean squared displacement (MSD) of linked particles.

References
----------
Qian, Sheetz and Elson, Biophys. J. 60, 910 (1991): averages over overlapping time intervals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from napari_colloids.errors import ColloidsError
from napari_colloids.particles import check_particles, positions_of
from napari_colloids.plotting import axes_or_new, unit_symbol
from napari_colloids.settings import check_value
from napari_colloids.stack import checked_frame_interval
from napari_colloids.structure.inputs import require_columns
from napari_colloids.structure.scaling import scaling_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

#: Lags that a diffusion coefficient is fitted to; long enough series have at least these in their table. More of
#: them would add noise to the slope: their displacements overlap and are far from independent.
FIT_LAGS = 4


def mean_squared_displacement(
    tracks: pd.DataFrame,
    *,
    frame_interval: float | None = None,
    voxel_size: Sequence[float] | None = None,
    max_lag: int | None = None,
) -> pd.DataFrame:
    r"""Return the mean squared displacement (MSD) against the lag, averaged over particles and starting times.

    .. math::

        \mathrm{MSD}(\tau) =
        \left\langle \left| \mathbf{r}_i(t + \tau) - \mathbf{r}_i(t) \right|^2 \right\rangle_{i, t}

    Parameters
    ----------
    tracks
        Particle table with ``frame`` and ``particle``, as `link` returns it. Frames may be missing.
    frame_interval
        Seconds between frames, or None.
    voxel_size
        Micrometres ``(z, y, x)``; None takes what the table's columns in micrometres imply.
    max_lag
        Longest lag in frames; None takes half the series, or as many lags as are fitted.

    Returns
    -------
    pandas.DataFrame
        One row a lag that occurs: ``lag`` (frames), ``lag_s`` (seconds, where the frame interval is known), ``msd``,
        its parts ``msd_z, msd_y, msd_x``, and ``count``, the number of displacements averaged. ``attrs["unit"]`` is
        ``"um"`` (the MSD in micrometres squared) or ``"px"`` (lateral voxels squared).

    Raises
    ------
    ColloidsError
        If the table is not linked, a particle is twice in a frame, or the frame interval or lag is not positive.

    See Also
    --------
    link : Finds the trajectories.
    diffusion_coefficient : Fits the first lags.
    plot_mean_squared_displacement : Draws the table.

    Notes
    -----
    All overlapping time intervals are averaged, every displacement with the same weight. For trajectories of equal
    length without gaps this is ``trackpy.emsd``, which else weights them and gives wrong parts per axis where frames
    are missing.

    Free Brownian motion has an MSD proportional to the lag. In a dense suspension the MSD bends to a plateau while
    particles rattle in the **cage** of their neighbours, and rises again where they leave it.

    References
    ----------
    .. [1] Qian, Sheetz and Elson, "Single particle tracking", Biophys. J. 60, 910 (1991).

    Examples
    --------
    Two particles that move along x by 1 and 2 voxels a frame:

    >>> from napari_colloids import mean_squared_displacement
    >>> from napari_colloids.particles import particle_table
    >>> positions = [[5, 5, 1], [9, 9, 0], [5, 5, 2], [9, 9, 2], [5, 5, 3], [9, 9, 4]]
    >>> tracks = particle_table(positions, frame=[0, 0, 1, 1, 2, 2], particle=[0, 1, 0, 1, 0, 1])
    >>> msd = mean_squared_displacement(tracks)
    >>> print(msd[["lag", "msd", "count"]].to_string(index=False))
     lag  msd  count
       1  2.5      4
       2 10.0      2
    >>> msd.attrs["unit"]
    'px'
    """
    seconds = checked_frame_interval(frame_interval)
    require_columns(tracks, ("frame", "particle"), "link the particles of a time series first.")
    check_value("max_lag", max_lag, int | None, low=1, unit="frames")
    table = check_particles(tracks)
    scaling = scaling_of(table, voxel_size)
    frames = table["frame"].to_numpy(dtype=np.int64)
    span = int(np.ptp(frames)) if len(frames) else 0
    lags = np.arange(1, min(max_lag or max(span // 2, FIT_LAGS), span) + 1)
    # One number for each particle and frame: a lag later is the number plus the lag, and no other particle has it.
    key = pd.factorize(table["particle"])[0].astype(np.int64) * (2 * span + 1) + frames - frames.min(initial=0)
    order = np.argsort(key)
    key, positions = key[order], (positions_of(table) * scaling.scale)[order]
    if np.any(np.diff(key) == 0):
        raise ColloidsError("A particle is in the same frame twice: link the particles again.")
    rows = []
    for lag in lags:
        start, end = np.intersect1d(key + lag, key, assume_unique=True, return_indices=True)[1:]
        if len(start):
            axes = np.mean((positions[end] - positions[start]) ** 2, axis=0)
            rows.append((int(lag), float(axes.sum()), *axes.tolist(), len(start)))
    msd = pd.DataFrame(rows, columns=["lag", "msd", "msd_z", "msd_y", "msd_x", "count"])
    if seconds is not None:
        msd.insert(1, "lag_s", msd["lag"] * seconds)
    msd.attrs["unit"] = scaling.unit
    return msd


def plot_mean_squared_displacement(msd: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw a mean squared displacement against the lag, on logarithmic axes.

    Parameters
    ----------
    msd
        From `mean_squared_displacement`.
    ax
        Axes to draw on; None makes a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ColloidsError
        If it is no such table.

    See Also
    --------
    Diffusion.plot : Draws the fitted line as well.

    Examples
    --------
    >>> import pandas as pd
    >>> from napari_colloids.dynamics import plot_mean_squared_displacement
    >>> msd = pd.DataFrame({"lag": [1, 2], "lag_s": [0.5, 1.0], "msd": [0.02, 0.04]})
    >>> msd.attrs["unit"] = "um"
    >>> ax = plot_mean_squared_displacement(msd)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('lag (s)', 'MSD (µm²)')
    """
    unit = checked_unit(msd)
    time = lag_column(msd)
    ax = axes_or_new(ax)
    ax.set_xlabel(f"lag ({'s' if time == 'lag_s' else 'frames'})")
    ax.set_ylabel(f"MSD ({unit_symbol(unit)}²)")
    positive = msd["msd"].to_numpy(dtype=float) > 0
    if positive.any():  # an empty axis has no range for a logarithm
        log_axis(ax, "x")
        log_axis(ax, "y")
    ax.plot(msd[time][positive], msd["msd"][positive], "o", markersize=4, label="MSD")
    return ax


def lag_column(msd: pd.DataFrame) -> str:
    """Return the column of the lags: in seconds where they are known, else in frames."""
    return "lag_s" if "lag_s" in msd else "lag"


def checked_unit(msd: pd.DataFrame) -> str:
    """Return the unit of length of a table of mean squared displacements.

    Raises
    ------
    ColloidsError
        If it is no such table, or lacks its unit.
    """
    require_columns(msd, ("lag", "msd"), "give the table that mean_squared_displacement returns.")
    if "unit" not in msd.attrs:
        raise ColloidsError("The mean squared displacement has no unit: set attrs['unit'] to 'um' or 'px'.")
    return str(msd.attrs["unit"])


def log_axis(ax: Axes, which: Literal["x", "y"]) -> None:
    """Make an axis logarithmic, with ticks at 1, 2 and 5: a curve often spans less than a decade.

    Parameters
    ----------
    ax
        The axes.
    which
        ``"x"`` or ``"y"``.
    """
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullLocator

    ax.set(**{f"{which}scale": "log"})
    axis = ax.xaxis if which == "x" else ax.yaxis
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FormatStrFormatter("%.2g"))
    axis.set_minor_locator(NullLocator())
