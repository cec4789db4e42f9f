"""Pair correlation function (radial distribution function) g(r) of particles in a finite box.

References
----------
Ohser and Stoyan, Biom. J. 23, 523 (1981); Illian et al., Statistical Analysis and Modelling of Spatial Point Patterns
(Wiley, 2008), section 4.3: the translation correction of the edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from napari_colloids.errors import ColloidsError
from napari_colloids.plotting import axes_or_new, unit_symbol
from napari_colloids.settings import check_value
from napari_colloids.structure.frames import frames_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

#: Default cutoff in diameters, or in mean spacings where no diameter is given: pairs further apart hardly show order.
_CUTOFF_DIAMETERS = 4.0
#: Particles whose pairs are in memory at a time.
_BLOCK_PARTICLES = 20_000
#: Smallest overlap of the box with itself, moved, over its edge.
_MIN_OVERLAP = 1e-9
#: Smallest cutoff over the largest edge of the box.
_MIN_CUTOFF = 1e-6


@dataclass(frozen=True, eq=False)
class PairCorrelation:
    r"""Pair correlation function g(r): how much likelier than by chance two particles are a distance r apart.

    .. math::

        g(r) = \frac{1}{\rho N} \left\langle \sum_{i} \sum_{j \neq i}
        \frac{\delta(r - |\mathbf{r}_j - \mathbf{r}_i|)}{4 \pi r^2} \right\rangle

    with the number density :math:`\rho` of the :math:`N` particles.

    Attributes
    ----------
    r
        Distances, the centres of the bins, in `unit`.
    g
        The pair correlation function at these distances; 1 for an ideal gas, whose positions are independent.
    unit
        ``"um"``, or ``"px"`` for lateral voxels.
    error
        Standard error of g from the number of pairs alone. In a dense suspension it is about that; the density of a
        dilute one differs from place to place, which adds to it at large distances.

    See Also
    --------
    pair_correlation : Computes it.
    first_minimum : The end of the first shell of neighbours.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_colloids.structure import PairCorrelation
    >>> r, g = np.array([0.5, 1.5, 2.5]), np.array([0.0, 2.4, 0.9])
    >>> PairCorrelation(r, g, unit="um", error=np.array([0.0, 0.1, 0.1]))
    PairCorrelation(3 distances up to 2.5 µm, highest g = 2.4 at r = 1.5 µm)
    """

    r: Array
    g: Array
    unit: str
    error: Array

    def __repr__(self) -> str:
        peak = int(np.argmax(self.g))
        unit = unit_symbol(self.unit)
        return (
            f"PairCorrelation({len(self.r)} distances up to {self.r[-1]:.4g} {unit}, "
            f"highest g = {self.g[peak]:.3g} at r = {self.r[peak]:.4g} {unit})"
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw g(r) against the distance, with a dashed line at 1, the ideal gas.

        Parameters
        ----------
        ax
            Axes to draw on; None makes a new figure.

        Returns
        -------
        matplotlib.axes.Axes
        """
        ax = axes_or_new(ax)
        (line,) = ax.plot(self.r, self.g, label="g(r)")
        ax.axhline(1.0, color="0.5", linewidth=0.8, linestyle="--", zorder=1)
        band = self.g - self.error, self.g + self.error
        ax.fill_between(self.r, *band, color=line.get_color(), alpha=0.3, linewidth=0)
        ax.set_xlim(left=0)
        ax.set_ylim(bottom=0)
        ax.set_xlabel(f"r ({unit_symbol(self.unit)})")
        ax.set_ylabel("g(r)")
        return ax


def pair_correlation(
    particles: pd.DataFrame | ArrayLike,
    *,
    shape: Sequence[float] | None = None,
    voxel_size: Sequence[float] | None = None,
    diameter: float | None = None,
    cutoff: float | None = None,
    bins: int = 100,
) -> PairCorrelation:
    r"""Return the pair correlation function g(r), also called radial distribution function.

    .. math::

        g(r_k) = \frac{\sum_{i < j,\; |\mathbf{d}_{ij}| \in \text{bin } k} V / V(\mathbf{d}_{ij})}
        {\frac{1}{2} N (N - 1)\, v_k / V}, \qquad
        V(\mathbf{d}) = \prod_{a \in \{z, y, x\}} (L_a - |d_a|)

    with the vectors :math:`\mathbf{d}_{ij}` between particles, a box of edges :math:`L_a` and volume :math:`V`, and the
    volume :math:`v_k` of the spherical shell.

    Parameters
    ----------
    particles
        Particle table, or array of shape ``(N, 3)``: z, y, x in voxels. The frames of a time series are averaged.
    shape
        Shape ``(z, y, x)`` in voxels of the stack, or of the part of it that the table covers where particles were left
        out (those near the faces, or outside a region): a larger one makes g(r) too high. None takes the box that the
        particles fill, as randomly placed ones do; that of a crystal is larger, by half a lattice plane at each face:
        cut from 2000 spheres, it seems to have 10.0 neighbours instead of 12.
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

    See Also
    --------
    first_minimum : The end of the first shell of neighbours.
    neighbour_distance : The position of the first peak.

    Notes
    -----
    The box is finite: a particle at its edge has fewer neighbours. The translation correction [1]_ [2]_ weights each
    pair by the volume of the box over that of its overlap with itself moved by :math:`\mathbf{d}_{ij}`, which makes the
    estimate exact on average for any homogeneous sample. It needs one division a pair; correcting every shell for the
    part that the box cuts off, as trackpy's ``pair_correlation_3d`` does, gives the same at ten times the cost.

    For monodisperse hard spheres g(r) is 0 below the diameter and highest at contact. The **contact value** fixes their
    pressure [3]_; finite bins and localisation errors lower it.

    References
    ----------
    .. [1] Ohser and Stoyan, "On the second-order and orientation analysis of planar stationary point processes",
       Biom. J. 23, 523 (1981).
    .. [2] Illian, Penttinen, Stoyan and Stoyan, Statistical Analysis and Modelling of Spatial Point Patterns (Wiley,
       2008), section 4.3.
    .. [3] Hansen and McDonald, Theory of Simple Liquids, 4th ed. (Academic Press, 2013).

    Examples
    --------
    A simple cubic crystal with neighbours 10 voxels apart has 6 neighbours in the first shell:

    >>> import numpy as np
    >>> from napari_colloids import pair_correlation
    >>> crystal = 10.0 * np.indices((8, 8, 8)).reshape(3, -1).T + 4.5
    >>> result = pair_correlation(crystal, shape=(80, 80, 80), cutoff=12, bins=60)
    >>> result
    PairCorrelation(60 distances up to 11.9 px, highest g = 23.4 at r = 10.1 px)
    >>> density, width = 1e-3, result.r[1] - result.r[0]
    >>> print(f"{np.sum(4 * np.pi * result.r**2 * result.g * density * width):.1f}")
    6.0
    >>> result.plot().get_xlabel()
    'r (px)'
    """
    check_value("bins", bins, int, low=1)
    check_value("cutoff", cutoff, float | None)
    check_value("diameter", diameter, float | None)
    if any(length is not None and length <= 0 for length in (cutoff, diameter)):
        raise ColloidsError("g(r) needs a positive cutoff and a positive diameter.")
    seen = frames_of(particles, shape, voxel_size, "g(r)")
    frames, box, scaling = seen.positions, seen.window.edges, seen.scaling
    if cutoff is None:
        density = float(np.mean([len(frame) for frame in frames]) / np.prod(box))
        cutoff = _CUTOFF_DIAMETERS * (density ** (-1 / 3) if diameter is None else diameter * scaling.lateral)
    if cutoff < _MIN_CUTOFF * float(box.max()):
        raise ColloidsError(f"g(r) up to {cutoff:.3g} cannot be computed in a box of {box.max():.3g}: give more.")
    edges = np.linspace(0.0, min(cutoff, float(box.min())), bins + 1)
    found, variance, expected = np.zeros(bins), np.zeros(bins), np.zeros(bins)
    shells = 4 / 3 * np.pi * np.diff(edges**3)
    for frame in frames:
        for displacements in _close_pairs(frame, edges[-1]):
            # Particles may lie a little outside the stack, where a fit has put them.
            overlap = np.prod(np.maximum(box - displacements, _MIN_OVERLAP * box), axis=1)
            distances = np.linalg.norm(displacements, axis=1)
            found += np.histogram(distances, edges, weights=1 / overlap)[0]
            variance += np.histogram(distances, edges, weights=1 / overlap**2)[0]
        expected += shells * len(frame) * (len(frame) - 1) / 2 / np.prod(box) ** 2
    middles = (edges[:-1] + edges[1:]) / 2
    return PairCorrelation(middles, found / expected, scaling.unit, np.sqrt(variance) / expected)


def _close_pairs(positions: Array, cutoff: float) -> Iterator[Array]:
    """Yield the absolute displacements ``(pairs, 3)`` of pairs within the cutoff, block by block to limit memory."""
    axis = int(np.argmax(np.ptp(positions, axis=0)))
    if len(positions) > _BLOCK_PARTICLES:
        positions = positions[np.argsort(positions[:, axis], kind="stable")]
    for start in range(0, len(positions), _BLOCK_PARTICLES):
        block = positions[start : start + _BLOCK_PARTICLES]
        tree = cKDTree(block)
        pairs = tree.query_pairs(cutoff, output_type="ndarray")
        yield np.abs(block[pairs[:, 0]] - block[pairs[:, 1]])
        end = np.searchsorted(positions[:, axis], block[-1, axis] + cutoff, side="right")
        later = positions[start + _BLOCK_PARTICLES : end]
        if len(later):
            across = tree.sparse_distance_matrix(cKDTree(later), cutoff, output_type="ndarray")
            yield np.abs(block[across["i"]] - later[across["j"]])
