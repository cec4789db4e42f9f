"""Arrangements of spheres: hard-sphere packings, crystals, gels, strings and dilute gases.

All lengths are in one isotropic unit (the lateral voxel); the caller converts z to slices.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import product

import numpy as np
import spheropack
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from napari_colloids.errors import ColloidsError
from napari_colloids.simulation.parameters import MAX_VOLUME_FRACTION

#: Kinds of arrangement, with a description.
ARRANGEMENTS = {
    "random": "hard-sphere fluid or glass (Lubachevsky-Stillinger packing)",
    "crystal": "face-centred cubic crystal, randomly oriented, with thermal motion",
    "gel": "branched network of touching spheres",
    "strings": "chains of touching spheres along z, as in an electric field",
}

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Arrangement:
    """Spheres in a box.

    Attributes
    ----------
    positions
        Shape ``(N, 3)``: z, y, x of the centres.
    radii
        Shape ``(N,)``.
    box
        Edge lengths z, y, x of the box, whose corner is the origin.
    periodic
        Whether the box has periodic boundary conditions.
    """

    positions: Array
    radii: Array
    box: tuple[float, float, float]
    periodic: bool

    @property
    def volume_fraction(self) -> float:
        """Volume of the spheres centred in the box over that of the box."""
        radii = self.within(np.zeros(3), np.asarray(self.box))[1]
        return float(4 / 3 * np.pi * np.sum(radii**3) / np.prod(self.box))

    @property
    def polydispersity(self) -> float:
        """Standard deviation of all radii over their mean; 0 without spheres."""
        return float(np.std(self.radii) / np.mean(self.radii)) if len(self.radii) else 0.0

    def within(self, low: Array, high: Array) -> tuple[Array, Array]:
        """Return positions and radii of all spheres, periodic images included, with centres in ``[low, high)``."""
        box = np.asarray(self.box)
        if not self.periodic:
            keep = np.all((self.positions >= low) & (self.positions < high), axis=1)
            return self.positions[keep], self.radii[keep]
        ranges = [range(int(np.floor(a / b)), int(np.ceil(c / b))) for a, b, c in zip(low, box, high, strict=True)]
        positions, radii = [np.empty((0, 3))], [np.empty(0)]
        for cell in product(*ranges):
            shifted = self.positions + np.asarray(cell) * box
            keep = np.all((shifted >= low) & (shifted < high), axis=1)
            positions.append(shifted[keep])
            radii.append(self.radii[keep])
        return np.concatenate(positions), np.concatenate(radii)


@dataclass(frozen=True)
class Composition:
    r"""How many spheres there are, and of which sizes.

    Attributes
    ----------
    volume_fraction
        Volume of the spheres over that of the box; gels and strings may fall short of it.
    radius
        Mean radius.
    polydispersity
        Standard deviation of the radius over its mean (a normal distribution, cut at 2.5 standard deviations); a
        crystal takes no more than its gaps allow, and then a few of its pairs overlap by some per cent.
    size_ratio
        Large over small mean radius of a binary mixture; 1 is one size. Crystals are of one size.
    large_fraction
        Number fraction of the large ones in a mixture.

    Notes
    -----
    In a box of volume :math:`V` there are

    .. math:: N = \frac{\phi V}{\langle v \rangle}, \qquad
        \langle v \rangle = \frac{4}{3} \pi \bar r^3 (1 + 3 p^2)
        \left[ (1 - x) \rho_\mathrm{s}^3 + x \rho_\mathrm{l}^3 \right]

    spheres, where :math:`p` is the polydispersity, :math:`x` the fraction of large ones, and :math:`\rho` the radii of
    `species_radii`.
    """

    volume_fraction: float
    radius: float
    polydispersity: float = 0.0
    size_ratio: float = 1.0
    large_fraction: float = 0.5

    def draw(self, volume: float, rng: np.random.Generator) -> Array:
        """Draw the radii of the spheres in a box of a volume."""
        species = species_radii(self.size_ratio, self.large_fraction)
        cubed = (1 - self.large_fraction) * species[0] ** 3 + self.large_fraction * species[1] ** 3
        mean_volume = 4 / 3 * np.pi * self.radius**3 * (1 + 3 * self.polydispersity**2) * float(cubed)
        count = round(self.volume_fraction * volume / mean_volume)
        radii = _draw_radii(count, self.radius, self.polydispersity, rng)
        if self.size_ratio != 1:
            radii *= species[draw_species(count, self.large_fraction, rng)]
        return radii


def arrange(
    kind: str,
    box: tuple[float, float, float],
    composition: Composition,
    rng: np.random.Generator,
    *,
    margin: Array | float = 0.0,
) -> Arrangement:
    """Place spheres in a box.

    Parameters
    ----------
    kind
        One of `ARRANGEMENTS`.
    box
        Edge lengths z, y, x; at least four mean diameters are used.
    composition
        Number and sizes of the spheres.
    rng
        Source of randomness.
    margin
        Margin around the box (z, y, x, or all alike) in which there must be spheres, too. The other arrangements are
        periodic; crystals are made that much larger, and by two diameters at least.

    Raises
    ------
    ColloidsError
        If the kind is unknown or the packing did not reach the volume fraction.
    """
    if kind not in ARRANGEMENTS:
        raise ColloidsError(f"There is no arrangement '{kind}'; choose one of {', '.join(ARRANGEMENTS)}.")
    edges = np.maximum(box, 8.0 * composition.radius)
    if kind == "crystal":
        return _crystal(edges, np.maximum(margin, 4 * composition.radius), composition, rng)
    radii = composition.draw(float(np.prod(edges)), rng)
    if kind == "random":
        return _packing(edges, radii, rng)
    return _grow(edges, radii, rng, strings=kind == "strings")


def species_radii(size_ratio: float, large_fraction: float) -> Array:
    """Return the radii of the small and the large spheres of a binary mixture over the mean radius."""
    return 1 / (1 - large_fraction + large_fraction * size_ratio) * np.array([1.0, size_ratio])


def draw_species(count: int, large_fraction: float, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return for each of so many spheres 1 where it is a large one, else 0; exactly their number fraction is large."""
    number = rng.permutation(count)
    return (np.floor((number + 1) * large_fraction) > np.floor(number * large_fraction)).astype(np.intp)


def _draw_radii(count: int, radius: float, polydispersity: float, rng: np.random.Generator) -> Array:
    return radius * (1 + polydispersity * np.clip(rng.standard_normal(count), -2.5, 2.5))


def _box(edges: Array) -> tuple[float, float, float]:
    return float(edges[0]), float(edges[1]), float(edges[2])


def _packing(edges: Array, radii: Array, rng: np.random.Generator) -> Arrangement:
    """Pack spheres at random (Lubachevsky-Stillinger)."""
    if len(radii) == 0:
        return Arrangement(np.empty((0, 3)), radii, _box(edges), periodic=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error", spheropack.PackingWarning)
        try:
            packing = spheropack.pack(
                radii=radii,
                container=spheropack.PeriodicBox(_box(edges)),
                growth_rate=0.05,
                seed=int(rng.integers(2**31)),
            )
        except spheropack.PackingWarning as error:
            raise ColloidsError(
                "The spheres jammed before they reached the volume fraction; choose a lower one "
                f"(random packings end near {MAX_VOLUME_FRACTION})."
            ) from error
    return Arrangement(np.asarray(packing.positions), np.asarray(packing.radii), _box(edges), periodic=True)


def _crystal(edges: Array, margin: Array, composition: Composition, rng: np.random.Generator) -> Arrangement:
    """Make a face-centred cubic lattice in a random orientation; spheres are displaced within the gaps."""
    radius = composition.radius
    lattice = (16 / 3 * np.pi * radius**3 / composition.volume_fraction) ** (1 / 3)
    beyond = np.linalg.norm(np.broadcast_to(margin, 3)) / lattice
    reach = int(np.ceil(np.linalg.norm(edges) / 2 / lattice)) + max(3, int(np.ceil(beyond)))
    cells = np.stack(np.meshgrid(*[np.arange(-reach, reach)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    basis = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    points = lattice * (cells + basis).reshape(-1, 3)
    points = Rotation.random(random_state=int(rng.integers(2**31))).apply(points) + edges / 2
    gap = max(lattice / np.sqrt(2) - 2 * radius, 0.0)
    points += np.clip(rng.normal(0, gap / 3, points.shape), -gap / 3.5, gap / 3.5)
    points = points[np.all((points > -margin) & (points < edges + margin), axis=1)]
    spread = min(composition.polydispersity, gap / (5 * radius))  # a crystal has no room for more
    return Arrangement(points, _draw_radii(len(points), radius, spread, rng), _box(edges), periodic=False)


def _grow(edges: Array, radii: Array, rng: np.random.Generator, *, strings: bool) -> Arrangement:
    """Attach spheres to each other one by one: in random directions (gel), or nearly along z (strings)."""
    placed = np.empty((len(radii), 3))
    n = 0
    n_in_tree, tree = 0, None
    tips: list[int] = []
    for r in radii:
        for _attempt in range(30):
            start_new = not tips or rng.random() < (0.08 if strings else 0.02)
            if start_new:
                candidate = rng.uniform(0, 1, 3) * edges
            else:
                # Mostly at the latest sphere, else at any: this gives thin branches.
                parent = tips[-1] if rng.random() < 0.7 else tips[int(rng.integers(len(tips)))]
                direction = rng.standard_normal(3)
                if strings:
                    direction = np.array([rng.choice([-1.0, 1.0]), 0, 0]) + 0.15 * direction
                direction /= np.linalg.norm(direction)
                candidate = (placed[parent] + direction * (radii[parent] + r) * 1.001) % edges
            if n > n_in_tree + 64:
                tree, n_in_tree = cKDTree(placed[:n] % edges, boxsize=edges), n
            near = np.arange(n_in_tree, n)
            if tree is not None:
                near = np.concatenate([near, tree.query_ball_point(candidate % edges, r + radii.max())]).astype(int)
            apart = placed[near] - candidate
            apart -= edges * np.round(apart / edges)
            if np.all(np.linalg.norm(apart, axis=1) >= radii[near] + r):
                placed[n] = candidate % edges
                radii[n] = r
                tips.append(n)
                n += 1
                break
    return Arrangement(placed[:n], radii[:n], _box(edges), periodic=True)
