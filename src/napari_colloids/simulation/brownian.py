"""Hard spheres in Brownian motion, imaged frame by frame: a time series whose trajectories are known.

References
----------
Cichocki and Hinsen, Physica A 166, 473 (1990): Brownian dynamics of hard spheres as small random steps, one sphere
after the other, of which those that would overlap are not taken.
Sanz and Marenduzzo, J. Chem. Phys. 132, 194102 (2010): as time that passes, such steps count by the part that is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial import cKDTree

from napari_colloids.compiled import compiled
from napari_colloids.errors import ColloidsError
from napari_colloids.particles import particle_table
from napari_colloids.settings import takes_settings
from napari_colloids.simulation.arrangement import Arrangement
from napari_colloids.simulation.parameters import Parameters, stack_parameters
from napari_colloids.simulation.scene import image_arrangement, packed_box, seeded
from napari_colloids.stack import Stack, checked_frame_interval

if TYPE_CHECKING:
    from typing import Unpack

    import pandas as pd
    from numpy.typing import NDArray

    from napari_colloids.simulation.parameters import ParameterChanges
    from napari_colloids.stack import VoxelSize

    Array = NDArray[np.float64]

#: Root mean square length of a trial step over the diameter, and over the mean gap between spheres, whichever is less.
_TRIAL = 0.01
_TRIAL_IN_GAP = 1 / 6
#: Volume fraction at which no gap is left.
_JAMMED = 0.65
#: Part of the way from frame to frame (squared) that may be left out: trial steps would shrink without end.
_REST = 1e-3
#: Pairs of spheres that are this much (in diameters) further apart than contact are watched for overlap.
_SKIN = 0.6


@dataclass(frozen=True, eq=False)
class BrownianSimulation:
    """A simulated time series and its truth.

    Attributes
    ----------
    stack
        The images, axes ``"tzyx"``.
    particles
        All particles whose centre lies in the stack: ``frame``, ``z, y, x`` in voxels, ``radius`` in lateral voxels and
        ``particle``. One that leaves the periodic box is a new particle where it comes in again.
    trajectories
        The path of every sphere of the box, seen or not, in the same columns; positions run on across the faces of
        the box. Its ``particle`` is another count.
    parameters
        How it was made, the seed included.
    """

    stack: Stack
    particles: pd.DataFrame
    trajectories: pd.DataFrame
    parameters: Parameters


@takes_settings(Parameters)
def simulate_brownian(
    parameters: Parameters | None = None,
    /,
    *,
    frames: int = 20,
    step: float = 1.0,
    frame_interval: float | None = None,
    **changes: Unpack[ParameterChanges],
) -> BrownianSimulation:
    """Simulate a time series of hard spheres in Brownian motion.

    Parameters
    ----------
    parameters
        What to simulate; keywords below replace single fields. The arrangement is where the spheres start, and must
        be periodic, which a crystal is not. The brightness of a particle, where it varies, is drawn anew in each frame.
    frames
        Number of frames.
    step
        Root mean square distance, in lateral voxels, that a sphere without neighbours moves from one frame to the next;
        a sixth of its square is the diffusion coefficient (voxels squared per frame) at infinite dilution.
    frame_interval
        Seconds between frames, or None.
    {settings}

    Returns
    -------
    BrownianSimulation

    Raises
    ------
    ColloidsError
        If a parameter is unknown or out of range, or the arrangement does not suit.

    Notes
    -----
    There are no hydrodynamic interactions, and all spheres diffuse alike, whatever their radius. Trial steps are so
    small that up to a volume fraction of 0.55 diffusion coefficients are within 2 % of their limit of small steps, and
    up to 0.6 within 5 %; the structure is that of the equilibrium. The packing that random spheres start from is near
    the equilibrium, not in it: the first frames still relax.
    """
    parameters = stack_parameters(parameters, changes)
    if frames < 1 or not (np.isfinite(step) and step >= 0):
        raise ColloidsError("A time series needs one frame or more and a step of 0 or more voxels.")
    interval = checked_frame_interval(frame_interval)
    parameters, rng = seeded(parameters)
    start = _start(parameters, rng)
    spheres = _Spheres(start)
    images, paths = [], []
    for frame in range(frames):
        if frame:
            spheres.move(step, rng)
        image = image_arrangement(spheres.arrangement(), parameters, rng)
        images.append(np.asarray(image.stack.data))
        paths.append(spheres.positions.copy())
    stack = Stack(
        np.stack(images),
        axes="tzyx",
        voxel_size=image.stack.voxel_size,
        name="simulated series",
        frame_interval=interval,
    )
    return BrownianSimulation(stack, *_truth(np.array(paths), start, parameters, stack.voxel_size), parameters)


def _start(parameters: Parameters, rng: np.random.Generator) -> Arrangement:
    """Place the spheres in a periodic box."""
    start = packed_box(parameters, rng)
    if not start.periodic:
        raise ColloidsError(
            f"Brownian motion needs a periodic box, which the arrangement '{parameters.arrangement}' lacks."
        )
    return start


def _truth(
    paths: Array, start: Arrangement, parameters: Parameters, voxel_size: VoxelSize | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the tables of the particles in the stack and of all paths, which run on, shape ``(frames, N, 3)``."""
    aspect = np.array([parameters.voxel_aspect, 1.0, 1.0])
    frames, count, _ = paths.shape
    columns: dict[str, Any] = {
        "radius": np.tile(start.radii, frames),
        "frame": np.repeat(np.arange(frames), count),
        "particle": np.tile(np.arange(count), frames),
    }
    flat = paths.reshape(-1, 3)
    trajectories = particle_table(flat / aspect - 0.5, voxel_size=voxel_size, **columns)
    # A sphere is another particle in each repetition of the box.
    repetition = np.floor(flat / start.box)
    names = np.column_stack([columns["particle"], repetition])
    columns["particle"] = np.unique(names, axis=0, return_inverse=True)[1]
    voxels = (flat - repetition * start.box) / aspect - 0.5
    particles = particle_table(voxels, voxel_size=voxel_size, **columns)
    seen = np.all((voxels >= -0.5) & (voxels < np.array(parameters.shape) - 0.5), axis=1)
    return particles[seen].reset_index(drop=True), trajectories


class _Spheres:
    """Hard spheres in a periodic box, on the move; their positions run on across its faces."""

    def __init__(self, start: Arrangement) -> None:
        self.positions = start.positions.copy()
        self._radii = start.radii
        self._box = np.asarray(start.box)
        self._diameter = 2 * float(start.radii.mean()) if len(start.radii) else 1.0
        gap = (_JAMMED / max(start.volume_fraction, 0.1)) ** (1 / 3) - 1
        self._trial = min(_TRIAL, _TRIAL_IN_GAP * gap) * self._diameter
        self._travelled = 0.0
        self._watch()

    def arrangement(self) -> Arrangement:
        """Return where the spheres are in the box."""
        z, y, x = self._box
        return Arrangement(self.positions % self._box, self._radii, (float(z), float(y), float(x)), periodic=True)

    def move(self, step: float, rng: np.random.Generator) -> None:
        """Move, in many small trial steps, by a root mean square distance of `step` where there are no neighbours."""
        left = step**2 if len(self.positions) else 0.0
        while left > _REST * step**2:
            length = min(self._trial, np.sqrt(left))
            steps = rng.normal(0.0, length / np.sqrt(3), self.positions.shape)
            # No pair that is not watched may touch.
            if 2 * (self._travelled + np.sqrt(3) * float(np.abs(steps).max())) > _SKIN * self._diameter:
                self._watch()
            taken, travelled = _sweep(self.positions, steps, *self._neighbours, self._watched_from)
            self._travelled = max(self._travelled, travelled)
            # Were the steps that are not taken to count as time, spheres would diffuse too slowly, the more so the
            # longer the steps; this way the error is of second order in their length.
            left -= length**2 * taken / len(self.positions)

    def _watch(self) -> None:
        """Note the neighbours of each sphere (and across which faces of the box) that are near enough to touch soon."""
        reach = 2 * float(self._radii.max(initial=0.0)) + _SKIN * self._diameter
        found = cKDTree(self.positions % self._box, boxsize=self._box).query_pairs(reach, output_type="ndarray")
        pairs = np.concatenate([found, found[:, ::-1]])
        pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
        first = np.searchsorted(pairs[:, 0], np.arange(len(self.positions) + 1))
        apart = self.positions[pairs[:, 0]] - self.positions[pairs[:, 1]]
        shifts = self._box * np.round(apart / self._box)
        # Neighbours that touch already, to within rounding, may stay as they are.
        contact2 = np.minimum(self._radii[pairs].sum(axis=1) ** 2, np.sum((apart - shifts) ** 2, axis=1) * (1 - 1e-12))
        self._neighbours = first, np.ascontiguousarray(pairs[:, 1]), shifts, contact2
        self._watched_from = self.positions.copy()
        self._travelled = 0.0


@compiled
def _sweep(
    positions: Array,
    steps: Array,
    first: NDArray[np.intp],
    partners: NDArray[np.intp],
    shifts: Array,
    contact2: Array,
    watched_from: Array,
) -> tuple[int, float]:
    """Let each sphere take its step unless it would overlap; the neighbours of sphere n are `first[n]`, ... of theirs.

    Return how many took it, and how far the one that has come furthest is from where it was watched from.
    """
    taken, furthest2 = 0, 0.0
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
            taken += 1
            start = watched_from[n]
            furthest2 = max(furthest2, (z - start[0]) ** 2 + (y - start[1]) ** 2 + (x - start[2]) ** 2)
    return taken, np.sqrt(furthest2)
