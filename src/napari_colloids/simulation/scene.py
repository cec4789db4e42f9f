"""`simulate`: arrangement -> optics -> exposure -> stack, with the exact positions of its particles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.particles import particle_table, positions_of
from napari_colloids.progress import Progress, result_of
from napari_colloids.settings import takes_settings
from napari_colloids.simulation.arrangement import Arrangement, Composition, arrange
from napari_colloids.simulation.exposure import expose
from napari_colloids.simulation.optics import blur, draw_spheres, psf_reach
from napari_colloids.simulation.parameters import Parameters, stack_parameters
from napari_colloids.stack import Stack, VoxelSize

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Unpack

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from napari_colloids.simulation.parameters import ParameterChanges

#: Of `iter_simulate`, in their order.
_STEPS = ("Arranging the particles", "Drawing the particles", "Adding noise")


@dataclass(frozen=True, eq=False)
class Simulation:
    """A simulated stack and its ground truth.

    Attributes
    ----------
    stack
        The image.
    particles
        All particles whose centre lies in the stack: ``z, y, x`` in voxels, ``radius`` in lateral voxels.
    brightness
        Brightness of each particle over the mean, shape ``(N,)``.
    parameters
        Of the simulation, with the seed.
    volume_fraction, polydispersity
        Actual values in the simulation box, which is larger than the stack. The polydispersity is that of all
        particles, also in a mixture.

    See Also
    --------
    simulate : makes one.

    Examples
    --------
    >>> import napari_colloids as nc
    >>> simulated = nc.simulate(shape=(24, 32, 32), volume_fraction=0.3, radius=4, seed=1)
    >>> simulated
    Simulation(29 particles, volume fraction 0.298, polydispersity 0.000, seed 1, Stack('simulated', z 24 x y 32 x x 32,
    uint8, voxel size unknown))
    >>> ax = simulated.plot()
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('x (voxels)', 'y (voxels)')
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

    def plot(self, ax: Axes | None = None, *, z: int | None = None) -> Axes:
        """Draw a slice with the outlines of its particles.

        Parameters
        ----------
        ax
            Axes to draw on; None for those of a new figure.
        z
            Number of the slice; None for the middle one.

        Returns
        -------
        matplotlib.axes.Axes
            Those that were drawn on.

        Raises
        ------
        ColloidsError
            If there is no such slice.
        """
        number = self.stack.shape[0] // 2 if z is None else z
        ax = self.stack.plot(ax, z=number)
        draw_cross_sections(ax, self.particles, number, self.parameters.voxel_aspect)
        return ax

    def labels(self) -> NDArray[np.unsignedinteger]:
        """Return a label image ``(z, y, x)``: 1, 2, ... in the particles, in table order, and 0 between them.

        Voxels of particles whose centre lies outside the stack are 0.
        """
        labels: NDArray[np.unsignedinteger] = np.zeros(
            self.stack.shape, np.uint16 if len(self.particles) < 2**16 else np.uint32
        )
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


def draw_cross_sections(ax: Axes, particles: pd.DataFrame, z: int, voxel_aspect: float) -> None:
    """Draw the outlines of particles in a slice.

    Parameters
    ----------
    ax
        Axes to draw on, in voxels.
    particles
        With their radii.
    z
        Number of the slice.
    voxel_aspect
        Axial over lateral voxel size.
    """
    from matplotlib.collections import EllipseCollection

    distance = (particles["z"].to_numpy() - z) * voxel_aspect
    squared = particles["radius"].to_numpy() ** 2 - distance**2
    cut = squared > 0
    diameters = 2 * np.sqrt(squared[cut])
    circles = EllipseCollection(
        diameters,
        diameters,
        np.zeros(len(diameters)),
        units="xy",
        offsets=particles.loc[cut, ["x", "y"]].to_numpy(),
        offset_transform=ax.transData,
        facecolors="none",
        edgecolors="C1",
    )
    ax.add_collection(circles)


@takes_settings(Parameters)
def simulate(parameters: Parameters | None = None, /, **changes: Unpack[ParameterChanges]) -> Simulation:
    r"""Simulate a stack of colloidal particles with known ground truth.

    Parameters
    ----------
    parameters
        Parameters of sample, optics and camera; keywords below replace single fields.
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
    Parameters : the same settings as an object.
    PRESETS : named sets of them.

    Notes
    -----
    Anti-aliased spheres are convolved with the PSF, Gaussian but for ``psf_tail``, and scaled so that a typical
    particle has the level :math:`f`, the solvent :math:`b`. Then follow uneven illumination, loss of light with depth,
    Poisson and Gaussian noise, and digitisation. With standard deviations :math:`\sigma` of the noise,

    .. math:: \phi = \frac{1}{V} \sum_i \frac{4}{3} \pi r_i^3, \qquad
        \mathrm{SNR} = \frac{f}{\sigma_f}, \qquad
        \mathrm{CNR} = \frac{f - b}{\sqrt{(\sigma_f^2 + \sigma_b^2) / 2}}

    Random arrangements are packed by the algorithm of Lubachevsky and Stillinger [1]_.

    References
    ----------
    .. [1] Lubachevsky and Stillinger, J. Stat. Phys. 60, 561 (1990).

    Examples
    --------
    >>> import napari_colloids as nc
    >>> simulated = nc.simulate(shape=(24, 24, 24), volume_fraction=0.3, radius=4, seed=1)
    >>> simulated.stack.shape
    (24, 24, 24)
    >>> sorted(simulated.particles)
    ['radius', 'x', 'y', 'z']
    """
    return result_of(iter_simulate(stack_parameters(parameters, changes)))


def iter_simulate(parameters: Parameters, name: str = "simulated") -> Generator[Progress, None, Simulation]:
    """Simulate a stack of this name in steps (see `simulate`), so that it can be followed and cancelled.

    Yields
    ------
    Progress
        At the beginning of each step.
    """
    parameters, rng = seeded(parameters)
    yield _step(0)
    made = yield from _iter_image(arrangement_for(parameters, rng), parameters, rng, 0.0)
    return replace(made, stack=replace(made.stack, name=name))


def _step(number: int) -> Progress:
    return Progress(number, len(_STEPS), _STEPS[number])


def seeded(parameters: Parameters) -> tuple[Parameters, np.random.Generator]:
    """Return the parameters with a seed, drawn where there is none, and a random generator of that seed."""
    if parameters.seed is None:
        parameters = replace(parameters, seed=int(np.random.SeedSequence().generate_state(1)[0]))
    return parameters, np.random.default_rng(parameters.seed)


def arrangement_for(parameters: Parameters, rng: np.random.Generator) -> Arrangement:
    """Arrange particles in a box that is larger than the stack by a particle, so that its faces do not show."""
    aspect = np.array([parameters.voxel_aspect, 1, 1])
    box = np.multiply(parameters.shape, aspect) + 2 * parameters.radius
    return arrange(
        parameters.arrangement,
        (float(box[0]), float(box[1]), float(box[2])),
        Composition(parameters.volume_fraction, parameters.radius, parameters.polydispersity, parameters.size_ratio),
        rng,
        margin=_reach(parameters) * aspect + 2 * parameters.radius,
    )


def _reach(parameters: Parameters) -> NDArray[np.intp]:
    """Return the half-widths ``(z, y, x)`` of the PSF in voxels."""
    return psf_reach(parameters.psf_sigma, parameters.psf_tail, parameters.psf_tilt)


def image_arrangement(
    arrangement: Arrangement, parameters: Parameters, rng: np.random.Generator, *, beyond: float = 0.0
) -> Simulation:
    """Image an arrangement of spheres with the optics and the camera of `parameters`.

    The corner of the box is the corner of voxel ``(0, 0, 0)``; light of spheres outside the stack is included.
    Particles that lie outside by at most `beyond` lateral voxels are listed, too.
    """
    return result_of(_iter_image(arrangement, parameters, rng, beyond))


def _iter_image(
    arrangement: Arrangement, parameters: Parameters, rng: np.random.Generator, beyond: float
) -> Generator[Progress, None, Simulation]:
    yield _step(1)
    aspect = np.array([parameters.voxel_aspect, 1.0, 1.0])
    shape = np.asarray(parameters.shape)
    reach = _reach(parameters)
    largest = float(arrangement.radii.max(initial=0.0))
    margin = reach * aspect + largest + 1
    positions, radii = arrangement.within(-margin, shape * aspect + margin)
    voxels = positions / aspect - 0.5
    # Log-normal: positive, of mean 1 and of the given standard deviation.
    variance = np.log1p(parameters.brightness_spread**2)
    brightness = np.exp(np.sqrt(variance) * rng.standard_normal(len(radii)) - variance / 2)
    signal = _signal(voxels, radii, brightness, parameters)
    inside = np.all((voxels >= -0.5) & (voxels < shape - 0.5), axis=1)
    listed = np.all((voxels >= -0.5 - beyond / aspect) & (voxels < shape - 0.5 + beyond / aspect), axis=1)
    level = _typical_level(signal, voxels[inside], radii[inside], parameters.shell)
    yield _step(2)
    image = expose(np.ascontiguousarray(signal / level), parameters, rng)
    voxel_size: VoxelSize | None = None
    if parameters.voxel_size is not None:
        lateral = parameters.voxel_size
        voxel_size = (lateral * parameters.voxel_aspect, lateral, lateral)
    particles = particle_table(voxels[listed], radius=radii[listed], voxel_size=voxel_size)
    return Simulation(
        Stack(image, voxel_size=voxel_size, name="simulated"),
        particles,
        brightness[listed],
        parameters,
        arrangement.volume_fraction,
        arrangement.polydispersity,
    )


def _signal(
    voxels: NDArray[np.float64], radii: NDArray[np.float64], brightness: NDArray[np.float64], parameters: Parameters
) -> NDArray[np.float32]:
    """Return the noise-free image of spheres, in and around the stack, without background."""
    reach, shape = _reach(parameters), np.asarray(parameters.shape)
    canvas = shape + 2 * reach
    spheres = draw_spheres(
        (int(canvas[0]), int(canvas[1]), int(canvas[2])),
        voxels + reach,
        radii,
        brightness,
        voxel_aspect=parameters.voxel_aspect,
        shell=parameters.shell,
    )
    blurred = blur(
        spheres,
        parameters.psf_sigma,
        tail=parameters.psf_tail,
        skew=parameters.psf_skew,
        tilt=parameters.psf_tilt,
    )
    return blurred[tuple(slice(n, n + length) for n, length in zip(reach, shape, strict=True))]


def _typical_level(
    signal: NDArray[np.float32], voxels: NDArray[np.float64], radii: NDArray[np.float64], shell: float
) -> float:
    """Return the median level of the particles where they are brightest: in the centre, or in the shell."""
    if len(voxels) == 0:
        return 1.0
    sideways = np.zeros_like(voxels)
    sideways[:, 2] = radii * (1 + shell) / 2 if shell else 0.0
    levels = []
    for sign in (-1, 1):
        points = np.rint(voxels + sign * sideways).astype(int)
        levels.append(signal[tuple(np.clip(points, 0, np.array(signal.shape) - 1).T)])
    return max(float(np.median(levels)), 1e-3)
