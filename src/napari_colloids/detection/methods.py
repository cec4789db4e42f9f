"""Registry of the detection methods: the network and the reference methods.

A new method is a module of its own with ``locate``, ``Settings`` and ``GRID`` (as `log_locator` has them), and an entry
in `METHODS`. Modules are imported when a method is first used.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from _typeshed import DataclassInstance
    from numpy.typing import NDArray

    from napari_colloids.detection.candidates import Candidates
    from napari_colloids.stack import VoxelSize

#: Detections of a lower confidence are dropped, whatever the threshold.
FLOOR = 0.05


class Locator(Protocol):
    """A module that finds the particles of a whole image, without tiles."""

    #: Values of each of the settings for the tuning by the benchmark.
    GRID: Mapping[str, tuple[float, ...]]

    @property
    def Settings(self) -> type[DataclassInstance]:
        """Dataclass of the tunable parameters."""

    def locate(
        self,
        image: NDArray[np.float32],
        diameter: float,
        proportions: VoxelSize,
        settings: DataclassInstance | None = None,
    ) -> Candidates:
        """Return the particles of an image, in voxels.

        Parameters
        ----------
        image
            Normalised volume ``(z, y, x)``.
        diameter
            In voxels along x.
        proportions
            Edges ``(z, y, x)`` of a voxel over the one along x.
        settings
            Tuned parameters; None for the defaults.
        """


@dataclass(frozen=True)
class Method:
    """A detection method.

    Attributes
    ----------
    name
        Name in code, in tables and on the command line.
    label
        Name in a form.
    default_threshold
        Minimum confidence of a detection unless another is given.
    colour
        Colour in the plots of the benchmark (a name of matplotlib).
    module
        Name of the `Locator` in this package; empty for the network, which is applied in tiles.
    """

    name: str
    label: str
    default_threshold: float
    colour: str
    module: str = ""

    @property
    def tiled(self) -> bool:
        """Whether it is the network, which is applied tile by tile."""
        return not self.module

    @property
    def locator(self) -> Locator:
        """The module that finds the particles."""
        return cast("Locator", import_module(f"napari_colloids.detection.{self.module}"))


#: The network's default threshold is the lowest with a mean precision of `DEFAULT_PRECISION` over those scenes of the
#: benchmark whose precision without a threshold is lower.
METHODS = {
    method.name: method
    for method in (
        Method("network", "network", 0.65, "C0"),
        Method("trackpy", "trackpy", FLOOR, "C1", "trackpy_locator"),
        Method("log", "Laplacian of Gaussian", FLOOR, "C2", "log_locator"),
    )
}
#: See `METHODS`.
DEFAULT_PRECISION = 0.95
#: Default threshold by the name of the method.
DEFAULT_THRESHOLD = {method.name: method.default_threshold for method in METHODS.values()}
