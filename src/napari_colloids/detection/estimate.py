"""Estimate of the particles' diameter and how certain it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_colloids.detection.record import Record


@dataclass(frozen=True)
class DiameterEstimate:
    """Estimated or given diameter of the particles of a volume.

    Attributes
    ----------
    diameter
        In voxels along x.
    certain
        Whether the particles found have a high confidence, and no distinctly different scale explains the image as
        well; true where the diameter is given.
    negative_certain
        Whether the inverted image shows clear particles that explain far more of the light: they are dark instead of
        bright, or the other way round.
    frame
        Frame of a series in which it was estimated; None where that does not matter.
    height_factor
        What the height of a voxel has to be multiplied by for the particles to be round; None where nothing speaks
        against it.
    """

    diameter: float
    certain: bool
    negative_certain: bool = False
    frame: int | None = None
    height_factor: float | None = None

    @classmethod
    def of_record(cls, record: Record, frame: int | None = None) -> DiameterEstimate:
        """Return the estimate that the record of a frame holds."""
        return cls(record.diameter, record.diameter_certain, record.negative_certain, frame, record.height_factor)
