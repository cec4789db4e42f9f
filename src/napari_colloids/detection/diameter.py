"""The diameter of the particles, from the image alone."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_colloids.detection.detector import Progress
    from napari_colloids.detection.network import CentreNet
    from napari_colloids.detection.normalise import GreyLevels


@dataclass(frozen=True)
class DiameterEstimate:
    """What the image says about the size of its particles.

    Attributes
    ----------
    diameter
        In lateral voxels.
    certain
        Whether several scales agree on it.
    """

    diameter: float
    certain: bool


def estimate_diameter(
    volume: Any, levels: GreyLevels, aspect: float, network: CentreNet
) -> Generator[Progress, None, DiameterEstimate]:
    """Placeholder until the network is trained."""
    yield from ()
    return DiameterEstimate(12.0, False)
