"""Contrast of candidates over the noise around them, measured in the image without the network.

A particle is brighter than its surroundings by many times what noise does at its size; what a network finds in noise
alone is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates, maximum_filter

from napari_colloids.detection.inference import prepare
from napari_colloids.detection.normalise import GreyLevels
from napari_colloids.detection.overview import Overview
from napari_colloids.detection.scale import CANONICAL_DIAMETER, Scale
from napari_colloids.detection.tiles import cut
from napari_colloids.progress import Progress
from napari_colloids.volumes import shape_of

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_colloids.detection.candidates import Candidates
    from napari_colloids.detection.tiles import Tile
    from napari_colloids.stack import VoxelSize
    from napari_colloids.volumes import Volume

#: Where no candidate has a contrast as high as this, there is no particle that stands out.
CERTAIN_CONTRAST = 7.0
#: Voxels per diameter of the resampled image: enough for a blur of a quarter of a diameter.
_DIAMETER_VOXELS = 5.0
#: Standard deviations of the two Gaussians whose difference is the contrast, in diameters.
_INNER_SIGMA, _OUTER_SIGMA = 0.25, 0.4
#: Edge of the blocks in which the noise is measured, in resampled voxels: it may differ from place to place.
_BLOCK_VOXELS = 40
#: Largest number of resampled voxels, about, in which places are looked for.
_MAX_VOXELS = 2_000_000
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


def iter_contrasts(
    volume: Volume, diameter: float, proportions: VoxelSize, found: Candidates
) -> Generator[Progress, None, NDArray[np.float64]]:
    """Measure the contrast of each candidate to its surroundings over the standard deviation of noise at its place.

    Parameters
    ----------
    volume
        Array-like ``(z, y, x)`` that was searched; it is read block by block, where there are candidates.
    diameter
        That was searched for, in voxels along x.
    proportions
        Edges ``(z, y, x)`` of a voxel over the one along x.
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
    scale = _scale(diameter, shape_of(volume), proportions)
    levels = _clipped(volume)
    tiles = _blocks(scale.canonical_shape)
    places = np.clip(scale.to_canonical(found.positions), 0, np.array(scale.canonical_shape) - 1)
    heights, noise = np.zeros(len(found)), np.zeros(len(found))
    measured: list[float] = []
    for tile in tiles:
        first, last = np.array(tile.core_low), np.array(tile.core_high)
        here = np.all((places >= first - 0.5) & (places < last - 0.5), axis=1)
        if here.any():
            contrast, core = _tile_contrast(volume, tile, scale, levels)
            median, sigma = _noise(contrast[core])
            heights[here] = map_coordinates(contrast, (places[here] - tile.low).T, order=1, mode="nearest") - median
            measured.append(sigma)
            noise[here] = sigma
        yield Progress(1, 1, "telling particles from noise")
    return _over_noise(heights, noise, measured)


def iter_places(
    volume: Volume, diameter: float, proportions: VoxelSize
) -> Generator[Progress, None, tuple[NDArray[np.float64], NDArray[np.float64], float]]:
    """Find the places in a volume, or in blocks spread over a large one, that stand out from the noise around them.

    Parameters
    ----------
    volume
        Array-like ``(z, y, x)``; it is read block by block.
    diameter
        Of what is looked for, in voxels along x.
    proportions
        Edges ``(z, y, x)`` of a voxel over the one along x.

    Yields
    ------
    Progress
        After every block.

    Returns
    -------
    positions : numpy.ndarray
        Shape ``(N, 3)``, in voxels, to about a fifth of the diameter.
    contrast : numpy.ndarray
        Shape ``(N,)``, as that of candidates, at least `CERTAIN_CONTRAST`.
    volume : float
        That was looked at, in diameters cubed.
    """
    scale = _scale(diameter, shape_of(volume), proportions)
    levels = _clipped(volume)
    tiles = _blocks(scale.canonical_shape)
    few = max(1, int(_MAX_VOXELS // _BLOCK_VOXELS**3))
    tiles = [tiles[k] for k in np.random.default_rng(0).permutation(len(tiles))[:few]]
    found, heights, noise, searched = [np.empty((0, 3))], [np.empty(0)], [], 0.0
    for number, tile in enumerate(tiles):
        contrast, core = _tile_contrast(volume, tile, scale, levels)
        size = 2 * int(_DIAMETER_VOXELS) // 2 + 1
        highest = (contrast == maximum_filter(contrast, size, mode="nearest"))[core]
        median, sigma = _noise(contrast[core])
        searched += contrast[core].size
        places = np.argwhere(highest)
        found.append(scale.to_source(places + np.array(tile.core_low, float)))
        heights.append(contrast[core][highest] - median)
        noise.append(np.full(len(places), sigma))
        yield Progress(number + 1, len(tiles), "looking for single particles")
    sigmas = np.concatenate([np.empty(0), *noise])
    contrasts = _over_noise(np.concatenate(heights), sigmas, sigmas)
    standing = contrasts >= CERTAIN_CONTRAST
    return np.concatenate(found)[standing], contrasts[standing], searched / _DIAMETER_VOXELS**3


def _scale(diameter: float, shape: tuple[int, int, int], proportions: VoxelSize) -> Scale:
    """Return the scale on which particles are `_DIAMETER_VOXELS` wide."""
    return Scale.for_diameter(diameter * CANONICAL_DIAMETER / _DIAMETER_VOXELS, shape, proportions)


def _blocks(shape: tuple[int, int, int]) -> list[Tile]:
    """Cut the resampled volume into blocks."""
    z, y, x = shape
    reach = int(np.ceil(_TRUNCATE_SIGMAS * _OUTER_SIGMA * _DIAMETER_VOXELS))
    return list(cut(shape, (_block(z), _block(y), _block(x)), reach, 1))


def _tile_contrast(
    volume: Volume, tile: Tile, scale: Scale, levels: GreyLevels
) -> tuple[NDArray[np.float32], tuple[slice, ...]]:
    """Return the contrast in a block with its halo, and the slices of its core."""
    low, first, last = np.array(tile.low), np.array(tile.core_low), np.array(tile.core_high)
    core = tuple(slice(int(a), int(b)) for a, b in zip(first - low, last - low, strict=True))
    return _contrast(prepare(volume, tile.low, tile.high, scale, levels).numpy()), core


def _noise(core: NDArray[np.float32]) -> tuple[float, float]:
    """Return the median of a contrast and the standard deviation of its noise.

    That of what is darker than the median: bright particles hardly change it where they are dilute.
    """
    median = float(np.median(core))
    return median, float(np.sqrt(np.mean((core[core <= median] - median) ** 2)))


def _over_noise(
    heights: NDArray[np.float64], noise: NDArray[np.float64], measured: Sequence[float] | NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the heights over the noise at their place, which is at least a fraction of the median of all blocks."""
    least = _MIN_NOISE_FRACTION * float(np.median(measured)) if len(measured) else 0.0
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
