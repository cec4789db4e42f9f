"""The settings of detection: one source for the defaults of the core, the command line and the widget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal, get_args

from napari_colloids.errors import ColloidsError

if TYPE_CHECKING:
    from napari_colloids.refinement import PSF
    from napari_colloids.stack import Stack

Method = Literal["network", "trackpy", "log"]
Device = Literal["auto", "cpu", "cuda", "mps"]

#: Detections of a lower confidence are never kept; a window shows the rest as its threshold allows.
FLOOR = 0.05
#: The precision that the network's default threshold keeps in the mean over the benchmark's hard scenes: those that
#: would have less without any threshold.
DEFAULT_PRECISION = 0.95
#: The confidence that a detection needs unless the user says otherwise.
DEFAULT_THRESHOLD: dict[str, float] = {"network": 0.65, "trackpy": FLOOR, "log": FLOOR}
#: Diameters that can be typed, in lateral voxels.
DIAMETER_LIMITS = (2.0, 400.0)


@dataclass(frozen=True)
class Options:
    """What to detect and how.

    Attributes
    ----------
    diameter
        Diameter of a particle in lateral voxels, the mean where sizes are mixed; None estimates it from the image.
    diameter_um
        The same in micrometres; needs the voxel size. At most one of the two may be given.
    dark
        The particles are darker than what surrounds them, as where the solvent is dyed.
    threshold
        Confidence (0-1) that a detection needs; None takes `DEFAULT_THRESHOLD`.
    method
        ``network``, or the baselines ``trackpy`` and ``log`` (Laplacian of Gaussian).
    weights
        File of the network's weights, as ``napari-colloids train`` writes it; None takes the bundled ones.
    device
        Where the network runs; ``auto`` takes CUDA, then MPS, then the CPU.
    tile
        Edge of the tiles in lateral voxels of the stack; None chooses by free memory. Does not change the result.
    z_range
        First slice and the one after the last; None takes all.
    border
        Drop centres that are closer than this to the edge of the stack, in voxels.
    refine
        Fit a model of the image to what was found: positions and radii several times as exact, with standard errors.
    psf
        A PSF that was measured on a bead, for `refine`; None measures it on the particles.
    frame, channel
        Which volume of a time series or a multi-channel stack.

    Raises
    ------
    ColloidsError
        If a value is out of range or the values contradict each other.
    """

    diameter: float | None = None
    diameter_um: float | None = None
    dark: bool = False
    threshold: float | None = None
    method: Method = "network"
    weights: str | None = None
    device: Device = "auto"
    tile: int | None = None
    z_range: tuple[int, int] | None = None
    border: float = 0.0
    refine: bool = False
    psf: PSF | None = None
    frame: int = 0
    channel: int = 0

    def __post_init__(self) -> None:
        for name in ("diameter", "diameter_um", "threshold", "border"):
            value = getattr(self, name)
            if not (isinstance(value, Real) or (value is None and name != "border")):
                raise ColloidsError(f"{name} must be a number, not {value!r}.")
        for name in ("tile", "frame", "channel"):
            value = getattr(self, name)
            if not (isinstance(value, Integral) or (value is None and name == "tile")):
                raise ColloidsError(f"{name} must be a whole number, not {value!r}.")
        low, high = DIAMETER_LIMITS
        if self.diameter is not None and self.diameter_um is not None:
            raise ColloidsError("Give the diameter in voxels or in micrometres, not both.")
        if self.diameter is not None and not low <= self.diameter <= high:
            raise ColloidsError(f"The diameter must lie between {low:g} and {high:g} voxels, not {self.diameter:g}.")
        if self.diameter_um is not None and not 0 < self.diameter_um < float("inf"):
            raise ColloidsError(f"The diameter must be a positive length in micrometres, not {self.diameter_um:g}.")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise ColloidsError(f"The threshold is a confidence between 0 and 1, not {self.threshold:g}.")
        if self.method not in get_args(Method):
            raise ColloidsError(f"There is no method '{self.method}'; choose one of {', '.join(get_args(Method))}.")
        if self.device not in get_args(Device):
            raise ColloidsError(f"There is no device '{self.device}'; choose one of {', '.join(get_args(Device))}.")
        if self.tile is not None and self.tile < 16:
            raise ColloidsError(f"Tiles need an edge of at least 16 voxels, not {self.tile}.")
        if self.z_range is not None and not _are_two_slices(self.z_range):
            raise ColloidsError(f"The z range is the first slice and the one after the last, not {self.z_range!r}.")
        if self.weights is not None and self.method != "network":
            raise ColloidsError(f"Weights are of use to the network only, not to {self.method}.")
        if self.psf is not None and not self.refine:
            raise ColloidsError("A measured PSF is of use for the refinement only: ask for that, too.")
        if self.psf is not None and not hasattr(self.psf, "in_voxels"):
            raise ColloidsError(f"A PSF is what PSF.measured returns, not {self.psf!r}.")
        if not 0 <= self.border < float("inf"):
            raise ColloidsError(f"The border must be a number of voxels of at least 0, not {self.border:g}.")

    def volume_of(self, stack: Stack) -> Any:
        """Return the volume that is searched, ``(z, y, x)``, with bright particles, without reading it into memory.

        Raises
        ------
        ColloidsError
            If the stack has no such frame or channel.
        """
        return stack.volume(self.frame, self.channel, dark=self.dark)

    @property
    def effective_threshold(self) -> float:
        """The threshold in use."""
        return DEFAULT_THRESHOLD[self.method] if self.threshold is None else self.threshold


def _are_two_slices(given: Any) -> bool:
    return isinstance(given, Sequence) and len(given) == 2 and all(isinstance(number, Integral) for number in given)
