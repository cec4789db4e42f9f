"""Self part of the van Hove function: the distribution of the displacements over a lag.

References
----------
van Hove, Phys. Rev. 95, 249 (1954).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.dynamics.sampling import displacements
from napari_colloids.dynamics.time_lags import checked_lags
from napari_colloids.dynamics.tracks import checked_axes, checked_tracks
from napari_colloids.errors import ColloidsError
from napari_colloids.plotting import axes_or_new, unit_symbol
from napari_colloids.settings import check_value
from napari_colloids.stack import checked_frame_interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

#: Reach of the default range, in root mean squares of the displacements of the longest lag along an axis.
_REACH_SIGMAS = 5.0
#: Pairs of frames of a lag, at most.
_MAX_ORIGINS = 100
#: Volume within a distance of 1 in one, two and three dimensions.
_BALL = (2.0, np.pi, 4 / 3 * np.pi)


@dataclass(frozen=True, eq=False)
class VanHove:
    r"""Self part of the van Hove function: the probability density of displacements over a lag.

    .. math::

        G_s(x, \tau) = \left\langle \delta(x - \Delta x_i(\tau)) \right\rangle, \qquad
        G_s(r, \tau) = \left\langle \delta(\mathbf{r} - \Delta\mathbf{r}_i(\tau)) \right\rangle

    Attributes
    ----------
    distance
        Centres of the bins in `unit`, shape ``(B,)``: :math:`x`, or :math:`r` where it is radial.
    g
        Density, shape ``(L, B)``: in 1/`unit`, or radial in 1/`unit` to the power of the number of axes.
    lag
        Lags in frames, shape ``(L,)``.
    lag_s
        The same in seconds; None where the frame interval is unknown.
    variance
        Mean square of the displacements along an axis, in `unit` squared, shape ``(L,)``.
    error_variance
        Part of it that comes from localisation errors, shape ``(L,)``; None where these are unknown.
    count
        Number of values of each lag, shape ``(L,)``.
    unit
        ``"um"``, or ``"px"`` for lateral voxels.
    axes
        Axes along which displacements are taken.
    radial
        Whether it is of the lengths of displacements.

    See Also
    --------
    van_hove : Computes it.

    Examples
    --------
    >>> from napari_colloids import particle_table
    >>> from napari_colloids.dynamics import van_hove
    >>> tracks = particle_table([[5, 5, 0], [5, 5, 1], [5, 5, 2]], frame=[0, 1, 2], particle=[0, 0, 0])
    >>> van_hove(tracks, lags=[1, 2], axes="x", bins=5, max_distance=2.5)
    VanHove(lags 1, 2 frames, 5 distances up to 2 px)
    """

    distance: Array
    g: Array
    lag: NDArray[np.int64]
    lag_s: Array | None
    variance: Array
    error_variance: Array | None
    count: NDArray[np.int64]
    unit: str
    axes: str
    radial: bool

    def __repr__(self) -> str:
        lags = ", ".join(map(str, self.lag.tolist()))
        return (
            f"VanHove(lags {lags} frames, {len(self.distance)} distances up to {self.distance[-1]:.4g} "
            f"{unit_symbol(self.unit)})"
        )

    def gaussian(self) -> Array:
        """Return the Gaussian densities of the same variance, shape ``(L, B)``: what free diffusion would have."""
        variance = self.variance[:, None]
        power = len(self.axes) if self.radial else 1
        return np.asarray(
            np.exp(-(self.distance**2) / (2 * variance)) / (2 * np.pi * variance) ** (power / 2), dtype=np.float64
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the densities on a logarithmic axis, and dashed the Gaussians of the same variance.

        Parameters
        ----------
        ax
            Axes to draw on; None makes a new figure.

        Returns
        -------
        matplotlib.axes.Axes
        """
        drawn = axes_or_new(ax)
        times = [f"{lag} frames" for lag in self.lag] if self.lag_s is None else [f"{lag:.3g} s" for lag in self.lag_s]
        for density, normal, time in zip(self.g, self.gaussian(), times, strict=True):
            seen = density > 0  # on a logarithmic axis
            (line,) = drawn.plot(self.distance[seen], density[seen], "o", markersize=3, label=time)
            within = seen & (normal > density[seen].min() / 10)
            drawn.plot(self.distance[within], normal[within], "--", linewidth=0.8, color=line.get_color())
        drawn.set_yscale("log")
        power = len(self.axes) if self.radial else 1
        drawn.set_xlabel(f"{'r' if self.radial else 'x'} ({unit_symbol(self.unit)})")
        drawn.set_ylabel(f"G_s (1/{unit_symbol(self.unit)}{('', '', '²', '³')[power]})")
        if ax is None:
            drawn.legend()
        return drawn


def van_hove(
    tracks: pd.DataFrame,
    lags: Iterable[int] | int = 1,
    *,
    radial: bool = False,
    axes: str = "zyx",
    bins: int = 101,
    max_distance: float | None = None,
    errors: Sequence[float] | None = None,
    subtract_drift: bool = False,
    frame_interval: float | None = None,
    voxel_size: Sequence[float] | None = None,
) -> VanHove:
    r"""Return the self part of the van Hove function [1]_, the distribution of displacements, at some lags.

    Parameters
    ----------
    tracks
        Particle table with ``frame`` and ``particle``, as `link` returns it. Channels are averaged together.
    lags
        In frames.
    radial
        Whether to take the lengths of displacements; otherwise the displacements along the axes, all in one histogram.
    axes
        Axes along which displacements are taken: ``"yx"`` leaves out z, where the errors are largest.
    bins
        Number of bins.
    max_distance
        Largest distance, in lateral voxels; None takes five times the root mean square displacement along an axis at
        the longest lag. Displacements beyond it count in the norm: the integral is the fraction within.
    errors, subtract_drift, frame_interval, voxel_size
        As in `relaxation`.

    Returns
    -------
    VanHove

    Raises
    ------
    ColloidsError
        If the table is not linked, a lag does not occur, or an argument makes no sense.

    See Also
    --------
    relaxation : Its moments and Fourier transform, corrected for localisation errors.

    Notes
    -----
    Localisation errors blur it with a Gaussian of the variance `error_variance`; it is not deconvolved. Its Fourier
    transform along an axis is F_s, where the same Gaussian is a factor.

    References
    ----------
    .. [1] van Hove, "Correlations in space and time and Born approximation scattering in systems of interacting
       particles", Phys. Rev. 95, 249 (1954).

    Examples
    --------
    >>> import numpy as np
    >>> from napari_colloids import particle_table
    >>> from napari_colloids.dynamics import van_hove
    >>> steps = np.random.default_rng(0).normal(0, 0.5, (40, 1000, 3))
    >>> tracks = particle_table(
    ...     np.cumsum(steps, axis=0).reshape(-1, 3),
    ...     frame=np.repeat(np.arange(40), 1000),
    ...     particle=np.tile(np.arange(1000), 40),
    ... )
    >>> found = van_hove(tracks, [1, 4], bins=41)
    >>> print(np.round(found.variance, 2), np.round(found.g[:, 20] / found.gaussian()[:, 20], 1))
    [0.25 1.  ] [1. 1.]
    """
    seconds = checked_frame_interval(frame_interval)
    places, wanted = checked_axes(axes), checked_lags(lags)
    check_value("radial", radial, bool)
    check_value("bins", bins, int, low=1)
    check_value("max_distance", max_distance, float | None)
    if max_distance is not None and max_distance <= 0:
        raise ColloidsError("max_distance must be a positive length.")
    moving = checked_tracks(tracks, voxel_size=voxel_size, errors=errors, subtract_drift=subtract_drift)
    squares, blurs, moves = np.zeros(len(wanted)), np.zeros(len(wanted)), np.zeros(len(wanted), np.int64)
    for moved in displacements(moving, wanted, None, _MAX_ORIGINS):
        squares[moved.lag] += np.sum(moved.displacements[:, places] ** 2)
        moves[moved.lag] += len(moved.rows)
        if moved.variances is not None:
            blurs[moved.lag] += np.sum(moved.variances[:, places])
    if not moves.all():
        raise ColloidsError(f"No particle is tracked over {wanted[np.argmin(moves)]} frames: give lags that occur.")
    variance = squares / moves / len(places)
    reach = _REACH_SIGMAS * float(variance[-1]) ** 0.5
    if max_distance is not None:
        reach = max_distance * moving.scaling.lateral
    if not reach > 0:
        raise ColloidsError("No particle moves: give max_distance.")
    edges = np.linspace(0 if radial else -reach, reach, bins + 1)
    counts = np.zeros((len(wanted), bins))
    for moved in displacements(moving, wanted, None, _MAX_ORIGINS):
        along = moved.displacements[:, places]
        values = np.linalg.norm(along, axis=1) if radial else along.ravel()
        counts[moved.lag] += np.histogram(values, edges)[0]
    count = moves if radial else moves * len(places)
    widths = _BALL[len(places) - 1] * np.diff(edges ** len(places)) if radial else np.diff(edges)
    return VanHove(
        distance=(edges[:-1] + edges[1:]) / 2,
        g=counts / count[:, None] / widths,
        lag=wanted,
        lag_s=None if seconds is None else seconds * wanted.astype(np.float64),
        variance=variance,
        error_variance=None if moving.variances is None else blurs / moves / len(places),
        count=count,
        unit=moving.scaling.unit,
        axes="".join("zyx"[place] for place in places),
        radial=radial,
    )
