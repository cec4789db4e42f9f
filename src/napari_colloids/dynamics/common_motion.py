"""Common motion of particles between two frames: flow, shear, or drift of the stage, before any particle is linked.

The differences of all positions of two frames pile up at the common displacement, as every particle adds to the pile
there, and are spread out elsewhere: the peak of the cross-correlation of two point sets. It is looked for in blocks of
the volume, as in particle image velocimetry, and a smooth field is fitted to the displacements of the particles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import label, uniform_filter
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

#: Longest displacement that is looked for, in distances to the nearest neighbour (median).
_REACH_SPACINGS = 3.0
#: Edge of a bin of the differences, in the same unit; a peak is the sum over a cube of three bins an edge.
_BIN_SPACINGS = 0.15
#: Farthest that a particle is taken from where the field expects it, while the field is fitted, in the same unit.
_MATCH_SPACINGS = 0.3
#: A peak stands above the chance coincidences by this many standard deviations, and this many particles.
_PEAK_SIGMAS, _PEAK_PARTICLES = 6.0, 6.0
#: Peaks lower than the highest by less than this many standard deviations count as equal: as in a crystal.
_EQUAL_SIGMAS = 2.0
#: Particles of a block, about, and blocks of a volume, at most.
_BLOCK_PARTICLES, _MAX_BLOCKS = 50, 32
#: Particles of a block whose differences are binned, at most.
_MAX_BLOCK_PARTICLES = 80
#: Terms of a polynomial in z, y, x of degree 0, 1, 2, 3.
_TERMS = (1, 4, 10, 20)
#: Particles for each coefficient of the field along an axis, at least.
_PARTICLES_PER_TERM = 20
#: Rounds of matching and fitting.
_ROUNDS = 3
#: Misfit (0 to 1) from which a field explains nothing, and from which simpler fields are not tried.
_MOST_MISFIT, _GOOD_MISFIT = 0.8, 0.5
#: Displacements farther from the field than this many times their median distance are left out of the fit.
_OUTLIER = 3.0


@dataclass(frozen=True)
class CommonMotion:
    """Displacement from one frame to the next as a function of position: a polynomial of degree 0 to 3.

    Attributes
    ----------
    origin, size
        Middle of the particles and half their extent: positions are evaluated relative to these. Shape ``(3,)``.
    coefficients
        Shape ``(terms, 3)``: 1 term for one displacement of all, 4 for shear and rotation, 10 or 20 for profiles that
        curve.
    ambiguous
        Whether another motion, not much longer, is about as likely: one by a lattice vector more.
    """

    origin: Array
    size: Array
    coefficients: Array
    ambiguous: bool = False

    def at(self, positions: Array) -> Array:
        """Return the displacements of particles at these positions, shape ``(N, 3)``."""
        return _terms((positions - self.origin) / self.size, len(self.coefficients)) @ self.coefficients


def common_motion(before: Array, after: Array, last: CommonMotion | None) -> CommonMotion | None:
    """Estimate the common motion of particles from one frame to the next.

    Parameters
    ----------
    before, after
        Positions in the two frames, shapes ``(N, 3)`` and ``(M, 3)``, in a unit that is the same along all axes.
    last
        Motion in the step before. It is the first that is tried, and preferred where several are equally likely: in a
        crystal, one lattice vector more changes little.

    Returns
    -------
    CommonMotion or None
        None where there is no clear one: few particles, or such that move at random as far as their distance.
    """
    if min(len(before), len(after)) < _PEAK_PARTICLES:
        return None
    spacing = float(np.median(cKDTree(before).query(before, k=2)[0][:, 1]))
    if not 0 < spacing < np.inf:
        return None
    tree, reach = cKDTree(after), _MATCH_SPACINGS * spacing

    def misfit(displacements: Array) -> float:
        """Return the mean squared distance to the nearest particle, cut at the reach: from 0 to 1."""
        distance = tree.query(before + displacements, distance_upper_bound=reach)[0]
        return float(np.mean(np.minimum(distance / reach, 1.0) ** 2))

    guess, ambiguous = (np.zeros_like(before), False) if last is None else (last.at(before), last.ambiguous)
    if last is None or misfit(guess) > _GOOD_MISFIT:
        block = _blocks_of(before)
        shifts, ambiguous = _shifts(before, after, block, spacing, guess.mean(axis=0))
        if shifts is None:
            return None
        guess = shifts[block]
    middle, size = (before.max(axis=0) + before.min(axis=0)) / 2, np.ptp(before, axis=0) / 2
    size = np.where(size > 0, size, 1.0)
    relative = (before - middle) / size
    best, least = None, min(misfit(np.zeros_like(before)), _MOST_MISFIT)
    for most_terms in sorted(_TERMS, reverse=True):
        displacements = guess
        for _ in range(_ROUNDS):
            source, target = _mutual_nearest(before + displacements, tree, reach)
            if len(source) < _PEAK_PARTICLES:
                return best
            coefficients = _fitted(relative[source], after[target] - before[source], most_terms)
            motion = CommonMotion(middle, size, coefficients, ambiguous)
            displacements = motion.at(before)
        left = misfit(displacements)
        if left < least:
            best, least = motion, left
        # Simpler fields are tried only where the motion is not as smooth as this one: they may explain more.
        if left < _GOOD_MISFIT:
            break
    return best


def _blocks_of(positions: Array) -> NDArray[np.int64]:
    """Return the number of the block that each particle lies in: boxes about as long along all axes."""
    low, extent = positions.min(axis=0), np.ptp(positions, axis=0)
    wanted = np.clip(len(positions) // _BLOCK_PARTICLES, 1, _MAX_BLOCKS)
    counts = more = np.ones(3, dtype=int)
    while more.prod() <= wanted:
        counts, more = more, more.copy()
        more[np.argmax(extent / more)] += 1
    places = np.floor((positions - low) / np.where(extent > 0, extent, 1.0) * counts).astype(int)
    return np.ravel_multi_index(tuple(np.minimum(places, counts - 1).T), tuple(counts)).astype(np.int64)


def _shifts(
    before: Array, after: Array, block: NDArray[np.int64], spacing: float, expected: Array
) -> tuple[Array | None, bool]:
    """Return the displacement of each block, shape ``(blocks, 3)``, and whether others are about as likely in most.

    None where not even that of all together is clear. A block without a clear displacement of its own gets that of all.
    """
    chosen = _at_most(block, _MAX_BLOCK_PARTICLES)
    reach, width = _REACH_SPACINGS * spacing, _BIN_SPACINGS * spacing
    pairs = cKDTree(before[chosen]).sparse_distance_matrix(cKDTree(after), reach, output_type="ndarray")
    source = chosen[pairs["i"]]
    differences = after[pairs["j"]] - before[source]
    owner = block[source]
    bins = 2 * int(np.ceil(reach / width)) + 1
    blocks = int(block.max()) + 1
    places = np.rint(differences / width).astype(int) + bins // 2
    flat = np.ravel_multi_index((owner, *places.T), (blocks, bins, bins, bins))
    counts = np.bincount(flat, minlength=blocks * bins**3).astype(np.float32).reshape(blocks, bins, bins, bins)
    sums = 27 * uniform_filter(counts, size=(1, 3, 3, 3), mode="constant")
    # Particles of `after` that lie in the cube of a peak by chance, per particle of `before`.
    by_chance = len(after) * float(np.prod(3 * width / np.maximum(np.ptp(after, axis=0), 3 * width)))
    sources = np.bincount(block[chosen], minlength=blocks)
    all_together, _ = _peak(sums.sum(axis=0), len(chosen) * by_chance, width, expected)
    if all_together is None:
        return None, False
    whole = _mean_near(differences, all_together, width)
    shifts, rivalled = np.tile(whole, (blocks, 1)), np.zeros(blocks, dtype=bool)
    order = np.argsort(owner, kind="stable")
    parts = np.split(order, np.searchsorted(owner[order], np.arange(1, blocks)))
    for number, part in enumerate(parts):
        peak, rivalled[number] = _peak(sums[number], sources[number] * by_chance, width, whole)
        # One of several equally likely, far from what all others do, is a wrong one.
        if peak is not None and not (rivalled[number] and np.linalg.norm(peak - whole) > spacing / 2):
            shifts[number] = _mean_near(differences[part], peak, width)
    return shifts, bool(rivalled.mean() > 0.5)


def _at_most(block: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return the indices of at most so many particles of each block, the same ones whenever it is called."""
    shuffled = np.random.default_rng(0).permutation(len(block))
    order = shuffled[np.argsort(block[shuffled], kind="stable")]
    first = np.searchsorted(block[order], block[order])
    return np.sort(order[np.arange(len(order)) - first < count])


def _peak(sums: NDArray[np.float32], by_chance: float, width: float, expected: Array) -> tuple[Array | None, bool]:
    """Return the displacement of the peak, the nearest to what is expected of those that are equally high.

    And whether there are several. There is none, None, where it does not stand above what is there by chance.
    """
    highest = float(sums.max())
    if highest < by_chance + _PEAK_SIGMAS * by_chance**0.5 + _PEAK_PARTICLES:
        return None, False
    equal = np.argwhere(sums >= highest - _EQUAL_SIGMAS * highest**0.5)
    places = (equal - sums.shape[0] // 2) * width
    # Bins on the ridge of a motion that differs within the block are one peak.
    peaks = np.unique(label(sums > highest / 2)[0][tuple(equal.T)])
    return np.asarray(places[np.argmin(np.linalg.norm(places - expected, axis=1))], dtype=float), len(peaks) > 1


def _mean_near(differences: Array, peak: Array, width: float) -> Array:
    """Return the mean of the differences about a peak, which moves to where they are densest."""
    for _ in range(_ROUNDS):
        near = np.sum((differences - peak) ** 2, axis=1) < (2 * width) ** 2
        if not near.any():
            break
        peak = differences[near].mean(axis=0)
    return peak


def _mutual_nearest(displaced: Array, tree: cKDTree, reach: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the pairs of particles that are each other's nearest and within reach."""
    distance, target = tree.query(displaced, distance_upper_bound=reach)
    back = cKDTree(displaced).query(tree.data)[1]
    source = np.flatnonzero(np.isfinite(distance))
    source = source[back[target[source]] == source]
    return source, target[source]


def _fitted(relative: Array, displacements: Array, most_terms: int) -> Array:
    """Return the coefficients of the field of the displacements, of the degree that they warrant.

    The degree is that of the least Bayesian information criterion, without displacements far from the field.
    """
    sizes = [terms for terms in _TERMS if terms <= max(1, min(most_terms, len(relative) // _PARTICLES_PER_TERM))]
    terms = _terms(relative, sizes[-1])
    kept = np.ones(len(relative), dtype=bool)
    for _ in range(_ROUNDS):
        coefficients = _least_squares(terms[kept], displacements[kept])
        distance = np.linalg.norm(displacements - terms @ coefficients, axis=1)
        kept = distance <= _OUTLIER * np.median(distance) + 1e-9
    terms, displacements = terms[kept], displacements[kept]
    best, least = np.zeros((1, 3)), np.inf
    for size in sizes:
        coefficients = _least_squares(terms[:, :size], displacements)
        variance = float(np.mean((displacements - terms[:, :size] @ coefficients) ** 2))
        criterion = displacements.size * np.log(max(variance, 1e-12)) + 3 * size * np.log(displacements.size)
        if criterion < least:
            best, least = coefficients, criterion
    return best


def _least_squares(terms: Array, displacements: Array) -> Array:
    """Return the coefficients of a linear fit; the smallest where they are not determined, as in one plane."""
    return np.asarray(np.linalg.lstsq(terms.T @ terms, terms.T @ displacements, rcond=1e-10)[0])


def _terms(relative: Array, count: int) -> Array:
    """Return the first terms of a polynomial of degree 3 in z, y, x: shape ``(N, count)``."""
    powers = [relative**0, relative, relative * relative, relative * relative * relative]
    exponents = sorted(np.ndindex(4, 4, 4), key=sum)[:count]
    return np.column_stack([powers[z][:, 0] * powers[y][:, 1] * powers[x][:, 2] for z, y, x in exponents])
