"""Brownian dynamics of hard spheres, imaged frame by frame: a time series whose trajectories are known.

References
----------
Cichocki and Hinsen, Physica A 166, 473 (1990): Brownian dynamics of hard spheres as small random steps, one sphere
after the other, rejected where spheres would overlap.
Sanz and Marenduzzo, J. Chem. Phys. 132, 194102 (2010): the time of such a step is proportional to its acceptance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.errors import ColloidsError
from napari_colloids.particles import particle_table
from napari_colloids.settings import check_value, takes_settings
from napari_colloids.simulation.hard_spheres import HardSpheres
from napari_colloids.simulation.parameters import Parameters, stack_parameters
from napari_colloids.simulation.scene import arrangement_for, draw_cross_sections, image_arrangement, seeded
from napari_colloids.stack import Stack, checked_frame_interval

if TYPE_CHECKING:
    from typing import Unpack

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from napari_colloids.simulation.arrangement import Arrangement
    from napari_colloids.simulation.parameters import ParameterChanges
    from napari_colloids.stack import VoxelSize

    Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BrownianSimulation:
    """A simulated time series and its truth.

    Attributes
    ----------
    stack
        The images, axes ``"tzyx"``.
    particles
        All particles whose centre lies in the stack: ``frame``, ``z, y, x`` in voxels, ``radius`` in lateral voxels and
        ``particle``. One that leaves the periodic box is another particle where it enters again.
    trajectories
        Unwrapped trajectory of every sphere of the periodic box, in the stack or not, in the same columns. The numbers
        in its column ``particle`` are not those of `particles`.
    parameters
        Of the simulation, with the seed.

    See Also
    --------
    simulate_brownian : makes one.

    Examples
    --------
    >>> import napari_colloids as nc
    >>> nc.simulate_brownian(shape=(16, 24, 24), radius=4, volume_fraction=0.2, frames=3, seed=1)
    BrownianSimulation(3 frames, 6 particles per frame, seed 1, Stack('simulated series', t 3 x z 16 x y 24 x x 24,
    uint8, voxel size unknown))
    """

    stack: Stack
    particles: pd.DataFrame
    trajectories: pd.DataFrame
    parameters: Parameters

    def __repr__(self) -> str:
        frames = self.stack.n_frames
        return (
            f"BrownianSimulation({frames} frame{'s' if frames > 1 else ''}, {len(self.particles) / frames:.3g} "
            f"particles per frame, seed {self.parameters.seed}, {self.stack!r})"
        )

    def plot(self, ax: Axes | None = None, *, frame: int = 0, z: int | None = None) -> Axes:
        """Draw a slice with the outlines of its particles.

        Parameters
        ----------
        ax
            Axes to draw on; None for those of a new figure.
        frame
            Number of the frame, counted from 0.
        z
            Number of the slice; None for the middle one.

        Returns
        -------
        matplotlib.axes.Axes
            Those that were drawn on.

        Raises
        ------
        ColloidsError
            If there is no such frame or slice.
        """
        number = self.stack.shape[0] // 2 if z is None else z
        ax = self.stack.plot(ax, frame=frame, z=number)
        there = self.particles[self.particles["frame"] == frame]
        draw_cross_sections(ax, there, number, self.parameters.voxel_aspect)
        return ax


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
    r"""Simulate a time series of hard spheres in Brownian motion.

    Parameters
    ----------
    parameters
        Parameters of sample, optics and camera; keywords below replace single fields. The arrangement is the initial
        one, and must be periodic, which a crystal is not. The brightness of a particle, where it varies, is drawn anew
        in each frame.
    frames
        Number of frames.
    step
        Root mean square displacement of a sphere without neighbours from one frame to the next, in lateral voxels.
    frame_interval
        Seconds between frames, or None.
    {settings}

    Returns
    -------
    BrownianSimulation
        The images, the true particles of each frame and all trajectories.

    Raises
    ------
    ColloidsError
        If a parameter is unknown or out of range, or the arrangement is not periodic.

    See Also
    --------
    simulate : a single stack.
    mean_squared_displacement, diffusion_coefficient : dynamics of the trajectories.

    Notes
    -----
    The diffusion coefficient at infinite dilution is

    .. math:: D_0 = \frac{\langle \Delta r^2 \rangle}{6} = \frac{\mathrm{step}^2}{6}

    in squared lateral voxels per frame. Spheres move in turn, by normally distributed trial steps that are rejected
    where spheres would overlap; the time that passes is proportional to the fraction of accepted steps [1]_ [2]_. There
    are no hydrodynamic interactions, and all spheres diffuse alike, whatever their radius. Trial steps are so small
    that up to a volume fraction of 0.55 diffusion coefficients are within 2 % of their limit of small steps, and up to
    0.6 within 5 %; the structure is that of the equilibrium. The packing that random spheres start from is near the
    equilibrium, not in it: the first frames still relax.

    References
    ----------
    .. [1] Cichocki and Hinsen, Physica A 166, 473 (1990).
    .. [2] Sanz and Marenduzzo, J. Chem. Phys. 132, 194102 (2010).

    Examples
    --------
    >>> import napari_colloids as nc
    >>> series = nc.simulate_brownian(shape=(24, 24, 24), radius=3, volume_fraction=0.05, frames=10, step=1.5, seed=1)
    >>> series.stack.axes, series.stack.shape
    ('tzyx', (24, 24, 24))
    >>> msd = nc.mean_squared_displacement(series.trajectories)
    >>> 0.1 < nc.diffusion_coefficient(msd).coefficient < 1.5**2 / 6  # squared voxels per frame; slowed by neighbours
    True
    """
    parameters = stack_parameters(parameters, changes)
    check_value("frames", frames, int, low=1)
    check_value("step", step, float, low=0, unit="px")
    interval = checked_frame_interval(frame_interval)
    parameters, rng = seeded(parameters)
    start = _start(parameters, rng)
    spheres = HardSpheres(start)
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
    start = arrangement_for(parameters, rng)
    if not start.periodic:
        raise ColloidsError(
            f"Brownian motion needs periodic boundary conditions, which the arrangement '{parameters.arrangement}' "
            "does not have."
        )
    return start


def _truth(
    paths: Array, start: Arrangement, parameters: Parameters, voxel_size: VoxelSize | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the tables of the particles in the stack and of all trajectories.

    `paths` holds the unwrapped positions in lateral voxels, shape ``(frames, N, 3)``.
    """
    aspect = np.array([parameters.voxel_aspect, 1.0, 1.0])
    frames, count, _ = paths.shape
    radius, frame = np.tile(start.radii, frames), np.repeat(np.arange(frames), count)
    sphere = np.tile(np.arange(count), frames)
    flat = paths.reshape(-1, 3)
    trajectories = particle_table(
        flat / aspect - 0.5, radius=radius, frame=frame, particle=sphere, voxel_size=voxel_size
    )
    # Each periodic image of a sphere is another particle.
    image = np.floor(flat / start.box)
    particle = np.unique(np.column_stack([sphere, image]), axis=0, return_inverse=True)[1]
    voxels = (flat - image * start.box) / aspect - 0.5
    particles = particle_table(voxels, radius=radius, frame=frame, particle=particle, voxel_size=voxel_size)
    inside = np.all((voxels >= -0.5) & (voxels < np.array(parameters.shape) - 0.5), axis=1)
    return particles[inside].reset_index(drop=True), trajectories
