"""`simulate`: a stack as a microscope would record it, with the exact truth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.particles import particle_table, positions_of
from napari_colloids.settings import takes_settings
from napari_colloids.simulation.arrangement import Arrangement, arrange
from napari_colloids.simulation.exposure import expose
from napari_colloids.simulation.optics import blur, draw_spheres, psf_reach
from napari_colloids.simulation.parameters import Parameters, stack_parameters
from napari_colloids.stack import Stack, VoxelSize

if TYPE_CHECKING:
    from typing import Unpack

    import pandas as pd
    from numpy.typing import NDArray

    from napari_colloids.simulation.parameters import ParameterChanges


@dataclass(frozen=True, eq=False)
class Simulation:
    """A simulated stack and its truth.

    Attributes
    ----------
    stack
        The image.
    particles
        All particles whose centre lies in the stack: ``z, y, x`` in voxels, ``radius`` in lateral voxels.
    brightness
        Of each particle over the mean, shape ``(N,)``.
    parameters
        How it was made, the seed included.
    volume_fraction, polydispersity
        What those that were wanted came to, in the box that the stack was cut from. The polydispersity is that of all
        particles, of a mixture too.
    """

    stack: Stack
    particles: pd.DataFrame
    brightness: NDArray[np.float64]
    parameters: Parameters
    volume_fraction: float
    polydispersity: float

    def __repr__(self) -> str:
        return (
            f"Simulation({len(self.particles)} particles, volume fraction {self.volume_fraction:.3f}, polydispersity "
            f"{self.polydispersity:.3f}, seed {self.parameters.seed}, {self.stack!r})"
        )

    def labels(self) -> NDArray[np.uint16]:
        """Return an image ``(z, y, x)`` that is 1, 2, ... in the particles, in table order, and 0 between them.

        Voxels of particles whose centre lies outside the stack are 0.
        """
        labels = np.zeros(self.stack.shape, np.uint16 if len(self.particles) < 2**16 else np.uint32)
        aspect = self.parameters.voxel_aspect
        rows = zip(positions_of(self.particles), self.particles["radius"].to_numpy(), strict=True)
        for number, (centre, radius) in enumerate(rows, start=1):
            reach = np.array([radius / aspect, radius, radius])
            low = np.maximum(np.ceil(centre - reach), 0).astype(int)
            high = np.minimum(np.floor(centre + reach) + 1, labels.shape).astype(int)
            z, y, x = (np.arange(a, b) - c for a, b, c in zip(low, high, centre, strict=True))
            inside = (z * aspect)[:, None, None] ** 2 + y[:, None] ** 2 + x**2 <= radius**2
            labels[low[0] : high[0], low[1] : high[1], low[2] : high[2]][inside] = number
        return labels


@takes_settings(Parameters)
def simulate(parameters: Parameters | None = None, /, **changes: Unpack[ParameterChanges]) -> Simulation:
    """Simulate a stack of colloidal particles with known truth.

    Parameters
    ----------
    parameters
        What to simulate; keywords below replace single fields.
    {settings}

    Returns
    -------
    Simulation
        The stack, its true particles and the parameters with the seed that was used.

    Raises
    ------
    ColloidsError
        If a parameter is unknown or out of range, or anisotropic voxels have no size.

    See Also
    --------
    simulate_brownian : a time series.
    write_challenge : write simulated stacks with their truth.

    Examples
    --------
    >>> import napari_colloids as nc
    >>> simulated = nc.simulate(shape=(24, 24, 24), volume_fraction=0.3, radius=4, seed=1)
    >>> simulated.stack.shape
    (24, 24, 24)
    >>> sorted(simulated.particles)
    ['radius', 'x', 'y', 'z']
    """
    parameters, rng = seeded(stack_parameters(parameters, changes))
    return image_arrangement(packed_box(parameters, rng), parameters, rng)


def seeded(parameters: Parameters) -> tuple[Parameters, np.random.Generator]:
    """Return the parameters with a seed, drawn where there is none, and the source of randomness of that seed."""
    if parameters.seed is None:
        parameters = replace(parameters, seed=int(np.random.SeedSequence().generate_state(1)[0]))
    return parameters, np.random.default_rng(parameters.seed)


def packed_box(parameters: Parameters, rng: np.random.Generator) -> Arrangement:
    """Pack a box that is larger than the stack by a particle, so that the cut through it is like any other."""
    aspect = np.array([parameters.voxel_aspect, 1, 1])
    box = np.multiply(parameters.shape, aspect) + 2 * parameters.radius
    return arrange(
        parameters.arrangement,
        (float(box[0]), float(box[1]), float(box[2])),
        parameters.volume_fraction,
        parameters.radius,
        parameters.polydispersity,
        rng,
        size_ratio=parameters.size_ratio,
        around=_reach(parameters) * aspect + 2 * parameters.radius,
    )


def _reach(parameters: Parameters) -> NDArray[np.intp]:
    """Return how many voxels ``(z, y, x)`` the light of a point is smeared over, to either side."""
    return psf_reach(parameters.psf_sigma, parameters.psf_tail, parameters.psf_tilt)


def image_arrangement(
    arrangement: Arrangement, parameters: Parameters, rng: np.random.Generator, *, beyond: float = 0.0
) -> Simulation:
    """Image an arrangement of spheres through the optics and the detector of `parameters`.

    The corner of the box is the corner of voxel ``(0, 0, 0)``; spheres beyond the stack contribute their light.
    Particles that lie outside by at most `beyond` lateral voxels are listed, too.
    """
    aspect = np.array([parameters.voxel_aspect, 1.0, 1.0])
    shape = np.asarray(parameters.shape)
    reach = _reach(parameters)
    largest = float(arrangement.radii.max(initial=0.0))
    margin = reach * aspect + largest + 1
    positions, radii = arrangement.within(-margin, shape * aspect + margin)
    voxels = positions / aspect - 0.5
    # Log-normal: always positive, of mean 1 and of the wanted standard deviation.
    width = np.log1p(parameters.brightness_spread**2)
    light = np.exp(np.sqrt(width) * rng.standard_normal(len(radii)) - width / 2)
    canvas = shape + 2 * reach
    picture = draw_spheres(
        (int(canvas[0]), int(canvas[1]), int(canvas[2])),
        voxels + reach,
        radii,
        light,
        voxel_aspect=parameters.voxel_aspect,
        shell=parameters.shell,
    )
    picture = blur(
        picture,
        parameters.psf_sigma,
        tail=parameters.psf_tail,
        skew=parameters.psf_skew,
        tilt=parameters.psf_tilt,
    )
    picture = picture[tuple(slice(n, n + length) for n, length in zip(reach, shape, strict=True))]
    inside = np.all((voxels >= -0.5) & (voxels < shape - 0.5), axis=1)
    listed = np.all((voxels >= -0.5 - beyond / aspect) & (voxels < shape - 0.5 + beyond / aspect), axis=1)
    level = _typical_level(picture, voxels[inside], radii[inside], parameters.shell)
    image = expose(np.ascontiguousarray(picture / level), parameters, rng)
    voxel_size: VoxelSize | None = None
    if parameters.voxel_size is not None:
        lateral = parameters.voxel_size
        voxel_size = (lateral * parameters.voxel_aspect, lateral, lateral)
    particles = particle_table(voxels[listed], radius=radii[listed], voxel_size=voxel_size)
    return Simulation(
        Stack(image, voxel_size=voxel_size, name="simulated"),
        particles,
        light[listed],
        parameters,
        arrangement.volume_fraction,
        arrangement.polydispersity,
    )


def _typical_level(
    picture: NDArray[np.float32], voxels: NDArray[np.float64], radii: NDArray[np.float64], shell: float
) -> float:
    """Return the median brightness of the particles where they are brightest: in the centre, or in the shell."""
    if len(voxels) == 0:
        return 1.0
    sideways = np.zeros_like(voxels)
    sideways[:, 2] = radii * (1 + shell) / 2 if shell else 0.0
    levels = []
    for sign in (-1, 1):
        points = np.rint(voxels + sign * sideways).astype(int)
        levels.append(picture[tuple(np.clip(points, 0, np.array(picture.shape) - 1).T)])
    return max(float(np.median(levels)), 1e-3)
