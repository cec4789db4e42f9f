"""Static structure factor S(q) of particles in a finite window, from g(r) and directly.

References
----------
Hansen and McDonald, Theory of Simple Liquids, 4th ed. (Academic Press, 2013), section 4.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import uniform_filter1d

from napari_colloids.compiled import compiled
from napari_colloids.errors import ColloidsError
from napari_colloids.plotting import axes_or_new, unit_symbol
from napari_colloids.settings import check_value
from napari_colloids.structure.asymptotic_decay import asymptotic_decay
from napari_colloids.structure.frames import frames_of
from napari_colloids.structure.pair_correlation import pair_correlation

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from napari_colloids.structure.pair_correlation import PairCorrelation
    from napari_colloids.structure.window import Window

    Array = NDArray[np.float64]

#: Default largest q times the spacing of particles: some four peaks.
_MAX_Q_SPACING = 26.0
#: g(r) is transformed up to so many spacings at most, and up to this part of the shortest edge of the window, beyond
#: which few pairs weigh much; in bins of this part of a spacing.
_CUTOFF_SPACINGS, _MAX_CUTOFF_PART, _BIN_SPACINGS = 12.0, 0.5, 0.01
#: Pairs that g(r) is counted from: of very many particles only those nearer to each other.
_MAX_PAIRS = 100_000_000
#: From where g(r), averaged over this part of a spacing, differs from 1 by no more than so many errors, it is faded to
#: 1 over so many spacings: what follows is noise. It begins no earlier than after so many spacings.
_AVERAGED_SPACINGS, _MIN_ERRORS, _FADED_SPACINGS, _MIN_CUTOFF_SPACINGS = 0.2, 4.0, 2.0, 2.0
#: g(r) of a fluid passes into the damped oscillation that it decays in over so many spacings, and is continued for so
#: many lengths that it decays over beyond its end.
_JOINED_SPACINGS, _CONTINUED_DECAYS = 1.0, 8.0
#: Wave vectors of a bin of q, at least and at most, and terms (wave vectors times particles) of all bins together.
_MIN_VECTORS, _MAX_VECTORS, _MAX_TERMS = 60, 400, 150_000_000
#: Particles that the direct S(q) is taken of at most: of as many frames, and of the middle of a large window.
_MAX_PARTICLES = 15_000
#: Wavelengths that fit into the shortest edge of the window, at least, for S(q) to be trusted.
_MIN_WAVES = 2.0


@dataclass(frozen=True, eq=False)
class StructureFactor:
    r"""Static structure factor S(q).

    .. math::

        S(q) = \frac{1}{N} \left\langle \Big| \sum_j e^{i \mathbf{q} \cdot \mathbf{r}_j} \Big|^2 \right\rangle
        = 1 + 4 \pi \rho \int_0^\infty (g(r) - 1) \frac{\sin q r}{q r} r^2 \, \mathrm{d}r

    Attributes
    ----------
    q
        Wave numbers, the centres of bins, in radians per `length_unit`.
    s
        S(q) from g(r), whose edges are corrected for: the better one.
    direct
        S(q) from the positions, at wave vectors whose waves fit into the window.
    error
        Standard error of `direct` from the scatter between wave vectors.
    lowest
        q from which on the window holds two wavelengths: below it neither is to be trusted.
    length_unit
        ``"um"``, or ``"px"`` for lateral voxels.

    See Also
    --------
    structure_factor : Computes it.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_colloids.structure import StructureFactor
    >>> q, s = np.array([1.0, 2.0, 3.0]), np.array([0.1, 1.9, 0.8])
    >>> StructureFactor(q, s, direct=s, error=0.1 * s, lowest=1.2, length_unit="um")
    StructureFactor(3 wave numbers up to 3/µm, highest S = 1.9 at q = 2/µm)
    """

    q: Array
    s: Array
    direct: Array
    error: Array
    lowest: float
    length_unit: str

    @property
    def peak(self) -> tuple[float, float]:
        """Wave number and S(q) at the highest point that is to be trusted."""
        trusted = np.where(self.q >= self.lowest, self.s, -np.inf)
        highest = int(np.argmax(trusted))
        return float(self.q[highest]), float(self.s[highest])

    def __repr__(self) -> str:
        q, s = self.peak
        unit = unit_symbol(self.length_unit)
        return (
            f"StructureFactor({len(self.q)} wave numbers up to {self.q[-1]:.4g}/{unit}, "
            f"highest S = {s:.3g} at q = {q:.4g}/{unit})"
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw S(q) from g(r) as a line and the direct one as points with errors.

        Parameters
        ----------
        ax
            Axes to draw on; None makes a new figure.

        Returns
        -------
        matplotlib.axes.Axes
        """
        ax = axes_or_new(ax)
        ax.plot(self.q, self.s, zorder=3, label="from g(r)")
        ax.errorbar(self.q, self.direct, self.error, fmt=".", markersize=3, elinewidth=0.5, label="direct")
        ax.axhline(1.0, color="0.5", linewidth=0.8, linestyle="--", zorder=1)
        ax.axvspan(0, self.lowest, color="0.5", alpha=0.15, linewidth=0)
        ax.set_xlim(left=0)
        ax.set_ylim(bottom=0)
        ax.set_xlabel(f"q (1/{unit_symbol(self.length_unit)})")
        ax.set_ylabel("S(q)")
        ax.legend(frameon=False, labelcolor="linecolor")
        return ax


def structure_factor(
    particles: pd.DataFrame | ArrayLike,
    *,
    shape: Sequence[float] | None = None,
    voxel_size: Sequence[float] | None = None,
    max_q: float | None = None,
    bins: int = 150,
) -> StructureFactor:
    r"""Return the static structure factor S(q).

    Parameters
    ----------
    particles
        Particle table, or array of shape ``(N, 3)``: z, y, x in voxels. The frames of a time series are averaged.
    shape
        Shape ``(z, y, x)`` of the stack in voxels; None takes the box that the particles fill.
    voxel_size
        Micrometres ``(z, y, x)``; None takes what the table's columns in micrometres imply.
    max_q
        Largest q in radians per micrometre, or per lateral voxel where the voxel size is unknown; None takes some four
        peaks.
    bins
        Number of bins.

    Returns
    -------
    StructureFactor

    Raises
    ------
    ColloidsError
        If there are too few particles for g(r), or a setting cannot be used.

    See Also
    --------
    pair_correlation : g(r), which it is the Fourier transform of.

    Notes
    -----
    A window is not periodic. Waves that fit into it, :math:`q_a = 2 \pi n_a / L_a`, do not see its shape; what is left
    of it blurs the direct S(q) by some :math:`2 \pi / L`, which lowers narrow peaks. g(r) is corrected for the faces
    exactly, and so its transform has no such blur, but its noise is spread over all q. Where g(r) of a fluid still
    oscillates when half of the window is reached, it is continued as the damped oscillation that it decays in [1]_;
    what no such oscillation explains, as in a crystal, ends there, and where noise begins, g(r) is faded to 1. Where
    the two agree, both are right.

    References
    ----------
    .. [1] Evans, Leote de Carvalho, Henderson and Hoyle, J. Chem. Phys. 100, 591 (1994).

    Examples
    --------
    Independent positions have S(q) = 1:

    >>> import numpy as np
    >>> from napari_colloids.structure import structure_factor
    >>> gas = np.random.default_rng(0).random((4000, 3)) * 60 - 0.5
    >>> result = structure_factor(gas, shape=(60, 60, 60), max_q=3, bins=15)
    >>> trusted = result.q > result.lowest
    >>> bool(np.abs(result.s[trusted] - 1).max() < 0.1), bool(np.abs(result.direct[trusted] - 1).max() < 0.2)
    (True, True)
    """
    check_value("bins", bins, int, low=1)
    check_value("max_q", max_q, float | None)
    if max_q is not None and max_q <= 0:
        raise ColloidsError("S(q) needs a positive largest q.")
    frames = frames_of(particles, shape, voxel_size, "S(q)")
    number = float(np.mean([len(frame) for frame in frames.positions]))
    density = number / frames.window.volume
    spacing = density ** (-1 / 3)
    edges = np.linspace(0.0, _MAX_Q_SPACING / spacing if max_q is None else max_q, bins + 1)
    q = (edges[:-1] + edges[1:]) / 2
    pairs = _MAX_PAIRS / sum(len(frame) for frame in frames.positions)
    spacings = min(_CUTOFF_SPACINGS, (pairs / (2 / 3 * np.pi)) ** (1 / 3))
    cutoff = min(spacings * spacing, _MAX_CUTOFF_PART * float(frames.window.edges.min()))
    correlation = pair_correlation(
        particles,
        shape=shape,
        voxel_size=voxel_size,
        cutoff=cutoff,
        bins=max(round(cutoff / (_BIN_SPACINGS * spacing)), 2),
    )
    direct, error = _direct(*_enough(frames.positions, frames.window), edges)
    lowest = _MIN_WAVES * 2 * np.pi / float(frames.window.edges.min())
    return StructureFactor(q, _transformed(correlation, density, q), direct, error, lowest, frames.unit)


def _transformed(correlation: PairCorrelation, density: float, q: Array) -> Array:
    """Return S(q) from g(r), which is continued as a fluid's decays, or else faded to 1 where noise begins."""
    r, spacing = correlation.r, density ** (-1 / 3)
    # The number of particles in a window differs from its mean, and g(r) does not end at 1 exactly.
    far = r > r[-1] / 2
    end_value = float(np.average(correlation.g[far], weights=r[far] ** 2))
    g = correlation.g / (end_value or 1.0)
    decay = asymptotic_decay(r, g, correlation.error, spacing)
    if decay is not None:
        faded, end = _JOINED_SPACINGS * spacing, decay.begin
    else:
        faded = _FADED_SPACINGS * spacing
        end = _where_noise_begins(r, g, correlation.error, spacing, faded)
    step = r[1] - r[0]
    weight = np.sin(np.pi / 2 * np.clip(1 - (r - end) / faded, 0, 1)) ** 2
    total = (g - 1) * weight
    if decay is not None:
        beyond = np.arange(r[-1] + step, r[-1] + _CONTINUED_DECAYS / decay.decay, step)
        continued = np.concatenate([(1 - weight) * decay(r), decay(beyond)])
        r, total = np.concatenate([r, beyond]), continued + np.pad(total, (0, len(beyond)))
    return 1 + 4 * np.pi * density * (np.sinc(np.outer(q, r) / np.pi) @ (total * r**2 * step))


def _where_noise_begins(r: Array, g: Array, error: Array, spacing: float, faded: float) -> float:
    """Return the distance from which g(r) tells nothing but noise, early enough to be faded from there."""
    width = max(round(_AVERAGED_SPACINGS * spacing / (r[1] - r[0])), 1)
    mean, variance = (uniform_filter1d(values, width) for values in (g - 1, error**2))
    telling = r[np.abs(mean) > _MIN_ERRORS * np.sqrt(np.maximum(variance, 0) / width)]
    return min(max(telling[-1] if len(telling) else 0.0, _MIN_CUTOFF_SPACINGS * spacing), r[-1] - faded)


def _enough(frames: Sequence[Array], window: Window) -> tuple[list[Array], Array]:
    """Return positions that are enough for the direct S(q), and the edges of the window that they fill."""
    number = int(np.clip(_MAX_PARTICLES // max(len(frame) for frame in frames), 1, len(frames)))
    chosen = [frames[k] for k in np.linspace(0, len(frames) - 1, number).round().astype(int)]
    part = min(1.0, (_MAX_PARTICLES / max(len(frame) for frame in chosen)) ** (1 / 3))
    middle, half = (window.low + window.high) / 2, part * window.edges / 2
    inside = [frame if part == 1 else frame[np.all(np.abs(frame - middle) <= half, axis=1)] for frame in chosen]
    return [frame for frame in inside if len(frame)], 2 * half


def _direct(frames: Sequence[Array], edges: Array, q_edges: Array) -> tuple[Array, Array]:
    """Return S(q) from the positions, averaged over wave vectors of each bin of q, and its standard error."""
    rng = np.random.default_rng(0)
    bins = len(q_edges) - 1
    terms = bins * sum(len(frame) for frame in frames)
    number = int(np.clip(_MAX_TERMS // max(terms, 1), _MIN_VECTORS, _MAX_VECTORS))
    waves = [_waves(low, high, edges, number, rng) for low, high in pairwise(q_edges)]
    each = np.mean([_scattered(frame, np.concatenate(waves), edges) for frame in frames], axis=0)
    value, error = np.full(bins, np.nan), np.full(bins, np.nan)
    ends = np.cumsum([len(some) for some in waves])
    for k, intensities in enumerate(np.split(each, ends[:-1])):
        if len(intensities):
            value[k] = intensities.mean()
            error[k] = intensities.std() / np.sqrt(len(intensities))
    return value, error


def _waves(low: float, high: float, edges: Array, number: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return how many waves fit along each edge of a box, for wave vectors of a range of q.

    Shape ``(M, 3)``: M is at most `number`, and none is opposite to another.
    """
    directions = rng.normal(size=(4 * number, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    lengths = np.cbrt(rng.uniform(low**3, high**3, (4 * number, 1)))
    whole = np.rint(directions * lengths * edges / (2 * np.pi)).astype(np.intp)
    leading = whole[np.arange(len(whole)), np.argmax(whole != 0, axis=1)]
    whole *= np.sign(leading)[:, None]
    # As digits of one number, which are sorted far quicker than rows.
    base = 2 * int(np.abs(whole).max()) + 1
    _, first = np.unique(whole @ np.array([base**2, base, 1]), return_index=True)
    whole = whole[first]
    size = np.linalg.norm(2 * np.pi * whole / edges, axis=1)
    whole = whole[(size >= low) & (size < high) & (size > 0)]
    return whole if len(whole) <= number else whole[rng.choice(len(whole), number, replace=False)]


def _scattered(positions: Array, waves: NDArray[np.intp], edges: Array) -> Array:
    """Return the scattered intensity per particle for each of the numbers of waves, shape ``(M, 3)``, along the edges.

    The phase factor of a wave vector is the product of those along the axes, each of which many wave vectors share.
    """
    if not len(waves):
        return np.empty(0)
    least, most = waves.min(axis=0), waves.max(axis=0)
    z, y, x = (
        np.exp(2j * np.pi / edge * np.outer(np.arange(low, high + 1), along))
        for low, high, edge, along in zip(least, most, edges, positions.T, strict=True)
    )
    return _intensities(z, y, x, waves - least) / len(positions)


@compiled
def _intensities(
    z: NDArray[np.complex128], y: NDArray[np.complex128], x: NDArray[np.complex128], waves: NDArray[np.intp]
) -> Array:
    """Return the intensities of wave vectors, from the phase factors of each number of waves along each axis."""
    found = np.empty(len(waves))
    for k in range(len(waves)):
        along_z, along_y, along_x = z[waves[k, 0]], y[waves[k, 1]], x[waves[k, 2]]
        real, imaginary = 0.0, 0.0
        for n in range(z.shape[1]):
            phase = along_z[n] * along_y[n] * along_x[n]
            real += phase.real
            imaginary += phase.imag
        found[k] = real**2 + imaginary**2
    return found
