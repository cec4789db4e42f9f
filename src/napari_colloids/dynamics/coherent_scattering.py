"""Coherent intermediate scattering function: how long the density remembers itself. It needs no trajectories.

References
----------
Hansen and McDonald, Theory of Simple Liquids, 4th ed. (Academic Press, 2013), section 7.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.dynamics.coherent_result import CoherentScattering
from napari_colloids.dynamics.density_waves import density_wave, wave_vectors
from napari_colloids.dynamics.linking import without_drift
from napari_colloids.dynamics.moments import blocks_of
from napari_colloids.dynamics.relaxation_settings import RelaxationSettings
from napari_colloids.dynamics.scales import scales, wave_number
from napari_colloids.dynamics.time_lags import origins, spread_lags
from napari_colloids.dynamics.tracks import checked_axes, position_variances
from napari_colloids.errors import ColloidsError
from napari_colloids.particles import check_particles, positions_of
from napari_colloids.plotting import unit_symbol
from napari_colloids.stack import checked_frame_interval
from napari_colloids.structure.inputs import require_columns
from napari_colloids.structure.scaling import scaling_of
from napari_colloids.structure.window import filled_window

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from napari_colloids.dynamics.density_waves import DensityWave

    Array = NDArray[np.float64]
    Numbers = NDArray[np.int64]

#: Wave vectors, at least and at most, and terms (wave vectors times particles of all frames) that are aimed at.
_MIN_WAVES, _MAX_WAVES, _MAX_TERMS = 64, 320, 150_000_000
#: The directions are halved so often into blocks, from which the standard errors come.
_BLOCK_DEPTH = 3
#: Wavelengths that fit into the shortest edge of the window, at least, for the curve to be trusted.
_MIN_WAVELENGTHS = 2.0


def coherent_scattering(
    particles: pd.DataFrame,
    *,
    q: float | None = RelaxationSettings.q,
    q_um: float | None = RelaxationSettings.q_um,
    diameter: float | None = RelaxationSettings.diameter,
    axes: str = RelaxationSettings.axes,
    errors: tuple[float, float, float] | None = RelaxationSettings.errors,
    subtract_drift: bool = RelaxationSettings.subtract_drift,
    frame_interval: float | None = None,
    voxel_size: Sequence[float] | None = None,
    max_lag: int | None = RelaxationSettings.max_lag,
) -> CoherentScattering:
    r"""Return the coherent intermediate scattering function F(q, t) / S(q) against the lag; particles need no links.

    It is given as measured and without the part of the localisation errors, with the variance :math:`\sigma^2` of a
    position along the wave vector:

    .. math::

        \left. \frac{F(q, \tau)}{S(q)} \right|_\text{measured} =
        \frac{\langle \rho_{\mathbf{q}}(t + \tau) \rho_{\mathbf{q}}^*(t) \rangle}
        {\langle |\rho_{\mathbf{q}}|^2 \rangle}, \qquad
        \frac{F(q, \tau)}{S(q)} =
        \frac{\langle \rho_{\mathbf{q}}(t + \tau) \rho_{\mathbf{q}}^*(t) \rangle}
        {\langle |\rho_{\mathbf{q}}|^2 \rangle - N (1 - e^{-q^2 \sigma^2})}

    Parameters
    ----------
    particles
        Particle table with ``frame``, best of all that was found, linked or not, and the standard errors ``z_err,
        y_err, x_err`` where the particles were refined. Channels are correlated each with itself, and averaged.
    q, q_um
        Wave number per lateral voxel, or per micrometre; None takes :math:`2 \pi` over the diameter.
    diameter
        In lateral voxels; None takes the first peak of g(r) or, where there is none, twice the median radius.
    axes
        Axes along which wave vectors lie: ``"yx"`` leaves out z, where the errors are largest.
    errors
        Standard errors of a position along z, y, x in voxels, of all particles; None takes those of the table.
    subtract_drift
        Whether to subtract the mean motion of all particles, for which they must be linked.
    frame_interval
        Seconds between frames, or None.
    voxel_size
        Micrometres ``(z, y, x)``; None takes what the table's columns in micrometres imply.
    max_lag
        Longest lag in frames; None takes half the series, or the first four of a short one. Of more than twenty, twelve
        a decade are evaluated.

    Returns
    -------
    CoherentScattering

    Raises
    ------
    ColloidsError
        If there are no frames, an argument makes no sense, the drift is to be subtracted of particles that are not
        linked, or neither wave number nor diameter are given and the particles do not tell them.

    See Also
    --------
    relaxation : The function of single particles, F_s.
    collective_overlap : Which places stay occupied.
    structure_factor : S(q) at all wave numbers.

    Notes
    -----
    **Window.** Half a sine wave along each axis weighs the particles, so that those which pass a face do not tell. What
    a uniform density has in such a window is subtracted: the wave vectors need not fit into it, and all have the
    length q exactly, in directions that are evenly spread. The window blurs q by some :math:`\pi / L`, and the curve
    loses some :math:`\pi^2 \Delta^2 / 2 L^2` for motions by :math:`\Delta` along an axis: 0.3 % where particles have
    moved by 0.25 diameters in a window of 10.

    **Localisation errors** that are Gaussian and independent from particle to particle and from frame to frame lower
    the correlation of two frames by :math:`e^{-q^2 \sigma^2}`, and :math:`|\rho_{\mathbf{q}}|^2` as well, but for the
    part of each particle with itself: :math:`S_\text{measured} = 1 + (S - 1) e^{-q^2 \sigma^2}`, which gives the
    formula above. Wave vectors are summed before the division, so that directions in which errors hide more count less.
    Where errors differ from particle to particle, their mean factor is taken.

    **Missed and false particles.** Where each particle is found with the chance :math:`p` in each frame anew, and
    :math:`b` false ones are found for each true one, all lags have the factor :math:`p^2 S / (p^2 (S - 1) + p + b)`,
    which is not corrected. The shape of the curve stays.

    **Flow and drift.** Of particles that all move by :math:`d` the curve is :math:`\sin(q d) / q d`, as F_s is.
    With linked particles `subtract_drift` takes it off.

    **Standard errors** come from leaving out one of eight blocks of neighbouring directions (jackknife); along a single
    axis there is one wave vector, and none.

    Examples
    --------
    Independent random walks with steps of 0.1 voxels along each axis, seen with errors of 0.2: exp(-q^2 0.1^2 lag / 2).

    >>> import numpy as np
    >>> from napari_colloids import particle_table
    >>> from napari_colloids.dynamics import coherent_scattering
    >>> rng = np.random.default_rng(1)
    >>> paths = rng.uniform(0, 30, (2000, 3)) + np.cumsum(rng.normal(0, 0.1, (20, 2000, 3)), axis=0)
    >>> found = particle_table(
    ...     (paths + rng.normal(0, 0.2, paths.shape)).reshape(-1, 3), frame=np.repeat(np.arange(20), 2000)
    ... )
    >>> result = coherent_scattering(found, q=2.0, errors=(0.2, 0.2, 0.2))
    >>> theory = np.exp(-2 * 0.1**2)
    >>> print(f"{result.f_coherent[0]:.2f}, not {result.f_coherent_raw[0]:.2f}; in theory {theory:.2f}")
    0.98, not 0.84; in theory 0.98
    """
    seconds = checked_frame_interval(frame_interval)
    require_columns(particles, ["frame"], "the scattering function needs the particles of a time series.")
    how = RelaxationSettings(
        q=q, q_um=q_um, diameter=diameter, axes=axes, errors=errors, subtract_drift=subtract_drift, max_lag=max_lag
    )
    places = checked_axes(how.axes)
    table = check_particles(particles)
    if len(table) == 0 or table["frame"].isna().any():
        raise ColloidsError("The scattering function needs particles that all have a frame.")
    scaling = scaling_of(table, voxel_size)
    variances, notices = position_variances(table, how.errors, scaling.scale)
    wave = wave_number(how, scaling)
    if wave is None:
        wave, _ = scales(table, scaling, how, voxel_size, notices)
    positions, low, high = _in_window(table, how.subtract_drift, scaling.scale)
    edges = (high - low)[places]
    lowest = _MIN_WAVELENGTHS * 2 * np.pi / float(edges.min()) if edges.min() > 0 else np.inf
    if wave < lowest:
        notices.append(
            f"The window is shorter than {_MIN_WAVELENGTHS:g} wavelengths of q = {wave:.3g} "
            f"/{unit_symbol(scaling.unit)}: F/S is blurred by the window."
        )
    number = int(np.clip(_MAX_TERMS // len(table), _MIN_WAVES, _MAX_WAVES))
    waves = wave_vectors(wave, places, number)
    frames = np.unique(table["frame"].to_numpy().astype(np.int64))
    lags = spread_lags(frames, how.max_lag)
    sums, intensity, count = np.zeros((4, len(lags), len(waves))), np.zeros((3, len(waves))), np.zeros(len(lags), int)
    for part, rows in _by_frame(table, frames):
        series = {
            place: found
            for place, own in rows.items()
            if (found := density_wave(positions[own], _of_rows(variances, own), waves, low, high)) is not None
        }
        intensity += part * _intensities(series.values())
        for number, lag in enumerate(lags.tolist()):
            pairs = [(one, other) for one, other in origins(frames, lag, len(frames)) if {one, other} <= set(series)]
            sums[:, number] += part * _correlated(series, pairs)
            count[number] += len(pairs)
    seen = count > 0
    blocks = blocks_of(waves, min(_BLOCK_DEPTH, int(np.log2(len(waves)))))
    value, raw = _ratios(sums[:, seen])
    if np.isnan(value).any():
        notices.append(
            "Localisation errors explain all of S(q) at some lags, where F/S is left out: they are smaller than the "
            "table says, or particles too few."
        )
    measured, true, damping = intensity.sum(axis=1)
    return CoherentScattering(
        lag=lags[seen],
        lag_s=None if seconds is None else seconds * lags[seen].astype(np.float64),
        f_coherent=value,
        f_coherent_raw=raw,
        f_coherent_err=_jackknife(sums[:, seen], blocks),
        count=count[seen],
        structure_factor=float(true / damping),
        structure_factor_raw=float(measured / len(waves)),
        q=float(wave),
        waves=len(waves),
        lowest=float(lowest),
        unit=scaling.unit,
        axes="".join("zyx"[place] for place in places),
        notices=notices,
    )


def _in_window(table: pd.DataFrame, subtract_drift: bool, scale: Array) -> tuple[Array, Array, Array]:
    """Return positions, shape ``(M, 3)``, and the corners of a window that all frames fill.

    Raises
    ------
    ColloidsError
        If the drift is to be subtracted of particles that are not linked, or is longer than the window.
    """
    positions = positions_of(table) * scale
    rows = [positions[number] for number in table.groupby("frame").indices.values()]
    window = filled_window([one for one in rows if len(one) > 1] or [np.vstack([positions, positions])])
    if not subtract_drift:
        return positions, window.low, window.high
    require_columns(table, ["particle"], "the drift is known of linked particles only (napari-colloids link).")
    still = positions_of(without_drift(table)) * scale
    # Beside particles that stand still, it is the window that moves: what it has seen in every frame is left.
    shifts = positions - still
    low, high = window.low - shifts.min(axis=0), window.high - shifts.max(axis=0)
    if np.any(high < low):
        raise ColloidsError("The particles drift farther than the window is long: choose fewer frames.")
    return still, low, high


def _by_frame(table: pd.DataFrame, frames: Numbers) -> Iterator[tuple[float, dict[int, Numbers]]]:
    """Yield the part of the particles that each channel has, and its rows by the place of their frame in all frames."""
    place = np.searchsorted(frames, table["frame"].to_numpy())
    for rows in table.groupby("channel").indices.values() if "channel" in table else [np.arange(len(table))]:
        order = rows[np.argsort(place[rows], kind="stable")]
        occupied, first = np.unique(place[order], return_index=True)
        yield len(rows) / len(table), dict(zip(occupied.tolist(), np.split(order, first[1:]), strict=True))


def _of_rows(variances: Array | None, rows: Numbers) -> Array | None:
    """Return the variances of some rows; a single one is that of all rows."""
    return variances if variances is None or len(variances) == 1 else variances[rows]


def _intensities(series: Iterable[DensityWave]) -> Array:
    """Return the mean over frames of intensity, the same without the noise of errors, and the squared damping."""
    each = [
        (intensity := np.abs(one.amplitudes) ** 2, intensity - 1 + one.damping**2, one.damping**2) for one in series
    ]
    return np.mean(each, axis=0) if each else np.zeros((3, 1))


def _correlated(series: dict[int, DensityWave], pairs: list[tuple[int, int]]) -> Array:
    """Return what the curve is made of at a lag for each wave vector, as means over pairs of frames.

    These are correlation and intensity of the waves as they would be with the damping of the first frame in both, where
    the intensity is without the noise of the errors; and both as measured.
    """
    total = np.zeros(4)[:, None]
    for first, second in pairs:
        one, other = series[first], series[second]
        here, there = np.abs(one.amplitudes) ** 2, np.abs(other.amplitudes) ** 2
        correlation = np.real(other.amplitudes * np.conj(one.amplitudes))
        alike = one.damping / other.damping
        true = here - 1 + one.damping**2 + alike**2 * (there - 1 + other.damping**2)
        total = total + np.stack([alike * correlation, true / 2, correlation, (here + there) / 2])
    return total / max(len(pairs), 1)


def _ratios(sums: Array) -> tuple[Array, Array]:
    """Return F/S and the same as measured from sums of shape ``(4, L, waves)``; NaN where there is no intensity."""
    correlation, intensity, measured, power = sums.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(intensity > 0, correlation / intensity, np.nan), np.where(power > 0, measured / power, np.nan)


def _jackknife(sums: Array, blocks: Numbers) -> Array:
    """Return the standard error of F/S from leaving out one block of wave vectors at a time."""
    count = int(blocks.max()) + 1
    if count < 2:
        return np.full(sums.shape[1], np.nan)
    left = np.stack([_ratios(sums[:, :, blocks != block])[0] for block in range(count)])
    return np.asarray(np.sqrt((count - 1) * np.var(left, axis=0)))
