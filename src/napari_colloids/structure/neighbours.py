"""Distances of neighbours from the pair correlation function: first peak, first minimum, search range for linking."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks
from scipy.spatial import cKDTree

from napari_colloids.errors import ColloidsError, brief
from napari_colloids.particles import positions_of
from napari_colloids.structure.frames import positions_by_frame
from napari_colloids.structure.inputs import checked_particles
from napari_colloids.structure.pair_correlation import pair_correlation
from napari_colloids.structure.scaling import scaling_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

#: Lowest g(r) of a first shell of neighbours: the maximum of a dilute gas of hard spheres is lower.
_MIN_PEAK_HEIGHT = 1.3
#: The same where only the distance of neighbours is asked for, and particles are so many that g(r) has little noise.
_MIN_PEAK_HEIGHT_LARGE_SAMPLE = 1.15
#: Height over 1, times the root of the number of particles, that noise of g(r) does not reach.
_PEAK_NOISE = 5.5
#: Height of the first shell over that of the highest maximum, at least.
_MIN_PEAK_HEIGHT_FRACTION = 0.6
#: Width of the Gaussian that smooths g(r) before its first shell is looked for, in bins.
_SMOOTHING_BINS = 2.0
#: Greatest radius of a first shell, in median distances to the nearest neighbour.
_MAX_SHELL_RADIUS_SPACINGS = 2.0
#: Width of a bin near the first peak, over the distance of the peak, and the width of the smoothing there in bins.
_FINE_BIN_FRACTION = 0.005
_FINE_SMOOTHING_BINS = 4.0
#: Range of the finely binned g(r), over the distance of the peak.
_FINE_CUTOFF_FRACTION = 1.4
#: Height over that of the peak from which its upper part is averaged.
_PEAK_TOP_FRACTION = 0.8
#: Fewer particles than this do not define a distance of neighbours.
_MIN_PARTICLES = 100
#: Particles that are evaluated at most: in as many frames as it takes, or in the middle of the box.
_MAX_PARTICLES = 10_000


def first_minimum(r: ArrayLike, g: ArrayLike) -> float:
    """Return the distance of the first minimum of g(r): where the first shell of neighbours (the cage) ends.

    Parameters
    ----------
    r, g
        Equally spaced distances and the pair correlation function there.

    Returns
    -------
    float
        In the unit of `r`; NaN where there is no first shell, as in a dilute gas. Where g(r) is 0 over a range, as
        between the shells of a crystal, the middle of the range.

    Raises
    ------
    ColloidsError
        If these are not two arrays of as many numbers each.

    See Also
    --------
    pair_correlation : Computes g(r).

    Examples
    --------
    >>> import numpy as np
    >>> from napari_colloids.structure import first_minimum
    >>> r = np.linspace(0.05, 4, 80)
    >>> g = np.where(r < 1, 0.0, 1 + 2 * np.exp(1 - r) * np.cos(2 * np.pi * (r - 1)))
    >>> print(f"{first_minimum(r, g):.1f}")
    1.5
    """
    r, g = _checked_curve(r, g)
    shell = _first_shell(r, g)
    if shell is None:
        return float("nan")
    width = max(0.04 * r[shell] / (r[1] - r[0]), 1.0)
    # Spheres of one size have their first minimum at 1.2 (crystal) to 2 (dilute fluid) times the first peak.
    smooth = _smoothed(r, g, width)[shell:][r[shell:] < 2.2 * r[shell]]
    depth = 0.1 * float(smooth[0])
    minima, _ = find_peaks(-smooth, prominence=depth)
    lowest = int(minima[0]) if len(minima) else int(np.argmin(smooth))
    return float(r[shell + lowest]) if smooth[lowest] < smooth[0] - depth else float("nan")


def neighbour_distance(particles: pd.DataFrame | ArrayLike, *, voxel_size: Sequence[float] | None = None) -> float:
    """Return the most frequent distance between neighbours: the position of the first peak of g(r).

    For spheres that touch that is their diameter or, where the centres are uncertain, a little more: in hard spheres of
    volume fraction 0.55 to 0.3 it is 3 to 7 % more where centres are exact, and 5 to 16 % where they are uncertain by a
    tenth of the diameter. It depends on the centres alone, not on how large a particle looks, and so reveals a wrong
    diameter.

    Parameters
    ----------
    particles
        Particles of one volume: table, or array of shape ``(N, 3)``, z, y, x in voxels. Of very many, those in the
        middle are evaluated.
    voxel_size
        Micrometres ``(z, y, x)``; only their ratio matters. None takes what the table implies.

    Returns
    -------
    float
        The first peak of g(r), in lateral voxels; NaN where there is none, as in a dilute gas, and for fewer than a
        hundred particles, which are too few.

    See Also
    --------
    suggest_search_range : Half the mean distance of neighbours.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_colloids.structure import neighbour_distance
    >>> crystal = 10.0 * np.indices((8, 8, 8)).reshape(3, -1).T
    >>> print(f"{neighbour_distance(crystal):.1f}")
    10.0
    """
    particles = checked_particles(particles)
    middle = _middle(particles) if len(particles) > _MAX_PARTICLES else particles
    if len(middle) < _MIN_PARTICLES:
        return float("nan")
    try:
        correlation = pair_correlation(middle, voxel_size=voxel_size)
    except ColloidsError:  # all lie in one plane
        return float("nan")
    # Where centres are uncertain the peak is low; the noise of g(r) falls with the root of the number of particles.
    height = 1 + _PEAK_NOISE / len(middle) ** 0.5
    min_height = float(np.clip(height, _MIN_PEAK_HEIGHT_LARGE_SAMPLE, _MIN_PEAK_HEIGHT))
    peak = _first_shell(correlation.r, correlation.g, min_height)
    if peak is None:
        return float("nan")
    return _peak_position(middle, voxel_size, float(correlation.r[peak])) / scaling_of(particles, voxel_size).lateral


def _peak_position(particles: pd.DataFrame, voxel_size: Sequence[float] | None, approximate: float) -> float:
    """Return the position of the first peak of g(r), given approximately.

    Where spheres touch, the peak is steep inside and slopes outside: the smoothing that finds it moves it outwards by
    about its own width. Once the peak is found, less smoothing suffices. The mean over the upper part of the peak
    scatters less than its highest point, where the centres are uncertain.
    """
    fine = pair_correlation(
        particles,
        voxel_size=voxel_size,
        cutoff=_FINE_CUTOFF_FRACTION * approximate,
        bins=round(_FINE_CUTOFF_FRACTION / _FINE_BIN_FRACTION),
    )
    near = (fine.r > 0.8 * approximate) & (fine.r < 1.05 * approximate)
    height = _smoothed(fine.r, fine.g, _FINE_SMOOTHING_BINS)[near]
    if not height.max(initial=0.0) > 0:  # particles on top of each other: what seemed a peak has no pairs
        return float("nan")
    return float(np.average(fine.r[near], weights=np.maximum(height - _PEAK_TOP_FRACTION * height.max(), 0.0)))


def suggest_search_range(
    particles: pd.DataFrame | ArrayLike,
    *,
    shape: Sequence[float] | None = None,
    voxel_size: Sequence[float] | None = None,
) -> float:
    r"""Suggest a search range for `link`: half the mean distance of neighbours.

    .. math::

        R = \frac{1}{2} \, \frac{\int_0^{r_\mathrm{min}} r \, g(r) \, r^2 \, \mathrm{d}r}
        {\int_0^{r_\mathrm{min}} g(r) \, r^2 \, \mathrm{d}r}

    with the first minimum :math:`r_\mathrm{min}` of g(r).

    Parameters
    ----------
    particles
        Particle table, or array of shape ``(N, 3)``: z, y, x in voxels. Of a long series some frames are evaluated.
    shape
        Shape ``(z, y, x)`` of the stack in voxels; None takes the box that the particles fill.
    voxel_size
        Micrometres ``(z, y, x)``; only their ratio matters. None takes what the table implies.

    Returns
    -------
    float
        In lateral voxels. Where g(r) has no first shell (dilute, or few particles), half the median distance to the
        nearest neighbour; the suggestion is never less.

    Raises
    ------
    ColloidsError
        If no frame has two particles.

    See Also
    --------
    link : Takes this search range if none is given.
    first_minimum : The end of the first shell.

    Notes
    -----
    A particle that has moved further may be nearer to where a neighbour was than to where it was itself, and no linking
    of nearest positions can distinguish the two. All particles within the first minimum of g(r) are neighbours (the
    first shell). Half the first minimum itself would be half the distance of the *farthest* neighbours, and in a dense
    suspension nearly every particle would then compete with another for its position.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_colloids import suggest_search_range
    >>> crystal = 10.0 * np.indices((8, 8, 8)).reshape(3, -1).T
    >>> print(f"{suggest_search_range(crystal, shape=(80, 80, 80)):.1f}")
    5.0
    """
    particles = checked_particles(particles)
    if "frame" in particles and len(particles):
        particles = evenly_spread_frames(particles)
    scaling = scaling_of(particles, voxel_size)
    nearest = [
        cKDTree(positions * scaling.aspect).query(positions * scaling.aspect, k=2)[0][:, 1]
        for positions in positions_by_frame(particles)
        if len(positions) > 1
    ]
    if not nearest:
        raise ColloidsError("A search range cannot be suggested from fewer than two particles in a frame; give one.")
    spacing = float(np.median(np.concatenate(nearest)))
    cutoff = (_MAX_SHELL_RADIUS_SPACINGS + 1) * spacing * scaling.lateral
    try:
        correlation = pair_correlation(particles, shape=shape, voxel_size=voxel_size, cutoff=cutoff)
    except ColloidsError:  # all lie in one plane
        return spacing / 2
    end = first_minimum(correlation.r, correlation.g)
    if not end / scaling.lateral < _MAX_SHELL_RADIUS_SPACINGS * spacing:
        return spacing / 2
    shell = correlation.r <= end
    r, pairs = correlation.r[shell], (correlation.g * correlation.r**2)[shell]
    return max(float(np.average(r, weights=pairs)) / scaling.lateral, spacing) / 2


def _checked_curve(r: ArrayLike, g: ArrayLike) -> tuple[Array, Array]:
    """Return g(r) as two arrays.

    Raises
    ------
    ColloidsError
        If they are not arrays of as many numbers each.
    """
    try:
        distances, values = np.asarray(r, dtype=float), np.asarray(g, dtype=float)
    except (TypeError, ValueError):
        distances = values = np.empty(0)
    if distances.ndim != 1 or distances.shape != values.shape or len(distances) < 2:
        raise ColloidsError(f"r and g must be two arrays of as many numbers each, not {brief(r)} and {brief(g)}.")
    return distances, values


def evenly_spread_frames(particles: pd.DataFrame) -> pd.DataFrame:
    """Return evenly spread frames that have enough particles together."""
    frames = np.unique(particles["frame"].to_numpy())
    wanted = int(np.clip(np.ceil(_MAX_PARTICLES / (len(particles) / len(frames))), 1, len(frames)))
    chosen = frames[np.linspace(0, len(frames) - 1, wanted).round().astype(int)]
    return particles[particles["frame"].isin(chosen)]


def _middle(particles: pd.DataFrame) -> pd.DataFrame:
    """Return as many particles as are enough, from the middle of the box that all fill."""
    part = (_MAX_PARTICLES / len(particles)) ** (1 / 3)
    low, high = np.quantile(positions_of(particles), (0.5 - part / 2, 0.5 + part / 2), axis=0)
    return particles[np.all((positions_of(particles) >= low) & (positions_of(particles) <= high), axis=1)]


def _smoothed(r: Array, g: Array, width_bins: float) -> Array:
    """Smooth g(r) with a Gaussian, weighted by r squared, so that a few pairs at small distances weigh little."""
    counts, norm = (gaussian_filter1d(values, width_bins, mode="nearest", truncate=4.0) for values in (g * r**2, r**2))
    return np.asarray(counts / norm)


def _first_shell(r: Array, g: Array, min_height: float = _MIN_PEAK_HEIGHT) -> int | None:
    """Return the index of the first shell: the first maximum of at least `min_height`, not far below the highest."""
    smooth = _smoothed(r, g, _SMOOTHING_BINS)
    height = max(min_height, _MIN_PEAK_HEIGHT_FRACTION * float(smooth.max()))
    peaks, _ = find_peaks(smooth, height=height, prominence=min_height - 1)
    return int(peaks[0]) if len(peaks) else None
