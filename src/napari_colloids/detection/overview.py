"""Subsampled volumes: enough for the grey levels and the places where something is, read once."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

from napari_colloids.volumes import Inverted, read_box

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from napari_colloids.volumes import Volume

    class ChunkedVolume(Volume, Protocol):
        """A dask array."""

        @property
        def npartitions(self) -> int:
            """Number of chunks."""

        @property
        def numblocks(self) -> tuple[int, ...]:
            """Number of chunks along each axis."""

        @property
        def blocks(self) -> Mapping[tuple[int, ...], Volume]:
            """The chunks."""


#: Largest number of voxels, about, of an overview; they are spread evenly over the volume.
_MAX_VOXELS = 2_000_000
#: Largest number of chunks that `quick_sample` reads. Those of our readers have up to some 32 MB.
_MAX_CHUNKS = 8


@dataclass(frozen=True, eq=False)
class Overview:
    """Every `step`-th voxel of a volume along each axis.

    Attributes
    ----------
    sample
        Shape ``(z, y, x)``; grey levels of 8 or 16 bits as they are, all others as float32.
    step
        Voxels of the volume per voxel of the sample.
    merged
        Whether the volume has several grey levels that are one and the same as float32.
    """

    sample: NDArray[np.generic]
    step: int
    merged: bool = False

    @classmethod
    def of(cls, volume: Volume) -> Overview:
        """Subsample a volume ``(z, y, x)``."""
        step = _step(float(np.prod(np.shape(volume))))
        sample = read_box(volume, (slice(None, None, step),) * 3)
        if sample.dtype.kind == "u" and sample.dtype.itemsize <= 2:
            return cls(sample, step)
        with np.errstate(over="ignore"):  # values too large for 32 bits become infinite
            narrow = sample.astype(np.float32)
        finite = np.isfinite(narrow)
        merged = finite.any() and np.ptp(narrow[finite]) == 0 and sample[finite].min() < sample[finite].max()
        return cls(narrow, step, bool(merged))

    def inverted(self) -> Overview:
        """Return the overview of the inverted volume."""
        return replace(self, sample=read_box(Inverted(self.sample), (slice(None),) * 3))

    def part(self, box: tuple[slice, ...]) -> NDArray[np.generic]:
        """Return the sample of a box of the volume; where the box lies between sampled voxels, the nearest of these."""
        slices = []
        for side, length in zip(box, self.sample.shape, strict=True):
            first = min(-(-side.start // self.step), length - 1)
            slices.append(slice(first, max(-(-side.stop // self.step), first + 1)))
        return self.sample[tuple(slices)]


def quick_sample(volume: Volume) -> Volume:
    """Return a sample of a volume for contrast limits: some voxels of a few chunks where it is read chunk by chunk.

    An `Overview` needs every chunk, which for a large file takes as long as reading all of it.

    Parameters
    ----------
    volume
        Array-like ``(z, y, x)``.

    Returns
    -------
    array-like
        Sampled voxels of a dask array, shape ``(1, 1, N)``; a volume in memory, or of a few chunks, as it is.
    """
    if getattr(volume, "npartitions", 0) <= _MAX_CHUNKS:
        return volume
    chunked = cast("ChunkedVolume", volume)
    # Stratified along z: one random chunk of each of as many equal parts, the same in every call.
    place = (np.arange(_MAX_CHUNKS) + np.random.default_rng(0).random(_MAX_CHUNKS)) / _MAX_CHUNKS
    numbers = np.unravel_index((place * chunked.npartitions).astype(int), chunked.numblocks)
    chunks = [chunked.blocks[tuple(map(int, number))] for number in zip(*numbers, strict=True)]
    step = _step(sum(math.prod(chunk.shape) for chunk in chunks))
    return np.concatenate([read_box(chunk, (slice(None, None, step),) * 3).ravel() for chunk in chunks])[None, None]


def _step(voxels: float) -> int:
    """Return the distance of sampled voxels along each axis, for a volume of so many voxels."""
    return max(1, round((voxels / _MAX_VOXELS) ** (1 / 3)))
