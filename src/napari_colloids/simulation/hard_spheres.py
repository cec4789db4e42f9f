"""Hard spheres that move by small random steps, one after the other: rejected where spheres would overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from napari_colloids.compiled import compiled
from napari_colloids.simulation.arrangement import Arrangement

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

#: Root mean square length of a trial step over the diameter, or over the mean gap between spheres where that is less.
_TRIAL_STEP_DIAMETERS = 0.01
_TRIAL_STEP_GAPS = 1 / 6
#: Volume fraction at which no gap is left.
_JAMMING_VOLUME_FRACTION = 0.65
#: Fraction of the mean squared displacement of a frame that may be left out; trial steps would shrink without end.
_MAX_OMITTED_MSD_FRACTION = 1e-3
#: Skin of the Verlet list: pairs of spheres up to this far (in diameters) beyond contact are listed.
_SKIN_DIAMETERS = 0.6


class HardSpheres:
    """State of hard spheres in a box, with unwrapped positions and a Verlet list of neighbours.

    Parameters
    ----------
    start
        Where they start. Spheres that overlap there may go on doing so, but come no nearer to each other. In a box
        that is not periodic no centre leaves the box.
    held
        Shape ``(N,)``: spheres that never move; None for none.
    """

    def __init__(self, start: Arrangement, held: NDArray[np.bool_] | None = None) -> None:
        self.positions = start.positions.copy()
        self._radii = start.radii
        self._box, self._periodic = start.box, start.periodic
        self._held = np.zeros(len(start.radii), bool) if held is None else held
        self._diameter = 2 * float(start.radii.mean()) if len(start.radii) else 1.0
        gap = (_JAMMING_VOLUME_FRACTION / max(start.volume_fraction, 0.1)) ** (1 / 3) - 1
        self._trial_step = min(_TRIAL_STEP_DIAMETERS, _TRIAL_STEP_GAPS * gap) * self._diameter
        self._max_displacement = 0.0
        self._update_neighbours()

    def arrangement(self) -> Arrangement:
        """Return the spheres, wrapped into the box where it is periodic."""
        positions = self.positions % np.asarray(self._box) if self._periodic else self.positions.copy()
        return Arrangement(positions, self._radii, self._box, self._periodic)

    def move(self, step: float, rng: np.random.Generator) -> None:
        """Move, in many small trial steps, by a root mean square displacement `step` in the absence of neighbours."""
        left = step**2 if len(self.positions) else 0.0
        while left > _MAX_OMITTED_MSD_FRACTION * step**2:
            length = min(self._trial_step, np.sqrt(left))
            # Were the rejected steps to count as time, spheres would diffuse too slowly, the more so the longer the
            # steps; this way the error is of second order in their length.
            left -= length**2 * self.sweep(length, rng)

    def sweep(self, length: float, rng: np.random.Generator) -> float:
        """Try a step of a root mean square length with each sphere; returns the fraction of steps that was accepted."""
        steps = rng.normal(0.0, length / np.sqrt(3), self.positions.shape)
        steps[self._held] = 0
        if not self._periodic:
            after = self.positions + steps
            steps[np.any((after < 0) | (after >= self._box), axis=1)] = 0
        # No pair that is not listed may touch.
        farthest = self._max_displacement + np.sqrt(3) * float(np.abs(steps).max(initial=0))
        if 2 * farthest > _SKIN_DIAMETERS * self._diameter:
            self._update_neighbours()
        accepted, displacement = _sweep(self.positions, steps, *self._neighbours, self._listed_positions)
        self._max_displacement = max(self._max_displacement, displacement)
        return accepted / max(len(self.positions), 1)

    def _update_neighbours(self) -> None:
        """List the neighbours of each sphere that may touch it soon, and across which faces of the box."""
        reach = 2 * float(self._radii.max(initial=0.0)) + _SKIN_DIAMETERS * self._diameter
        box = np.asarray(self._box)
        tree = cKDTree(self.positions % box, boxsize=box) if self._periodic else cKDTree(self.positions)
        found = tree.query_pairs(reach, output_type="ndarray")
        pairs = np.concatenate([found, found[:, ::-1]])
        pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
        first = np.searchsorted(pairs[:, 0], np.arange(len(self.positions) + 1))
        apart = self.positions[pairs[:, 0]] - self.positions[pairs[:, 1]]
        shifts = box * np.round(apart / box) if self._periodic else np.zeros_like(apart)
        # Neighbours that touch already, to within rounding, are allowed to.
        contact2 = np.minimum(self._radii[pairs].sum(axis=1) ** 2, np.sum((apart - shifts) ** 2, axis=1) * (1 - 1e-12))
        self._neighbours = first, np.ascontiguousarray(pairs[:, 1]), shifts, contact2
        self._listed_positions = self.positions.copy()
        self._max_displacement = 0.0


@compiled
def _sweep(
    positions: Array,
    steps: Array,
    first: NDArray[np.intp],
    partners: NDArray[np.intp],
    shifts: Array,
    contact2: Array,
    listed_positions: Array,
) -> tuple[int, float]:
    """Move each sphere by its step unless it would overlap; its neighbours are ``partners[first[n] : first[n + 1]]``.

    Return the number of accepted steps, and the largest displacement since the neighbours were listed.
    """
    accepted, largest2 = 0, 0.0
    for n in range(len(positions)):
        z, y, x = positions[n, 0] + steps[n, 0], positions[n, 1] + steps[n, 1], positions[n, 2] + steps[n, 2]
        free = True
        for k in range(first[n], first[n + 1]):
            other = positions[partners[k]]
            up, side, along = z - other[0] - shifts[k, 0], y - other[1] - shifts[k, 1], x - other[2] - shifts[k, 2]
            if up * up + side * side + along * along < contact2[k]:
                free = False
                break
        if free:
            positions[n, 0], positions[n, 1], positions[n, 2] = z, y, x
            accepted += 1
            start = listed_positions[n]
            largest2 = max(largest2, (z - start[0]) ** 2 + (y - start[1]) ** 2 + (x - start[2]) ** 2)
    return accepted, np.sqrt(largest2)
