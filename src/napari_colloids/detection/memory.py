"""How large a tile may be, and what to try when it was too large."""

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

#: Memory the network needs per canonical voxel of a tile, in bytes, with 32 and with 16 bits (measured on a CPU).
_BYTES_PER_VOXEL = {32: 50, 16: 32}
#: Copies of the source voxels of a tile that reading makes for a while, before the network needs its memory.
_COPIES = 2
#: Largest share of the free memory, and on a CPU the largest amount, that a tile may take.
_SHARE = 0.5
_CPU_BYTES = 1.6e9
#: Cores where not even the smallest tile seems to fit; they are hardly more than halo.
_SMALLEST_CORE = 2 * MULTIPLE


def attempts(
    scale: Scale, halo: int, device: str, tile: int | None, box: Box | None = None, voxel_bytes: int = 1
) -> Iterator[tuple[str, Shape]]:
    """Return device and shape of the tiles' cores (canonical voxels) to try, one after the other.

    The first is what was asked for or what the free memory allows; should memory run out all the same, ever smaller
    tiles follow, and at last those on the CPU.

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
        core: Shape | None = _asked_for(tile, scale, box) if tile else _fitting(place, scale, halo, box, voxel_bytes)
        while core is not None:
            yield place, core
            # The tile has to shrink: smaller cores alone, whose halo fills the volume as before, would only be slower.
            sides = zip(scale.padded_shape, core, box.low, box.high, strict=True)
            voxels = math.prod(tile_length(n, edge, halo, MULTIPLE, a, b) for n, edge, a, b in sides)
            core = cheapest_core(scale.padded_shape, halo, voxels / 2, MULTIPLE, box)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that memory ran out; torch has a class of its own only for CUDA."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(
        phrase in text for phrase in ("out of memory", "not enough memory", "can't allocate memory")
    )


def _asked_for(tile: int, scale: Scale, box: Box) -> Shape:
    edge = _rounded(tile / scale.lateral_step)
    z, y, x = (min(edge, high - low) for low, high in zip(box.low, box.high, strict=True))
    return z, y, x


def _fitting(device: str, scale: Scale, halo: int, box: Box, voxel_bytes: int) -> Shape:
    bits = 32 if half_precision(device) is None else 16
    # 8: the resampled slices, and their joining.
    per_voxel = max(_BYTES_PER_VOXEL[bits], 8 + _COPIES * voxel_bytes * float(np.prod(scale.step)))
    core = cheapest_core(scale.padded_shape, halo, _free_bytes(device) / per_voxel, MULTIPLE, box)
    return core or (_SMALLEST_CORE, _SMALLEST_CORE, _SMALLEST_CORE)


def _rounded(edge: float) -> int:
    return max(int(edge) // MULTIPLE, 1) * MULTIPLE


def _free_bytes(device: str) -> float:
    if device == "cuda":
        import torch

        return _SHARE * torch.cuda.mem_get_info()[0]
    import psutil

    return min(_SHARE * psutil.virtual_memory().available, _CPU_BYTES)
