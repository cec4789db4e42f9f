"""Parameters of a simulation: one definition for the library, the command line and the window; named sets of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, TypedDict

from napari_colloids.errors import ColloidsError, brief
from napari_colloids.settings import Setting, changed, check_settings, documented

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Largest volume fraction of random arrangements; equal spheres jam near 0.64.
MAX_VOLUME_FRACTION = 0.62

ArrangementName = Literal["random", "crystal", "gel", "strings"]

#: Headings of the command line's help.
SAMPLE, OPTICS, CAMERA = "Sample", "Optics", "Camera"


@documented
@dataclass(frozen=True)
class Parameters:
    """Parameters of a simulated stack: sample, optics and camera.

    Attributes
    ----------
    {settings}

    Raises
    ------
    ColloidsError
        If a value is out of range, or of a wrong type.

    See Also
    --------
    simulate : which takes them as keywords, too.

    Examples
    --------
    >>> from napari_colloids import Parameters
    >>> Parameters(radius=5, arrangement="crystal").voxel_aspect
    1.0
    >>> Parameters(volume_fraction=0.7)
    Traceback (most recent call last):
        ...
    napari_colloids.errors.ColloidsError: Random spheres jam near a volume fraction of 0.62; 0.7 can only be had as a
    crystal.
    """

    shape: Annotated[
        tuple[int, int, int],
        Setting(
            label="Shape",
            help="Shape (z, y, x) in voxels.",
            unit="voxels",
            low=1,
            high=4096,
            metavar="Z Y X",
            group=SAMPLE,
        ),
    ] = (64, 64, 64)
    volume_fraction: Annotated[
        float,
        Setting(
            label="Volume fraction",
            help="Volume of the particles over that of the box.",
            low=0,
            high=0.74,
            decimals=3,
            metavar="PHI",
            group=SAMPLE,
            more="The number of particles follows from their mean volume: where few are drawn from a wide "
            "distribution, the actual fraction differs by a few per cent. Random packings reach 0.62; gels and strings "
            "end where no more particles find a place, at 0.3 to 0.35. `Simulation.volume_fraction` is the actual "
            "value.",
        ),
    ] = 0.5
    radius: Annotated[
        float,
        Setting(
            label="Radius",
            help="Mean radius in lateral voxels.",
            unit="px",
            low=1,
            high=200,
            decimals=1,
            metavar="PX",
            group=SAMPLE,
        ),
    ] = 6.0
    polydispersity: Annotated[
        float,
        Setting(
            label="Polydispersity",
            help="Standard deviation of the radius over its mean.",
            low=0,
            high=0.3,
            metavar="P",
            group=SAMPLE,
            more="The normal distribution is cut at 2.5 standard deviations. In a crystal it is at most a fifth of the "
            "gap over the radius (0.056 at a volume fraction of 0.5, 0.029 at 0.6); about one pair in a hundred then "
            "overlaps, by up to 7 %. `Simulation.polydispersity` is the actual value.",
        ),
    ] = 0.0
    size_ratio: Annotated[
        float,
        Setting(
            label="Size ratio",
            help="Large over small mean radius of a binary mixture of equal numbers; 1 is one size.",
            low=1,
            high=4,
            metavar="Q",
            group=SAMPLE,
        ),
    ] = 1.0
    arrangement: Annotated[
        ArrangementName,
        Setting(
            label="Arrangement",
            help="Arrangement of the particles: random packing (fluid or glass), crystal (face-centred cubic), gel, or "
            "strings along z.",
            choices={"random": "random", "crystal": "crystal", "gel": "gel", "strings": "strings"},
            group=SAMPLE,
        ),
    ] = "random"
    shell: Annotated[
        float,
        Setting(
            label="Dark core",
            help="Radius of the dark core over the outer radius (core-shell particles); 0 for solid particles.",
            low=0,
            high=0.95,
            metavar="R",
            group=SAMPLE,
        ),
    ] = 0.0
    psf_sigma: Annotated[
        tuple[float, float, float],
        Setting(
            label="PSF sigma",
            help="Standard deviations (z, y, x) of the point spread function in voxels.",
            unit="px",
            low=0,
            high=100,
            decimals=1,
            metavar="Z Y X",
            group=OPTICS,
            more="It is sampled at the centres of voxels, which makes it narrower than that below 0.6 voxels: 0.46 "
            "for 0.5, 0.28 for 0.4.",
        ),
    ] = (3.0, 1.3, 1.3)
    psf_tail: Annotated[
        float,
        Setting(
            label="PSF tail",
            help="Fraction of the light in a halo of twice the width.",
            low=0,
            high=1,
            metavar="F",
            group=OPTICS,
        ),
    ] = 0.0
    psf_skew: Annotated[
        float,
        Setting(
            label="PSF skew",
            help="Shift of the halo along z in axial standard deviations: spherical aberration.",
            low=-2,
            high=2,
            metavar="S",
            group=OPTICS,
            more="A mismatch of refractive index causes it.",
        ),
    ] = 0.0
    psf_tilt: Annotated[
        tuple[float, float],
        Setting(
            label="PSF tilt",
            help="Tilt of the PSF: lateral shift (y, x) in voxels per slice.",
            low=-5,
            high=5,
            metavar="Y X",
            group=OPTICS,
        ),
    ] = (0.0, 0.0)
    brightness: Annotated[
        float,
        Setting(
            label="Brightness",
            help="Grey level of a typical particle on the 8-bit scale.",
            low=1,
            high=255,
            decimals=1,
            metavar="B",
            group=CAMERA,
        ),
    ] = 200.0
    brightness_spread: Annotated[
        float,
        Setting(
            label="Brightness spread",
            help="Standard deviation of the brightness between particles over its mean; log-normal, as dye loading is.",
            low=0,
            high=1,
            metavar="CV",
            group=SAMPLE,
        ),
    ] = 0.0
    snr: Annotated[
        float,
        Setting(
            label="SNR",
            help="Signal-to-noise ratio f / f_sigma before clipping, f the level of a typical particle.",
            low=0.1,
            high=1000,
            decimals=1,
            metavar="S",
            group=CAMERA,
            more="As for the `cnr`: clipping of the noise at black and white raises the ratio that is measured in the "
            "image (at a brightness of 200 in 8 bits from 5 to 5.3, and from 3 to 3.6).",
        ),
    ] = 5.0
    cnr: Annotated[
        float,
        Setting(
            label="CNR",
            help="Contrast-to-noise ratio (f - b) / sqrt((f_sigma^2 + b_sigma^2) / 2) before clipping.",
            low=0,
            high=1000,
            decimals=1,
            metavar="C",
            group=CAMERA,
            more="Above what `snr` allows the background is 0.",
        ),
    ] = 5.0
    photon_noise: Annotated[
        float,
        Setting(
            label="Photon noise",
            help="Fraction of the noise variance in a particle that is Poisson noise.",
            low=0,
            high=1,
            metavar="F",
            group=CAMERA,
        ),
    ] = 0.5
    shading: Annotated[
        float,
        Setting(
            label="Shading",
            help="Amplitude of uneven illumination.",
            low=0,
            high=1,
            metavar="F",
            group=OPTICS,
        ),
    ] = 0.0
    depth_loss: Annotated[
        float,
        Setting(
            label="Depth loss",
            help="Fraction of the light lost from the first to the last slice (attenuation, bleaching).",
            low=0,
            high=0.99,
            metavar="F",
            group=OPTICS,
        ),
    ] = 0.0
    bits: Annotated[
        int,
        Setting(
            label="Bits",
            help="Bits per voxel.",
            choices={8: "8", 16: "16"},
            metavar="8|16",
            group=CAMERA,
        ),
    ] = 8
    voxel_aspect: Annotated[
        float,
        Setting(
            label="Voxel aspect",
            help="Axial over lateral voxel size; where it is not 1, the voxel size is required.",
            low=0.5,
            high=10,
            metavar="A",
            group=CAMERA,
        ),
    ] = 1.0
    voxel_size: Annotated[
        float | None,
        Setting(
            label="Voxel size",
            help="Lateral voxel size in micrometres.",
            unit="µm",
            low=1e-6,
            high=1000,
            decimals=4,
            unset="unknown",
            metavar="UM",
            group=CAMERA,
        ),
    ] = None
    seed: Annotated[
        int | None,
        Setting(
            label="Seed",
            help="Seed of the random numbers: the same seed gives the same stack.",
            low=0,
            unset="random",
            metavar="S",
            group=SAMPLE,
        ),
    ] = None

    def __post_init__(self) -> None:
        check_settings(self)
        z, y, x = (int(n) for n in self.shape)
        object.__setattr__(self, "shape", (z, y, x))
        if self.arrangement == "crystal" and self.volume_fraction == 0:
            raise ColloidsError("A crystal needs a volume fraction above 0.")
        if self.arrangement != "crystal" and self.volume_fraction > MAX_VOLUME_FRACTION:
            raise ColloidsError(
                f"Random spheres jam near a volume fraction of {MAX_VOLUME_FRACTION}; "
                f"{self.volume_fraction} can only be had as a crystal."
            )


class ParameterChanges(TypedDict, total=False):
    """The fields of `Parameters` as keywords, for type checkers."""

    shape: tuple[int, int, int]
    volume_fraction: float
    radius: float
    polydispersity: float
    size_ratio: float
    arrangement: ArrangementName
    shell: float
    psf_sigma: tuple[float, float, float]
    psf_tail: float
    psf_skew: float
    psf_tilt: tuple[float, float]
    brightness: float
    brightness_spread: float
    snr: float
    cnr: float
    photon_noise: float
    shading: float
    depth_loss: float
    bits: int
    voxel_aspect: float
    voxel_size: float | None
    seed: int | None


def stack_parameters(parameters: Parameters | None, changes: Mapping[str, object]) -> Parameters:
    """Return the parameters of a stack with some fields changed.

    Raises
    ------
    ColloidsError
        If there is no such field, a value is out of range, or anisotropic voxels have no size.
    """
    if not isinstance(parameters, Parameters | None):
        raise ColloidsError(f"Parameters are given by name, as in simulate(radius=5), not as {brief(parameters)}.")
    parameters = changed(parameters or Parameters(), changes, "simulation parameter")
    if parameters.voxel_aspect != 1 and parameters.voxel_size is None:
        raise ColloidsError(
            f"A voxel_aspect of {parameters.voxel_aspect:g} needs a voxel_size, the lateral voxel size in micrometres: "
            "without it the stack cannot have anisotropic voxels."
        )
    return parameters


#: Named sets of parameters for the sample data, the window and the command line.
PRESETS: dict[str, Parameters] = {
    "dense": Parameters(volume_fraction=0.55, radius=6, psf_sigma=(3, 1.3, 1.3), snr=5, cnr=5, seed=1),
    "dilute": Parameters(volume_fraction=0.05, radius=6, psf_sigma=(2.4, 1.2, 1.2), snr=4, cnr=4, seed=2),
    "polydisperse": Parameters(
        volume_fraction=0.5, radius=7, polydispersity=0.12, psf_sigma=(3, 1.2, 1.2), snr=6, cnr=5, seed=3
    ),
    "nano, low light": Parameters(
        volume_fraction=0.45,
        radius=4.5,
        psf_sigma=(4, 1.6, 1.6),
        brightness_spread=0.15,
        snr=3,
        cnr=2.4,
        photon_noise=0.8,
        seed=4,
    ),
}
