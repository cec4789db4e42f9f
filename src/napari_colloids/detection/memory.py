"""Size of the tiles by the free memory, and smaller ones to try should memory run out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.detection.device import half_precision
from napari_colloids.detection.network import MULTIPLE
from napari_colloids.detection.tiles import Box, Shape, cheapest_core, tile_length

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_colloids.detection.scale import Scale

#: Memory of the network per canonical voxel of a tile, in bytes, with 32 and with 16 bits (measured on a CPU).
_NETWORK_BYTES_PER_VOXEL = {32: 50, 16: 32}
#: Memory of the resampled slices per canonical voxel, and of their concatenation.
_RESAMPLED_BYTES_PER_VOXEL = 8
#: Copies of the source voxels of a tile that exist while it is read, before the network needs its memory.
_SOURCE_COPIES = 2
#: Largest fraction of the free memory that a tile may take, and on a CPU the largest number of bytes.
_MAX_FREE_MEMORY_FRACTION = 0.5
_MAX_CPU_BYTES = 1.6e9
#: Edge of the cores, in canonical voxels, where not even the smallest tile fits by this estimate.
_MIN_CORE_VOXELS = 2 * MULTIPLE


def attempts(
    scale: Scale, halo: int, device: str, tile: int | None, box: Box | None = None, voxel_bytes: int = 1
) -> Iterator[tuple[str, Shape]]:
    """Yield devices and shapes of the tiles' cores (canonical voxels) to try, one after the other.

    The first is the requested edge or what the free memory allows; smaller and smaller tiles follow, in case memory
    runs out all the same, and then those on the CPU.

    Parameters
    ----------
    scale
        Of the stack.
    halo
        Of the network, in canonical voxels.
    device
        ``cpu``, ``cuda`` or ``mps``.
    tile
        Edge in lateral source voxels, or None to choose.
    box
        The part of the padded canonical volume to search; None for all of it.
    voxel_bytes
        Size of a source voxel.
    """
    box = box or Box((0, 0, 0), scale.padded_shape)
    for place in dict.fromkeys((device, "cpu")):
        core: Shape | None = (
            _requested_core(tile, scale, box) if tile else _fitting_core(place, scale, halo, box, voxel_bytes)
        )
        while core is not None:
            yield place, core
            # The whole tile has to shrink: smaller cores whose halo fills the volume as before would only be slower.
            sides = zip(scale.padded_shape, core, box.low, box.high, strict=True)
            voxels = math.prod(tile_length(n, edge, halo, MULTIPLE, a, b) for n, edge, a, b in sides)
            core = cheapest_core(scale.padded_shape, halo, voxels / 2, MULTIPLE, box)


def _requested_core(tile: int, scale: Scale, box: Box) -> Shape:
    """Return a core of a given edge in lateral source voxels."""
    edge = _rounded(tile / scale.lateral_step)
    z, y, x = (min(edge, high - low) for low, high in zip(box.low, box.high, strict=True))
    return z, y, x


def _fitting_core(device: str, scale: Scale, halo: int, box: Box, voxel_bytes: int) -> Shape:
    """Return the core whose tiles fit into the free memory."""
    bits = 32 if half_precision(device) is None else 16
    reading = _RESAMPLED_BYTES_PER_VOXEL + _SOURCE_COPIES * voxel_bytes * float(np.prod(scale.step))
    per_voxel = max(_NETWORK_BYTES_PER_VOXEL[bits], reading)
    core = cheapest_core(scale.padded_shape, halo, _free_bytes(device) / per_voxel, MULTIPLE, box)
    return core or (_MIN_CORE_VOXELS, _MIN_CORE_VOXELS, _MIN_CORE_VOXELS)


def _rounded(edge: float) -> int:
    return max(int(edge) // MULTIPLE, 1) * MULTIPLE


def _free_bytes(device: str) -> float:
    if device == "cuda":
        import torch

        try:
            return _MAX_FREE_MEMORY_FRACTION * torch.cuda.mem_get_info()[0]
        except RuntimeError:  # the device was lost, which the first tile will say
            return 0.0
    import psutil

    return min(_MAX_FREE_MEMORY_FRACTION * psutil.virtual_memory().available, _MAX_CPU_BYTES)
