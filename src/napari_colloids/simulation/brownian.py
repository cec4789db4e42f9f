"""Hard spheres in Brownian motion, photographed frame by frame: a time series whose trajectories are known.

References
----------
Cichocki and Hinsen, Physica A 166, 473 (1990): Brownian dynamics of hard spheres as small random steps, of which those
that would overlap are not taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial import cKDTree

from napari_colloids.errors import ColloidsError
from napari_colloids.particles import particle_table
from napari_colloids.simulation.arrangement import Arrangement
from napari_colloids.simulation.scene import Parameters, checked_changes, packed, photograph, seeded
from napari_colloids.stack import Stack, checked_frame_interval

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from napari_colloids.stack import VoxelSize

    Array = NDArray[np.float64]

#: Root mean square length of a trial step over the diameter; between dense spheres there is little more room.
_TRIAL = 0.03
#: Pairs of spheres that are this much (in diameters) further apart than contact are watched for overlap.
_SKIN = 0.4


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


def simulate_brownian(
    parameters: Parameters | None = None,
    /,
    *,
    frames: int = 20,
    step: float = 1.0,
    frame_interval: float | None = None,
    **changes: Any,
) -> BrownianSimulation:
    """Simulate a time series of hard spheres in Brownian motion.

    Parameters
    ----------
    parameters
        What to simulate; `Parameters` says what each field means. The arrangement is where the spheres start, and must
        be periodic, which a crystal is not. The brightness of a particle, where it varies, is drawn anew in each frame.
    frames
        Number of frames.
    step
        Root mean square distance, in lateral voxels, that a sphere without neighbours moves from one frame to the next;
        a sixth of its square is the diffusion coefficient (voxels squared per frame) at infinite dilution.
    frame_interval
        Seconds between frames, or None.
    **changes
        Fields of `Parameters` to set, e.g. ``simulate_brownian(volume_fraction=0.3, seed=1)``.

    Returns
    -------
    BrownianSimulation

    Raises
    ------
    ColloidsError
        If a parameter is unknown or out of range, or the arrangement does not suit.
    """
    parameters = checked_changes(parameters or Parameters(), changes)
    if frames < 1 or not (np.isfinite(step) and step >= 0):
        raise ColloidsError("A time series needs one frame or more and a step of 0 or more voxels.")
    interval = checked_frame_interval(frame_interval)
    parameters, rng = seeded(parameters)
    start = _start(parameters, rng)
    spheres = _Spheres(start)
    pictures, paths = [], []
    for frame in range(frames):
        if frame:
            spheres.move(step, rng)
        picture = photograph(spheres.arrangement(), parameters, rng)
        pictures.append(picture.stack.data)
        paths.append(spheres.positions.copy())
    stack = Stack(
        np.stack(pictures),
        axes="tzyx",
        voxel_size=picture.stack.voxel_size,
        name="simulated series",
        frame_interval=interval,
    )
    return BrownianSimulation(stack, *_truth(np.array(paths), start, parameters, stack.voxel_size), parameters)


def _start(parameters: Parameters, rng: np.random.Generator) -> Arrangement:
    """Place the spheres in a periodic box."""
    start = packed(parameters, rng)
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
        self._watch()

    def arrangement(self) -> Arrangement:
        """Return where the spheres are in the box."""
        z, y, x = self._box
        return Arrangement(self.positions % self._box, self._radii, (float(z), float(y), float(x)), periodic=True)

    def move(self, step: float, rng: np.random.Generator) -> None:
        """Move, in many small trial steps, by a root mean square distance of `step` where there are no neighbours."""
        trials = max(int(np.ceil((step / (_TRIAL * self._diameter)) ** 2)), 1)
        width = step / np.sqrt(3 * trials)
        for _ in range(trials):
            steps = rng.normal(0.0, width, self.positions.shape)
            self._watch_again(float(np.linalg.norm(steps, axis=1).max(initial=0.0)))
            moved = self.positions + steps
            # Both partners of an overlap stay where they were, which can bring about overlaps with others that moved.
            while (clash := self._overlapping(moved)).size:
                moved[clash] = self.positions[clash]
            self.positions = moved

    def _overlapping(self, positions: Array) -> NDArray[np.intp]:
        apart = positions[self._pairs[:, 0]] - positions[self._pairs[:, 1]] - self._shifts
        close = np.einsum("ij,ij->i", apart, apart) < self._contact2
        return np.unique(self._pairs[close])

    def _watch_again(self, longest: float) -> None:
        """Look for neighbours anew before any pair that is not watched can touch."""
        travelled = float(np.linalg.norm(self.positions - self._watched_from, axis=1).max(initial=0.0))
        if 2 * (travelled + longest) > _SKIN * self._diameter:
            self._watch()

    def _watch(self) -> None:
        """Note all pairs of spheres (and across which faces of the box) that are near enough to touch soon."""
        reach = 2 * float(self._radii.max(initial=0.0)) + _SKIN * self._diameter
        pairs = cKDTree(self.positions % self._box, boxsize=self._box).query_pairs(reach, output_type="ndarray")
        apart = self.positions[pairs[:, 0]] - self.positions[pairs[:, 1]]
        self._pairs = pairs
        self._shifts = self._box * np.round(apart / self._box)
        # Neighbours that touch already, to within rounding, may stay as they are.
        self._contact2 = np.minimum(
            self._radii[pairs].sum(axis=1) ** 2, np.sum((apart - self._shifts) ** 2, axis=1) * (1 - 1e-12)
        )
        self._watched_from = self.positions.copy()
