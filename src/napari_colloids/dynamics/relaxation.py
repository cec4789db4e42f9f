"""Relaxation of a suspension from its trajectories: how long particles remember where they were.

References
----------
Lacevic, Starr, Schroder and Glotzer, J. Chem. Phys. 119, 7372 (2003): overlap and four-point susceptibility.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.dynamics.cages import shell_radius
from napari_colloids.dynamics.moments import averages, jackknife
from napari_colloids.dynamics.overlap_errors import overlap_shift
from napari_colloids.dynamics.relaxation_result import Relaxation
from napari_colloids.dynamics.relaxation_settings import RelaxationSettings
from napari_colloids.dynamics.sampling import sample
from napari_colloids.dynamics.scales import scales
from napari_colloids.dynamics.susceptibility import susceptibility
from napari_colloids.dynamics.time_lags import spread_lags
from napari_colloids.dynamics.tracks import checked_axes, checked_tracks
from napari_colloids.progress import result_of
from napari_colloids.settings import changed, takes_settings
from napari_colloids.stack import checked_frame_interval

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from typing import Unpack

    import pandas as pd
    from numpy.typing import NDArray

    from napari_colloids.dynamics.relaxation_settings import RelaxationChanges
    from napari_colloids.dynamics.sampling import Sampled
    from napari_colloids.progress import Progress

    Array = NDArray[np.float64]

#: Standard error of the non-Gaussian parameter from which it is told that it says nothing.
_UNSURE_ALPHA2 = 0.3


@takes_settings(RelaxationSettings)
def relaxation(
    tracks: pd.DataFrame,
    *,
    frame_interval: float | None = None,
    voxel_size: Sequence[float] | None = None,
    **settings: Unpack[RelaxationChanges],
) -> Relaxation:
    r"""Return how a suspension relaxes: MSD, F_s, overlap, four-point susceptibility and non-Gaussian parameter.

    Each is given as measured and without the part of the localisation errors. With the variance
    :math:`s_a^2 = \sigma_a^2(t) + \sigma_a^2(t + \tau)` of the error of a displacement along an axis, which is
    :math:`2 \sigma_a^2` where all positions are as uncertain:

    .. math::

        \mathrm{MSD} &= \Big\langle \sum_a (\Delta x_a^2 - s_a^2) \Big\rangle, \qquad
        F_s = \frac{1}{d} \sum_a
        \frac{\langle \cos(q \Delta x_a) \rangle}{\langle e^{-q^2 s_a^2 / 2} \rangle}, \\
        \langle \Delta r^4 \rangle &= \Big\langle \Big( \sum_a (\Delta x_a^2 - s_a^2) \Big)^2
        - \sum_a s_a^2 (4 \Delta x_a^2 - 2 s_a^2) \Big\rangle

    Parameters
    ----------
    tracks
        Particle table with ``frame`` and ``particle``, as `link` returns it, and the standard errors ``z_err, y_err,
        x_err`` where the particles were refined. Frames may be missing. Channels are averaged together.
    frame_interval
        Seconds between frames, or None.
    voxel_size
        Micrometres ``(z, y, x)``; None takes what the table's columns in micrometres imply.
    {settings}

    Returns
    -------
    Relaxation

    Raises
    ------
    ColloidsError
        If the table is not linked, a particle is twice in a frame, an argument makes no sense, or neither wave number
        nor diameter are given and the particles do not tell them.

    See Also
    --------
    link : Finds the trajectories.
    mean_squared_displacement : All lags, with the parts per axis, as measured.
    van_hove : The distribution of the displacements.
    collective_overlap : Needs no trajectories.

    Notes
    -----
    **Errors.** The corrections of MSD, F_s and the moments of :math:`\alpha_2` [1]_ are exact for Gaussian errors that
    are independent from frame to frame (for F_s also of how far a particle moves). What two frames have in common, as
    the pull of a neighbour that stays, is no error of a displacement, and too much is then taken off. Motion during an
    exposure [2]_ is not corrected. The overlap has no closed form: a mixture of isotropic Gaussians with these errors
    is fitted to the lengths of the displacements, and its overlap without them taken; where none describes them (a
    flow), the overlap stays as measured and a notice says so. :math:`\chi_4` is scaled as :math:`Q (1 - Q)`, its value
    for particles that move independently, changes with the correction of :math:`Q`; what particles that move together
    add may change otherwise.

    **Four-point susceptibility** [3]_. The variance over starting times is taken within sets of intervals that do not
    overlap, as overlapping ones move alike, which would make it too small; then the sets are averaged. Each starting
    time counts with its number of survivors.

    **Survivors.** Only particles that are tracked count, and those that move far are lost first: where `survivors`
    falls, F_s and overlap are too high.

    **Standard errors** come from leaving out one of eight blocks of particles that lie together (jackknife). That of
    the overlap is of the measured one, that of :math:`\chi_4` is :math:`\chi_4 \sqrt{2 / (n - 1)}` for :math:`n`
    intervals that do not overlap.

    Displacements are computed frame by frame: memory grows with the number of rows alone.

    References
    ----------
    .. [1] Rahman, "Correlations in the motion of atoms in liquid argon", Phys. Rev. 136, A405 (1964).
    .. [2] Savin and Doyle, "Static and dynamic errors in particle tracking microrheology", Biophys. J. 88, 623 (2005).
    .. [3] Lacevic, Starr, Schroder and Glotzer, "Spatially heterogeneous dynamics investigated via a time-dependent
       four-point density correlation function", J. Chem. Phys. 119, 7372 (2003).

    Examples
    --------
    Random walks with steps of 0.1 voxels along each axis, seen with errors of 0.2: F_s is exp(-q^2 0.1^2 lag / 2).

    >>> import numpy as np
    >>> from napari_colloids import particle_table, relaxation
    >>> rng = np.random.default_rng(0)
    >>> paths = np.cumsum(rng.normal(0, 0.1, (20, 2000, 3)), axis=0)
    >>> tracks = particle_table(
    ...     (paths + rng.normal(0, 0.2, paths.shape)).reshape(-1, 3),
    ...     frame=np.repeat(np.arange(20), 2000),
    ...     particle=np.tile(np.arange(2000), 20),
    ... )
    >>> result = relaxation(tracks, q=2.0, errors=(0.2, 0.2, 0.2))
    >>> print(f"{result.fs[0]:.2f}, not {result.fs_raw[0]:.2f}; in theory {np.exp(-2 * 0.1**2):.2f}")
    0.98, not 0.84; in theory 0.98
    """
    return result_of(iter_relaxation(tracks, frame_interval=frame_interval, voxel_size=voxel_size, **settings))


@takes_settings(RelaxationSettings)
def iter_relaxation(
    tracks: pd.DataFrame,
    *,
    frame_interval: float | None = None,
    voxel_size: Sequence[float] | None = None,
    **settings: Unpack[RelaxationChanges],
) -> Generator[Progress, None, Relaxation]:
    """Evaluate as `relaxation` does, and yield `Progress` after each pair of frames.

    Parameters
    ----------
    tracks, frame_interval, voxel_size
        As in `relaxation`, which returns the same result.
    {settings}

    Examples
    --------
    >>> from napari_colloids import particle_table
    >>> from napari_colloids.dynamics import iter_relaxation
    >>> tracks = particle_table([[5, 5, 0], [5, 5, 1], [5, 5, 2]], frame=[0, 1, 2], particle=[0, 0, 0])
    >>> for progress in iter_relaxation(tracks, q=1.0):
    ...     print(progress.message)
    Compared frame 1 of 3 with later ones.
    Compared frame 1 of 3 with later ones.
    Compared frame 2 of 3 with later ones.
    """
    seconds = checked_frame_interval(frame_interval)
    how = changed(RelaxationSettings(), settings, "setting of the relaxation")
    places = checked_axes(how.axes)
    moving = checked_tracks(tracks, voxel_size=voxel_size, errors=how.errors, subtract_drift=how.subtract_drift)
    notices = list(moving.notices)
    wave, length = scales(tracks, moving.scaling, how, voxel_size, notices)
    shell = shell_radius(tracks, voxel_size, how.cutoff) if how.cage_relative else None
    distance = how.overlap_diameters * length
    sampled = yield from sample(
        moving,
        spread_lags(moving.frames, how.max_lag),
        places=places,
        q=wave,
        distance=distance,
        shell=shell,
        max_origins=how.max_origins,
    )
    if len(sampled.lags) == 0:
        notices.append("No particle is in two frames that are compared: there are no lags.")
    mean, error = averages(sampled.sums.sum(axis=1)), jackknife(sampled.sums)
    overlap = mean.overlap_raw
    if moving.variances is not None:
        overlap = _corrected_overlap(sampled, overlap, notices)
        if np.any(mean.msd <= 0):
            notices.append(
                "At some lags the localisation errors explain more than the mean squared displacement: they are "
                "smaller than the table says, or the same in all frames. There alpha_2 is left out."
            )
        # Without a standard error, too: errors explain all of the motion of some blocks.
        unsure = np.isfinite(mean.alpha2) & ~(error.alpha2 <= _UNSURE_ALPHA2)
        if unsure.any():
            notices.append(
                f"alpha_2 is not known within {_UNSURE_ALPHA2:g} at {unsure.sum()} of {len(unsure)} lags: localisation "
                "errors hide the motion there, or particles are too few. Lateral axes alone may show it."
            )
    series = zip(sampled.starts, sampled.lags.tolist(), sampled.numbers, sampled.overlaps, strict=True)
    found = [susceptibility(*one) for one in series]
    chi4_raw, chi4_err = np.array(found, dtype=float).reshape(-1, 2).T
    # What particles that move independently have; the noise of a sample stays in proportion.
    alone, alone_raw = (value * (1 - value) for value in (overlap, mean.overlap_raw))
    share = np.divide(alone, alone_raw, out=np.ones_like(alone), where=alone_raw > 0)
    return Relaxation(
        lag=sampled.lags,
        lag_s=None if seconds is None else seconds * sampled.lags.astype(np.float64),
        msd=mean.msd,
        msd_raw=mean.msd_raw,
        msd_err=error.msd,
        fs=mean.fs,
        fs_raw=mean.fs_raw,
        fs_err=error.fs,
        overlap=overlap,
        overlap_raw=mean.overlap_raw,
        overlap_err=error.overlap_raw,
        chi4=chi4_raw * share,
        chi4_raw=chi4_raw,
        chi4_err=chi4_err * share,
        alpha2=mean.alpha2,
        alpha2_raw=mean.alpha2_raw,
        alpha2_err=error.alpha2,
        survivors=sampled.survivors,
        count=mean.count.astype(np.int64),
        q=wave,
        overlap_distance=distance,
        unit=moving.scaling.unit,
        axes="".join("zyx"[place] for place in places),
        notices=notices,
    )


def _corrected_overlap(sampled: Sampled, overlap: Array, notices: list[str]) -> Array:
    """Return the overlap at each lag without localisation errors; say where they cannot be taken off."""
    corrected, left = overlap.copy(), []
    for number, (counts, variances) in enumerate(zip(sampled.lengths, sampled.variances, strict=True)):
        shift = overlap_shift(counts, variances, sampled.distance)
        if shift is None:
            left.append(int(sampled.lags[number]))
        else:
            corrected[number] = np.clip(overlap[number] + shift, 0.0, 1.0)
    if left:
        notices.append(
            f"The overlap at {len(left)} of {len(sampled.lags)} lags (from {left[0]} frames) is not corrected for "
            "localisation errors: the displacements are no mixture of isotropic random motions, as with a flow."
        )
    return corrected
