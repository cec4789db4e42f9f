"""`simulate`: a stack as a microscope would record it, with the exact truth."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_colloids.errors import ColloidsError
from napari_colloids.particles import particle_table, positions_of
from napari_colloids.simulation.arrangement import ARRANGEMENTS, MAX_VOLUME_FRACTION, Arrangement, arrange
from napari_colloids.simulation.exposure import expose
from napari_colloids.simulation.optics import blur, draw_spheres, psf_reach
from napari_colloids.stack import Stack, VoxelSize

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

#: For each number: the smallest and largest value that makes sense.
_LIMITS = {
    "volume_fraction": (0.0, 0.74),
    "radius": (1.0, 200.0),
    "polydispersity": (0.0, 0.3),
    "size_ratio": (1.0, 4.0),
    "shell": (0.0, 0.95),
    "brightness": (1.0, 255.0),
    "brightness_spread": (0.0, 1.0),
    "snr": (0.1, 1000.0),
    "cnr": (0.0, 1000.0),
    "photon_noise": (0.0, 1.0),
    "psf_tail": (0.0, 1.0),
    "psf_skew": (-2.0, 2.0),
    "shading": (0.0, 1.0),
    "depth_loss": (0.0, 0.99),
    "voxel_aspect": (0.5, 10.0),
}
#: How far a PSF may lean, in voxels across z per slice.
_MOST_TILT = 5.0


@dataclass(frozen=True)
class Parameters:
    """What to simulate.

    Attributes
    ----------
    shape
        Shape ``(z, y, x)`` in voxels.
    volume_fraction
        Volume of the particles over that of the box, as wanted. The number of particles is what particles of the mean
        volume would need: where few are drawn from wide a distribution, the fraction comes out a few per cent to either
        side. Gels and strings end where no more particles find a place, at 0.3 to 0.35. `Simulation.volume_fraction`
        says what it came to.
    radius
        Mean radius in lateral voxels.
    polydispersity
        Standard deviation of the radius over its mean, as wanted: the normal distribution is cut at 2.5 standard
        deviations, and a crystal takes a fifth of the gap over the radius at most (0.056 at a volume fraction of 0.5,
        0.029 at 0.6), of whose pairs one in a hundred or so then overlaps, by up to 7 %.
        `Simulation.polydispersity` says what it came to.
    size_ratio
        Large over small mean radius of a binary mixture of equal numbers; 1 is one size.
    arrangement
        One of `ARRANGEMENTS`.
    shell
        Radius of the dark core over the outer radius; 0 for solid particles.
    psf_sigma
        Standard deviations ``(z, y, x)`` of the PSF in voxels. It is sampled at the centres of voxels, which makes it
        narrower than that below 0.6 voxels: 0.46 for 0.5, 0.28 for 0.4.
    psf_tail
        Fraction of the light in a halo of twice the width.
    psf_skew
        How far the halo lies to one side along z, in axial standard deviations: spherical aberration, which a mismatch
        of refractive index causes.
    psf_tilt
        Lean of the PSF: lateral shift ``(y, x)`` in voxels per slice.
    brightness
        Grey level of a typical particle on the 8-bit scale.
    brightness_spread
        Standard deviation of the brightness between particles over its mean; log-normal, as dye loading is.
    snr
        Signal to noise ratio ``f / f_sigma``, f the level of a typical particle. This, like the `cnr`, holds for the
        light: grey levels end at black and white, and what is cut off of the noise raises the ratio that is measured in
        the image (at a brightness of 200 in 8 bits from 5 to 5.3, and from 3 to 3.6).
    cnr
        Contrast to noise ratio ``(f - b) / sqrt((f_sigma^2 + b_sigma^2) / 2)``; above what `snr` allows the
        background is 0.
    photon_noise
        Fraction of the noise variance in a particle that is Poisson noise.
    shading
        Amplitude of the slow variation of the illumination.
    depth_loss
        Fraction of the light lost from the first to the last slice.
    bits
        8 or 16.
    voxel_aspect
        Height of a voxel over its width; where it is not 1, the stack needs a `voxel_size` to say so.
    voxel_size
        Lateral voxel size in micrometres, or None.
    seed
        The same seed gives the same stack; None draws one.

    Raises
    ------
    ColloidsError
        If a value is out of range, or of a wrong type.
    """

    shape: tuple[int, int, int] = (64, 64, 64)
    volume_fraction: float = 0.5
    radius: float = 6.0
    polydispersity: float = 0.0
    size_ratio: float = 1.0
    arrangement: str = "random"
    shell: float = 0.0
    psf_sigma: tuple[float, float, float] = (3.0, 1.3, 1.3)
    psf_tail: float = 0.0
    psf_skew: float = 0.0
    psf_tilt: tuple[float, float] = (0.0, 0.0)
    brightness: float = 200.0
    brightness_spread: float = 0.0
    snr: float = 5.0
    cnr: float = 5.0
    photon_noise: float = 0.5
    shading: float = 0.0
    depth_loss: float = 0.0
    bits: int = 8
    voxel_aspect: float = 1.0
    voxel_size: float | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        try:
            self._check()
        except (TypeError, ValueError) as error:
            raise ColloidsError(f"A parameter of the simulation has a wrong type: {error}.") from error

    def _check(self) -> None:
        for name, (low, high) in _LIMITS.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ColloidsError(f"{name} must lie between {low:g} and {high:g}, not {value}.")
        if len(self.shape) != 3 or any(int(n) != n or n < 1 for n in self.shape):
            raise ColloidsError(f"shape must be three positive whole numbers (z, y, x), not {self.shape}.")
        z, y, x = (int(n) for n in self.shape)
        object.__setattr__(self, "shape", (z, y, x))
        if len(self.psf_sigma) != 3 or any(not 0 <= s <= 100 for s in self.psf_sigma):
            raise ColloidsError(f"psf_sigma must be three widths from 0 to 100 voxels (z, y, x), not {self.psf_sigma}.")
        if len(self.psf_tilt) != 2 or any(not -_MOST_TILT <= t <= _MOST_TILT for t in self.psf_tilt):
            raise ColloidsError(f"psf_tilt must be two numbers (y, x) of at most {_MOST_TILT:g}, not {self.psf_tilt}.")
        if self.seed is not None and self.seed < 0:
            raise ColloidsError(f"seed must not be negative, but it is {self.seed}.")
        if self.bits not in (8, 16):
            raise ColloidsError(f"bits must be 8 or 16, not {self.bits}.")
        if self.arrangement not in ARRANGEMENTS:
            raise ColloidsError(
                f"There is no arrangement '{self.arrangement}'; choose one of {', '.join(ARRANGEMENTS)}."
            )
        if self.arrangement == "crystal" and self.volume_fraction == 0:
            raise ColloidsError("A crystal needs a volume fraction above 0.")
        if self.arrangement != "crystal" and self.volume_fraction > MAX_VOLUME_FRACTION:
            raise ColloidsError(
                f"Random spheres jam near a volume fraction of {MAX_VOLUME_FRACTION}; "
                f"{self.volume_fraction} can only be had as a crystal."
            )


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


def simulate(parameters: Parameters | None = None, /, **changes: Any) -> Simulation:
    """Simulate a stack of colloidal particles with known truth.

    Parameters
    ----------
    parameters
        What to simulate; `Parameters` says what each field means.
    **changes
        Fields of `Parameters` to set, e.g. ``simulate(volume_fraction=0.55, seed=1)``.

    Returns
    -------
    Simulation
        The stack, its true particles and the parameters with the seed that was used.

    Raises
    ------
    ColloidsError
        If a parameter is unknown or out of range, or voxels that are no cubes have no size.
    """
    parameters, rng = seeded(checked_changes(parameters or Parameters(), changes))
    return photograph(packed(parameters, rng), parameters, rng)


def seeded(parameters: Parameters) -> tuple[Parameters, np.random.Generator]:
    """Return the parameters with a seed, drawn where there is none, and the source of randomness of that seed."""
    if parameters.seed is None:
        parameters = replace(parameters, seed=int(np.random.SeedSequence().generate_state(1)[0]))
    return parameters, np.random.default_rng(parameters.seed)


def packed(parameters: Parameters, rng: np.random.Generator) -> Arrangement:
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


def checked_changes(parameters: Parameters, changes: dict[str, Any]) -> Parameters:
    """Return the parameters of a stack with some fields replaced.

    Raises
    ------
    ColloidsError
        If there is no such field, a value is out of range, or the stack could not say what its voxels are like.
    """
    unknown = set(changes) - {field.name for field in fields(Parameters)}
    if unknown:
        raise ColloidsError(f"There is no simulation parameter {', '.join(sorted(unknown))}.")
    parameters = replace(parameters, **changes)
    if parameters.voxel_aspect != 1 and parameters.voxel_size is None:
        raise ColloidsError(
            f"A voxel_aspect of {parameters.voxel_aspect:g} needs a voxel_size (--voxel-size), the width of a voxel in "
            "micrometres: without it the stack cannot say that its voxels are no cubes."
        )
    return parameters


def photograph(
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
