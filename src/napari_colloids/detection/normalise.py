"""Grey levels -> the range the network was trained on, by percentiles: one hot voxel changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_colloids.detection.overview import Overview
from napari_colloids.errors import ColloidsError

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
        finite = sample[np.isfinite(sample)]
        if finite.size == 0:
            raise ColloidsError("The stack holds no finite values (all are NaN or infinite).")
        low, high = (float(v) for v in np.percentile(finite, PERCENTILES))
        if high <= low:  # a few particles in the dark: fall back on the extremes
            low, high = float(finite.min()), float(finite.max())
        if high <= low:
            raise ColloidsError("The stack is constant: every voxel has the same value, so there is nothing to find.")
        return cls(low, high)

    def apply(self, image: np.ndarray) -> np.ndarray:
        """Return the image as float32, 0 at `low` and 1 at `high`, what is not finite set to 0.

        Above 1 it grows only as a logarithm: in a dilute stack the particles lie far above any percentile.
        """
        # In place: the source of a tile can be far larger than the tile itself.
        scaled = image.astype(np.float32)
        scaled -= np.float32(self.low)
        scaled /= np.float32(self.high - self.low)
        np.nan_to_num(scaled, copy=False, nan=0.0, posinf=1.0, neginf=0.0)
        np.maximum(scaled, -1, out=scaled)
        bright = scaled > 1
        scaled[bright] = 1 + np.log(scaled[bright])
        return scaled
