"""Estimate of the particles' diameter and how certain it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_colloids.detection.record import Record


@dataclass(frozen=True)
class DiameterEstimate:
    """What the image says about the size of its particles.

    Attributes
    ----------
    diameter
        In voxels along x.
    certain
        Whether the particles found are clear, and found at this scale alone.
    negative_certain
        Whether the negative of the image has a certain diameter where the image has none: its particles may be dark
        where bright ones were looked for, or bright where dark ones were.
    """

    diameter: float
    certain: bool
    negative_certain: bool = False

    @classmethod
    def of_record(cls, record: Record) -> DiameterEstimate:
        """Return the estimate that a volume was searched with."""
        return cls(record.diameter, record.diameter_certain, record.negative_certain)
