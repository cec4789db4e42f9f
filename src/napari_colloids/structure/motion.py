"""How far particles move: the mean squared displacement, and the diffusion coefficient from its slope.

References
----------
Qian, Sheetz and Elson, Biophys. J. 60, 910 (1991): averages over overlapping intervals.
Michalet, Phys. Rev. E 82, 041914 (2010): the slope of the first few lags, with the localisation error as the intercept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from napari_colloids.errors import ColloidsError
from napari_colloids.particles import check_particles, positions_of
from napari_colloids.stack import checked_frame_interval
from napari_colloids.structure.space import space_of

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Lags that the slope is fitted to. More of them add noise: their displacements overlap and are far from independent.
FIT_LAGS = 4


def mean_squared_displacement(
    tracks: pd.DataFrame,
    *,
    frame_interval: float | None = None,
    voxel_size: Sequence[float] | None = None,
    max_lag: int | None = None,
) -> pd.DataFrame:
    """Return the mean squared displacement (MSD) against the lag, over all particles and all starting times.

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
        its parts ``msd_z, msd_y, msd_x``, and ``count``, the displacements it is the mean of. ``attrs["unit"]`` is
        ``"um"`` (the MSD in micrometres squared) or ``"px"`` (lateral voxels squared).

    Raises
    ------
    ColloidsError
        If the table is not linked, a particle is twice in a frame, or the frame interval or lag is not positive.

    Notes
    -----
    Every displacement has the same weight. For trajectories of equal length without gaps this is ``trackpy.emsd``,
    which else weights them and gives wrong parts per axis where frames are missing.
    """
    seconds = checked_frame_interval(frame_interval)
    missing = [column for column in ("frame", "particle") if column not in tracks]
    if missing:
        raise ColloidsError(f"The table has no column '{missing[0]}': link the particles of a time series first.")
    if max_lag is not None and max_lag < 1:
        raise ColloidsError("max_lag must be one frame or more.")
    table = check_particles(tracks)
    space = space_of(table, voxel_size)
    frames = table["frame"].to_numpy(dtype=np.int64)
    span = int(np.ptp(frames)) if len(frames) else 0
    lags = np.arange(1, min(max_lag or max(span // 2, FIT_LAGS), span) + 1)
    # One number for each particle and frame: a lag later is the number plus the lag, and no other particle has it.
    key = pd.factorize(table["particle"])[0].astype(np.int64) * (2 * span + 1) + frames - frames.min(initial=0)
    order = np.argsort(key)
    key, positions = key[order], (positions_of(table) * space.scale)[order]
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
    msd.attrs["unit"] = space.unit
    return msd


@dataclass(frozen=True)
class Diffusion:
    """A straight line through the first lags of the mean squared displacement.

    Attributes
    ----------
    coefficient
        Diffusion coefficient: a sixth of the slope.
    slope, intercept
        Of the line.
    unit
        Of the coefficient: ``"um^2/s"``, ``"px^2/s"``, ``"um^2/frame"`` or ``"px^2/frame"``.
    """

    coefficient: float
    slope: float
    intercept: float
    unit: str

    @property
    def localisation_error(self) -> float:
        """Standard deviation of a position along an axis (root mean square of the three), as the intercept has it.

        An upper limit in crowded samples: neighbours bend the MSD, and a straight line through it has an intercept
        above 0 even where positions are exact (hard spheres of volume fraction 0.5 that would move by a fifth of their
        diameter from frame to frame: 0.04 diameters). Zero where the intercept is negative, which motion during the
        exposure, or chance, can bring about.
        """
        return float(np.sqrt(max(self.intercept, 0.0) / 6))


def diffusion_coefficient(msd: pd.DataFrame, *, lags: int = FIT_LAGS) -> Diffusion:
    """Fit ``MSD = 6 D t + intercept`` to the first lags.

    The localisation error ``s`` of an axis adds ``2 s^2`` per axis to every lag, which a line through the origin would
    take for motion; it goes into the intercept instead [Michalet 2010], together with what crowding adds.

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
        If there are fewer than two lags.
    """
    first = msd.head(lags)
    if len(first) < 2:
        raise ColloidsError("A diffusion coefficient needs trajectories over at least three frames (two lags).")
    time, per = ("lag_s", "s") if "lag_s" in msd else ("lag", "frame")
    slope, intercept = np.polyfit(first[time].to_numpy(dtype=float), first["msd"].to_numpy(dtype=float), 1)
    return Diffusion(float(slope) / 6, float(slope), float(intercept), f"{msd.attrs['unit']}^2/{per}")
