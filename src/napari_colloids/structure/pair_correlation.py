"""The pair correlation function g(r) of particles in a finite box, and what its first minimum says.

References
----------
Ohser and Stoyan, Biom. J. 23, 523 (1981); Illian et al., Statistical Analysis and Modelling of Spatial Point Patterns
(Wiley, 2008), section 4.3: the translation correction of the edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks
from scipy.spatial import cKDTree

from napari_colloids.errors import ColloidsError
from napari_colloids.particles import check_particles, positions_of
from napari_colloids.structure.space import space_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

#: Pairs further apart than this many mean spacings say nothing of the local order.
_REACH = 4.0
#: Below this height a maximum of g(r) is no shell of neighbours: a dilute gas of hard spheres has less.
_SHELL_HEIGHT = 1.3
#: Who only asks how far apart neighbours are can do with this much, where there are particles enough to tell.
_LOW_SHELL_HEIGHT = 1.15
#: A first minimum further out than this, over the distance to the nearest neighbour, ends no first shell.
_SHELL_END = 2.0
#: Bins near the first peak, over its distance, and the width of the smoothing there in bins.
_FINE = 0.005
_FINE_WIDTH = 4.0
#: The upper part of the peak begins at this part of its height.
_TOP = 0.8
#: Fewer particles than this do not tell how far apart neighbours most often are.
_FEW = 100
#: Particles whose pairs are in memory at a time.
_BLOCK = 20_000
#: No more particles than this are looked at for a suggestion, in as many frames as it takes, or for a distance.
_ENOUGH = 10_000


@dataclass(frozen=True, eq=False)
class PairCorrelation:
    """How much likelier than by chance two particles are a distance apart.

    Attributes
    ----------
    r
        Distances, the centres of the bins, in `unit`.
    g
        The pair correlation function at these distances; 1 for particles that know nothing of each other.
    unit
        ``"um"``, or ``"px"`` for lateral voxels.
    """

    r: Array
    g: Array
    unit: str


def pair_correlation(
    particles: pd.DataFrame,
    *,
    shape: Sequence[float] | None = None,
    voxel_size: Sequence[float] | None = None,
    diameter: float | None = None,
    cutoff: float | None = None,
    bins: int = 100,
) -> PairCorrelation:
    """Return the pair correlation function g(r).

    Parameters
    ----------
    particles
        Particle table; of a time series, the frames are averaged.
    shape
        Shape ``(z, y, x)`` of the stack in voxels, or of what is left of it where the table was cut (``--border``, a
        region): a larger one makes g(r) too high. None takes the box that the particles fill, as randomly placed ones
        do; that of a crystal is larger, by half a lattice plane at each face: cut from 2000 spheres, it seems to have
        10.0 neighbours instead of 12.
    voxel_size
        Micrometres ``(z, y, x)``; None takes what the table's columns in micrometres imply.
    diameter
        In lateral voxels; without a `cutoff`, distances reach to four diameters (else four mean spacings).
    cutoff
        Largest distance, in micrometres where the voxel size is known, else in lateral voxels. It is cut to the
        shortest edge of the box, beyond which some directions cannot be seen.
    bins
        Number of bins.

    Returns
    -------
    PairCorrelation

    Raises
    ------
    ColloidsError
        If no frame has two particles, all lie in one plane and no shape is given, or the cutoff or the number of bins
        is not positive.

    Notes
    -----
    The box is finite: a particle at its edge has fewer neighbours. Each pair that is ``d`` apart is weighted by the
    volume of the box over that of its overlap with itself moved by ``d``, which makes the estimate exact on average
    for any homogeneous sample. It needs one division a pair; correcting every shell for the part that the box cuts
    off, as trackpy's ``pair_correlation_3d`` does, gives the same at ten times the cost.
    """
    if bins < 1 or (cutoff is not None and not cutoff > 0):
        raise ColloidsError("g(r) needs a positive cutoff and at least one bin.")
    particles = check_particles(particles)
    space = space_of(particles, voxel_size)
    frames = [positions * space.scale for positions in _frames(particles) if len(positions) > 1]
    if not frames:
        raise ColloidsError("g(r) needs at least two particles in a frame.")
    box = _filled_box(frames) if shape is None else np.asarray(shape, dtype=float) * space.scale
    if box.min() < 1e-9 * box.max():
        raise ColloidsError("g(r) needs particles that do not all lie in one plane, or the shape of the stack.")
    if cutoff is None:
        density = float(np.mean([len(frame) for frame in frames]) / np.prod(box))
        cutoff = _REACH * (density ** (-1 / 3) if diameter is None else diameter * space.lateral)
    edges = np.linspace(0.0, min(cutoff, float(box.min())), bins + 1)
    found, expected = np.zeros(bins), np.zeros(bins)
    shells = 4 / 3 * np.pi * np.diff(edges**3)
    for frame in frames:
        for apart in _close_pairs(frame, edges[-1]):
            # Particles may lie a little outside the stack, where a fit has put them.
            overlap = np.prod(np.maximum(box - apart, 1e-9 * box), axis=1)
            found += np.histogram(np.linalg.norm(apart, axis=1), edges, weights=1 / overlap)[0]
        expected += shells * len(frame) * (len(frame) - 1) / 2 / np.prod(box) ** 2
    return PairCorrelation((edges[:-1] + edges[1:]) / 2, found / expected, space.unit)


def _close_pairs(positions: Array, cutoff: float) -> Iterator[Array]:
    """Yield how far pairs are apart along each axis, ``(pairs, 3)``, block by block so that few are in memory."""
    axis = int(np.argmax(np.ptp(positions, axis=0)))
    if len(positions) > _BLOCK:
        positions = positions[np.argsort(positions[:, axis], kind="stable")]
    for start in range(0, len(positions), _BLOCK):
        block = positions[start : start + _BLOCK]
        tree = cKDTree(block)
        pairs = tree.query_pairs(cutoff, output_type="ndarray")
        yield np.abs(block[pairs[:, 0]] - block[pairs[:, 1]])
        end = np.searchsorted(positions[:, axis], block[-1, axis] + cutoff, side="right")
        later = positions[start + _BLOCK : end]
        if len(later):
            across = tree.sparse_distance_matrix(cKDTree(later), cutoff, output_type="ndarray")
            yield np.abs(block[across["i"]] - later[across["j"]])


def first_minimum(r: Array, g: Array) -> float:
    """Return the distance of the first minimum of g(r): where the first shell of neighbours ends.

    Parameters
    ----------
    r, g
        Equally spaced distances and the pair correlation function there.

    Returns
    -------
    float
        In the unit of `r`; NaN where there is no first shell, as in a dilute gas. Where g(r) is 0 over a range, as
        between the shells of a crystal, the middle of the range.
    """
    shell = _shell(r, g)
    if shell is None:
        return float("nan")
    width = max(0.04 * r[shell] / (r[1] - r[0]), 1.0)
    # Spheres of one size have their first minimum at 1.2 (crystal) to 2 (thin fluid) times the first peak.
    smooth = _smoothed(r, g, width)[shell:][r[shell:] < 2.2 * r[shell]]
    depth = 0.1 * float(smooth[0])
    minima, _ = find_peaks(-smooth, prominence=depth)
    lowest = int(minima[0]) if len(minima) else int(np.argmin(smooth))
    return float(r[shell + lowest]) if smooth[lowest] < smooth[0] - depth else float("nan")


def neighbour_distance(particles: pd.DataFrame, *, voxel_size: Sequence[float] | None = None) -> float:
    """Return how far apart neighbours most often are.

    For spheres that touch that is their diameter or, where the centres are uncertain, a little more: in hard spheres of
    volume fraction 0.55 to 0.3 it is 3 to 7 % more where centres are exact, and 5 to 16 % where they are uncertain by a
    tenth of the diameter. It depends on the centres alone, not on how large a particle looks, and so tells a wrong
    diameter.

    Parameters
    ----------
    particles
        Particle table of one volume; of very many, the middle ones are looked at.
    voxel_size
        Micrometres ``(z, y, x)``; only their ratio matters. None takes what the table implies.

    Returns
    -------
    float
        The first peak of g(r), in lateral voxels; NaN where there is none, as in a dilute gas, and for fewer than a
        hundred particles, which cannot tell.
    """
    middle = _middle(particles) if len(particles) > _ENOUGH else particles
    if len(middle) < _FEW:
        return float("nan")
    try:
        correlation = pair_correlation(middle, voxel_size=voxel_size)
    except ColloidsError:  # all lie in one plane
        return float("nan")
    # Where centres are uncertain the peak is low; the noise of g(r) falls with the root of the number of particles.
    least = float(np.clip(1 + 5.5 / len(middle) ** 0.5, _LOW_SHELL_HEIGHT, _SHELL_HEIGHT))
    peak = _shell(correlation.r, correlation.g, least)
    if peak is None:
        return float("nan")
    return _top(middle, voxel_size, float(correlation.r[peak])) / space_of(particles, voxel_size).lateral


def _top(particles: pd.DataFrame, voxel_size: Sequence[float] | None, about: float) -> float:
    """Return where the first peak of g(r), which is known roughly, has its top.

    Where spheres touch, the peak is steep inside and slopes outside: the smoothing that finds it moves it outwards by
    about its own width. Near a peak that is known to be one, less of it will do. The mean over the upper part of the
    peak scatters less than its highest point, where the centres are uncertain.
    """
    fine = pair_correlation(particles, voxel_size=voxel_size, cutoff=1.4 * about, bins=round(1.4 / _FINE))
    near = (fine.r > 0.8 * about) & (fine.r < 1.05 * about)
    height = _smoothed(fine.r, fine.g, _FINE_WIDTH)[near]
    return float(np.average(fine.r[near], weights=np.maximum(height - _TOP * height.max(), 0.0)))


def suggest_search_range(
    particles: pd.DataFrame, *, shape: Sequence[float] | None = None, voxel_size: Sequence[float] | None = None
) -> float:
    """Suggest how far `link` should look for a particle in the next frame.

    Half the typical distance between neighbours: a particle that has moved further may be nearer to where a neighbour
    was than to where it was itself, and no linking of nearest positions can tell the two apart. The first minimum of
    g(r) says who is a neighbour (all within it: the first shell), and the mean distance of these pairs is the typical
    one. Half the first minimum itself would be the distance to the *farthest* neighbours, and in a dense suspension
    nearly every particle would then compete with another for its place.

    Parameters
    ----------
    particles
        Particle table; of a long series some frames are looked at.
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
    """
    particles = check_particles(particles)
    if "frame" in particles and len(particles):
        particles = _some_frames(particles)
    space = space_of(particles, voxel_size)
    nearest = [
        cKDTree(positions * space.aspect).query(positions * space.aspect, k=2)[0][:, 1]
        for positions in _frames(particles)
        if len(positions) > 1
    ]
    if not nearest:
        raise ColloidsError("A search range cannot be suggested from fewer than two particles in a frame; give one.")
    typical = float(np.median(np.concatenate(nearest)))
    cutoff = (_SHELL_END + 1) * typical * space.lateral
    try:
        correlation = pair_correlation(particles, shape=shape, voxel_size=voxel_size, cutoff=cutoff)
    except ColloidsError:  # all lie in one plane
        return typical / 2
    end = first_minimum(correlation.r, correlation.g)
    if not end / space.lateral < _SHELL_END * typical:
        return typical / 2
    shell = correlation.r <= end
    r, pairs = correlation.r[shell], (correlation.g * correlation.r**2)[shell]
    return max(float(np.average(r, weights=pairs)) / space.lateral, typical) / 2


def _frames(particles: pd.DataFrame) -> Iterator[Array]:
    """Yield the positions ``(N, 3)`` of each frame, and of each channel if there are several."""
    keys = [column for column in ("frame", "channel") if column in particles]
    if not keys:
        yield positions_of(particles)
        return
    for _, rows in particles.groupby(keys, sort=False):
        yield positions_of(rows)


def _some_frames(particles: pd.DataFrame) -> pd.DataFrame:
    """Return evenly spread frames that have enough particles together."""
    frames = np.unique(particles["frame"].to_numpy())
    wanted = int(np.clip(np.ceil(_ENOUGH / (len(particles) / len(frames))), 1, len(frames)))
    chosen = frames[np.linspace(0, len(frames) - 1, wanted).round().astype(int)]
    return particles[particles["frame"].isin(chosen)]


def _middle(particles: pd.DataFrame) -> pd.DataFrame:
    """Return the particles in the middle of the box that all fill: as many as are enough."""
    part = (_ENOUGH / len(particles)) ** (1 / 3)
    low, high = np.quantile(positions_of(particles), (0.5 - part / 2, 0.5 + part / 2), axis=0)
    return particles[np.all((positions_of(particles) >= low) & (positions_of(particles) <= high), axis=1)]


def _filled_box(frames: Sequence[Array]) -> Array:
    """Return the edges of the box that the particles of all frames fill, none of them lying exactly on its faces.

    Random places in a box fill (n - 1) / (n + 1) of its edges, in the mean over the frames; together they fill more.
    """
    filled = np.mean([np.ptp(frame, axis=0) * (len(frame) + 1) / (len(frame) - 1) for frame in frames], axis=0)
    return np.maximum(np.maximum(filled, np.ptp(np.concatenate(frames), axis=0)), np.finfo(float).tiny)


def _smoothed(r: Array, g: Array, width: float) -> Array:
    """Smooth g(r) by so many bins: its numbers of pairs, so that a few pairs at small distances weigh little."""
    counts, norm = (gaussian_filter1d(values, width, mode="nearest", truncate=4.0) for values in (g * r**2, r**2))
    return np.asarray(counts / norm)


def _shell(r: Array, g: Array, least: float = _SHELL_HEIGHT) -> int | None:
    """Return the index of the first shell: the first maximum that is `least` high, and not far below the highest."""
    smooth = _smoothed(r, g, 2)
    peaks, _ = find_peaks(smooth, height=max(least, 0.6 * float(smooth.max())), prominence=least - 1)
    return int(peaks[0]) if len(peaks) else None
