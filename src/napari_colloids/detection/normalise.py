"""Grey levels -> the range the network was trained on, by percentiles: one hot voxel changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_colloids.detection.overview import Overview
from napari_colloids.errors import ColloidsError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

#: Percentiles that become 0 and 1.
PERCENTILES = (1.0, 99.5)


@dataclass(frozen=True)
class GreyLevels:
    """The grey levels that become 0 and 1.

    Attributes
    ----------
    low, high
        Grey levels of the stack.
    """

    low: float
    high: float

    @classmethod
    def of(cls, volume: Any) -> GreyLevels:
        """Measure the percentiles of a volume ``(z, y, x)``; voxels that are not finite are ignored.

        Parameters
        ----------
        volume
            The volume, or the `Overview` of one: all that is looked at of a large volume.

        Raises
        ------
        ColloidsError
            If no voxel is finite or all have the same value.
        """
        sample = (volume if isinstance(volume, Overview) else Overview.of(volume)).sample
        finite = sample.ravel() if sample.dtype.kind == "u" else sample[np.isfinite(sample)]
        if finite.size == 0:
            raise ColloidsError("The stack holds no finite values (all are NaN, infinite, or too large for 32 bits).")
        low, high = _percentiles(finite)
        if high <= low:  # a few particles in the dark: fall back on the extremes
            low, high = float(finite.min()), float(finite.max())
        if high <= low:
            raise ColloidsError("The stack is constant: every voxel has the same value, so there is nothing to find.")
        return cls(low, high)

    def apply(self, image: NDArray[Any], device: str = "cpu") -> Tensor:
        """Return the image as float32 on a device, 0 at `low` and 1 at `high`, what is not finite set to 0.

        Above 1 it grows only as a logarithm: in a dilute stack the particles lie far above any percentile.

        Parameters
        ----------
        image
            Any shape and type of number.
        device
            ``cpu``, ``cuda`` or ``mps``.
        """
        import torch

        # A copy: torch wants to be able to write to it, and its bytes in the machine's order.
        native = torch.from_numpy(np.array(image, image.dtype.newbyteorder("="), order="C"))
        if device != "cuda":  # the others do not know every type of number
            native = native.float()
        # In place: the source of a tile can be far larger than the tile itself.
        scaled = native.to(device).float()
        scaled.sub_(self.low).div_(self.high - self.low)
        scaled.nan_to_num_(nan=0.0, posinf=1.0, neginf=0.0).clamp_(min=-1)
        excess = scaled.clamp(min=1).log_()
        return scaled.clamp_(max=1).add_(excess)


def _percentiles(values: NDArray[Any]) -> tuple[float, float]:
    """Return the `PERCENTILES` of some values, of which there is one at least; few grey levels are merely counted."""
    if values.dtype.kind == "u":
        up_to = np.cumsum(np.bincount(values))
        place = np.array(PERCENTILES) / 100 * (len(values) - 1)
        below = np.searchsorted(up_to, np.floor(place), side="right")
        above = np.searchsorted(up_to, np.ceil(place), side="right")
        low, high = below + (above - below) * (place % 1)
    else:
        low, high = np.percentile(values, PERCENTILES)
    return float(low), float(high)
