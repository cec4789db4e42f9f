"""What the image says about the size of its particles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


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
    def told_by(cls, facts: Mapping[Any, Any]) -> DiameterEstimate:
        """Return the estimate that a volume was searched with, from its table's ``attrs``."""
        return cls(facts["diameter"], facts["diameter_certain"], facts["negative_certain"])
