"""Contrast of candidates over the noise around them, measured in the image without the network.

A particle is brighter than its surroundings by many times what noise does at its size; what a network finds in noise
alone is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from napari_colloids.detection.inference import prepare
from napari_colloids.detection.normalise import GreyLevels
from napari_colloids.detection.overview import Overview
from napari_colloids.detection.scale import CANONICAL_DIAMETER, Scale
from napari_colloids.detection.tiles import cut
from napari_colloids.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_colloids.detection.candidates import Candidates
    from napari_colloids.detection.plan import Plan
    from napari_colloids.volumes import Volume

#: Voxels per diameter of the resampled image: enough for a blur of a quarter of a diameter.
_DIAMETER_VOXELS = 5.0
#: Standard deviations of the two Gaussians whose difference is the contrast, in diameters.
_INNER_SIGMA, _OUTER_SIGMA = 0.25, 0.4
#: Edge of the blocks in which the noise is measured, in resampled voxels: it may differ from place to place.
_BLOCK_VOXELS = 40
#: Gaussians are truncated at this many standard deviations.
_TRUNCATE_SIGMAS = 3.0
#: Grey levels further from the median than this, in standard deviations of the noise, are clipped: a single hot voxel
#: is no particle.
_CLIPPED_SIGMAS = 4.0
#: Standard deviation of normal noise over its median absolute deviation.
_SIGMA_PER_MAD = 1.4826
#: Least noise of a block over the median of all blocks: where nothing was imaged there is none.
_MIN_NOISE_FRACTION = 0.3


class _Clipped(GreyLevels):
    """Grey levels that are clipped on either side."""

    def apply(self, image: NDArray[np.generic], device: str = "cpu") -> Tensor:
        return super().apply(image, device).clamp_(min=0, max=1)


def iter_contrasts(volume: Volume, plan: Plan, found: Candidates) -> Generator[Progress, None, NDArray[np.float64]]:
    """Measure the contrast of each candidate to its surroundings over the standard deviation of noise at its place.

    Parameters
    ----------
    volume
        Array-like ``(z, y, x)`` that was searched; it is read block by block, where there are candidates.
    plan
        Of the search.
    found
        Candidates in voxels of the volume.

    Yields
    ------
    Progress
        After every block.

    Returns
    -------
    numpy.ndarray
        Shape ``(N,)``. Of noise the largest of thousands is about 5, of dim particles far apart it is 6 to 15; where
        particles are dense, what counts as noise is particles, too, and it is 1 to 3.
    """
    scale = Scale.for_diameter(plan.diameter * CANONICAL_DIAMETER / _DIAMETER_VOXELS, plan.shape, plan.proportions)
    z, y, x = scale.canonical_shape
    levels = _clipped(volume)
    reach = int(np.ceil(_TRUNCATE_SIGMAS * _OUTER_SIGMA * _DIAMETER_VOXELS))
    tiles = list(cut((z, y, x), (_block(z), _block(y), _block(x)), reach, 1))
    places = np.clip(scale.to_canonical(found.positions), 0, np.array((z, y, x)) - 1)
    heights, noise, measured = np.zeros(len(found)), np.zeros(len(found)), []
    for number, tile in enumerate(tiles):
        low, first, last = np.array(tile.low), np.array(tile.core_low), np.array(tile.core_high)
        here = np.all((places >= first - 0.5) & (places < last - 0.5), axis=1)
        if here.any():
            contrast = _contrast(prepare(volume, tile.low, tile.high, scale, levels).numpy())
            core = contrast[tuple(slice(a, b) for a, b in zip(first - low, last - low, strict=True))]
            median = np.median(core)
            heights[here] = map_coordinates(contrast, (places[here] - low).T, order=1, mode="nearest") - median
            # Of what is darker than the median: bright particles hardly change it where they are dilute.
            measured.append(float(np.sqrt(np.mean((core[core <= median] - median) ** 2))))
            noise[here] = measured[-1]
        yield Progress(number + 1, len(tiles), "telling particles from noise")
    least = _MIN_NOISE_FRACTION * float(np.median(measured)) if measured else 0.0
    return heights / np.maximum(noise, max(least, np.finfo(float).tiny))


def _block(length: int) -> int:
    """Return the length of the blocks that an axis is cut into, of about the same size."""
    return -(-length // max(1, round(length / _BLOCK_VOXELS)))


def _contrast(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the difference of two Gaussians of about the size of a particle."""
    inner, outer = (
        gaussian_filter(image, sigma * _DIAMETER_VOXELS, mode="nearest", truncate=_TRUNCATE_SIGMAS)
        for sigma in (_INNER_SIGMA, _OUTER_SIGMA)
    )
    return inner - outer


def _clipped(volume: Volume) -> GreyLevels:
    """Return the grey levels between which noise lies."""
    sample = Overview.of(volume).sample
    values = sample[np.isfinite(sample)].astype(np.float64)
    middle = float(np.median(values))
    sigma = _SIGMA_PER_MAD * float(np.median(np.abs(values - middle))) or float(values.std())
    return _Clipped(middle - _CLIPPED_SIGMAS * sigma, middle + _CLIPPED_SIGMAS * sigma)
