"""Settings of detection: one definition for the library, the command line and the window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, Protocol, TypedDict, runtime_checkable

from napari_colloids.detection.deprecated import accepts_deprecated
from napari_colloids.detection.methods import METHODS
from napari_colloids.errors import ColloidsError
from napari_colloids.settings import HOW, Setting, check_settings, documented

if TYPE_CHECKING:
    from napari_colloids.refinement import PSF

Device = Literal["auto", "cpu", "cuda", "mps"]


@runtime_checkable
class MeasuredPSF(Protocol):
    """A measured point spread function: what `napari_colloids.PSF.measured` returns."""

    def in_voxels(self, voxel_size: tuple[float, float, float] | None, aspect: float) -> PSF:
        """Return it in lateral voxels of an image."""


#: Headings of the command line's help.
WHAT, COMPUTING = "What to find", "Computing"


@documented
@dataclass(frozen=True)
@accepts_deprecated
class Options:
    """How to detect particles.

    Where to search is not part of it: see `Region`, and the parameters ``frame`` and ``channel`` of `detect`.

    Attributes
    ----------
    {settings}

    Raises
    ------
    ColloidsError
        If a value is out of range or the values contradict each other.

    See Also
    --------
    detect : which takes them as keywords, too.
    Record.options : those of an earlier run.

    Examples
    --------
    >>> from napari_colloids import Options
    >>> options = Options(diameter=12, method="log")
    >>> options.effective_threshold
    0.05
    """

    diameter: Annotated[
        float | None,
        Setting(
            label="Diameter",
            help="Diameter of a particle in lateral voxels; the mean where sizes are mixed.",
            unit="px",
            low=2,
            high=400,
            unset="estimated from the image",
            metavar="PX",
            group=WHAT,
        ),
    ] = None
    diameter_um: Annotated[
        float | None,
        Setting(
            label="Diameter",
            help="Diameter of a particle in micrometres, for which the voxel size must be known.",
            unit="µm",
            low=0.001,
            high=1000,
            decimals=3,
            metavar="UM",
            group=WHAT,
            more="At most one of the two diameters may be given.",
        ),
    ] = None
    dark: Annotated[
        bool,
        Setting(
            label="Particles",
            help="Dark particles in a fluorescent (dyed) solvent instead of bright particles.",
            choices={False: "bright", True: "dark (dyed solvent)"},
            group=WHAT,
        ),
    ] = False
    threshold: Annotated[
        float | None,
        Setting(
            label="Threshold",
            help="Minimum confidence of a detection.",
            low=0,
            high=1,
            unset="the method's default",
            metavar="T",
            group=WHAT,
        ),
    ] = None
    method: Annotated[
        str,
        Setting(
            label="Method",
            help="Detection method: the neural network, or a reference method (trackpy, Laplacian of Gaussian), whose "
            "parameters follow from the diameter.",
            choices={method.name: method.label for method in METHODS.values()},
            group=HOW,
        ),
    ] = "network"
    weights: Annotated[
        str | None,
        Setting(
            label="Weights",
            help="File of the network's weights (.safetensors), as training writes it.",
            unset="bundled",
            metavar="FILE",
            group=HOW,
        ),
    ] = None
    device: Annotated[
        Device,
        Setting(
            label="Device",
            help="Where the network runs; automatic takes CUDA, then MPS, then the CPU.",
            choices={"auto": "automatic", "cpu": "CPU", "cuda": "NVIDIA GPU (CUDA)", "mps": "Apple GPU (MPS)"},
            group=COMPUTING,
        ),
    ] = "auto"
    tile: Annotated[
        int | None,
        Setting(
            label="Tile edge",
            help="Edge of the tiles that the stack is cut into. Smaller tiles need less memory and more time; the "
            "result is the same.",
            unit="voxels",
            low=16,
            high=65_536,
            unset="automatic, by free memory",
            metavar="N",
            group=COMPUTING,
        ),
    ] = None
    border: Annotated[
        float,
        Setting(
            label="Border",
            help="Drop centres that are closer than this to a face of the stack.",
            unit="voxels",
            low=0,
            high=1000,
            decimals=1,
            metavar="PX",
            group=WHAT,
        ),
    ] = 0.0
    refine: Annotated[
        bool,
        Setting(
            label="Positions",
            help="Refine positions and radii by fitting a model of the image to all particles together. They become "
            "several times as exact, each with its standard error, in about 10 ms per particle on a CPU core.",
            choices={False: "fast (as found)", True: "accurate (fit to the image)"},
            group=HOW,
        ),
    ] = False
    intensity: Annotated[
        bool,
        Setting(
            label="Intensity",
            help="Measure the intensity of each particle above its background, in every channel.",
            group=HOW,
        ),
    ] = False
    psf: Annotated[
        MeasuredPSF | None,
        Setting(
            label="PSF",
            help="Point spread function measured on a bead, for the refinement.",
            unset="measured on the particles",
            group=HOW,
        ),
    ] = None

    def __post_init__(self) -> None:
        check_settings(self)
        if self.diameter is not None and self.diameter_um is not None:
            raise ColloidsError("Give the diameter in voxels or in micrometres, not both.")
        if self.weights is not None and self.method != "network":
            raise ColloidsError(f"Weights are of use to the network only, not to {self.method}.")
        if self.psf is not None and not self.refine:
            raise ColloidsError("A measured PSF is of use for the refinement only: ask for that, too.")

    @property
    def effective_threshold(self) -> float:
        """The threshold in use."""
        return METHODS[self.method].default_threshold if self.threshold is None else self.threshold

    @property
    def gives_diameter(self) -> bool:
        """Whether the diameter is given, in whatever unit."""
        return self.diameter is not None or self.diameter_um is not None


class OptionChanges(TypedDict, total=False):
    """The fields of `Options` as keywords, for type checkers."""

    diameter: float | None
    diameter_um: float | None
    dark: bool
    threshold: float | None
    method: str
    weights: str | None
    device: Device
    tile: int | None
    border: float
    refine: bool
    intensity: bool
    psf: MeasuredPSF | None
