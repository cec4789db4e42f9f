"""Normalisation of grey levels to the range that the network was trained on, by percentiles.

Unlike the maximum, these do not depend on single hot voxels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.detection.overview import Overview
from napari_colloids.errors import UnusableVolumeError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from napari_colloids.volumes import Volume

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
    def of(cls, volume: Volume | Overview) -> GreyLevels:
        """Measure the percentiles of a volume ``(z, y, x)``; voxels that are not finite are ignored.

        Parameters
        ----------
        volume
            The volume, of which only an overview is read, or its `Overview`.

        Raises
        ------
        UnusableVolumeError
            If no voxel is finite or all have the same value.
        """
        overview = volume if isinstance(volume, Overview) else Overview.of(volume)
        sample = overview.sample
        finite = sample.ravel() if sample.dtype.kind == "u" else sample[np.isfinite(sample)]
        if finite.size == 0:
            raise UnusableVolumeError(
                "The stack holds no finite values (all are NaN, infinite, or too large for 32 bits).",
                "no finite values",
            )
        low, high = _percentiles(finite)
        if high <= low:  # a few particles on a constant background
            low, high = float(finite.min()), float(finite.max())
        if high <= low and overview.merged:
            raise UnusableVolumeError(
                f"The grey levels of the stack differ by too little for 32 bits (all are about {low:.3g}): subtract "
                "their minimum, or multiply them by a large number."
            )
        if high <= low:
            raise UnusableVolumeError(
                "The stack is constant: every voxel has the same value, so there is nothing to find.",
                "constant",
            )
        return cls(low, high)

    def apply(self, image: NDArray[np.generic], device: str = "cpu") -> Tensor:
        r"""Return the normalised image as float32 on a device.

        With :math:`u = (I - low) / (high - low)`, clipped at -1 from below, it is

        .. math:: v = \min(u, 1) + \ln \max(u, 1)

        because in a dilute stack the particles lie far above any percentile. NaN becomes 0.

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


def _percentiles(values: NDArray[np.generic]) -> tuple[float, float]:
    """Return the `PERCENTILES` of at least one value; of unsigned integers, which have few levels, by a histogram."""
    if values.dtype.kind == "u":
        cumulative = np.cumsum(np.bincount(values))
        rank = np.array(PERCENTILES) / 100 * (len(values) - 1)
        below = np.searchsorted(cumulative, np.floor(rank), side="right")
        above = np.searchsorted(cumulative, np.ceil(rank), side="right")
        low, high = below + (above - below) * (rank % 1)
    else:
        low, high = np.percentile(values.astype(np.float32, copy=False), PERCENTILES)
    return float(low), float(high)
