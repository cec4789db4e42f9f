"""How large a tile may be, and what to try when it was too large."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.detection.network import MULTIPLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_colloids.detection.scale import Scale

#: Memory the network needs per canonical voxel of a tile, in bytes (measured with float32 on a CPU, rounded up).
_BYTES_PER_VOXEL = 50
#: Memory that reading, normalising and resampling needs per source voxel of a tile, in bytes; before the network's.
_BYTES_PER_SOURCE_VOXEL = 16
#: Largest share of the free memory, and on a CPU the largest amount, that a tile may take.
_SHARE = 0.5
_CPU_BYTES = 1.2e9
#: Cores below this are hardly more than halo.
_SMALLEST_CORE = 2 * MULTIPLE


def attempts(scale: Scale, halo: int, device: str, tile: int | None) -> Iterator[tuple[str, int]]:
    """Return device and edge of the tiles' cores (canonical voxels) to try, one after the other.

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
    """
    for place in dict.fromkeys((device, "cpu")):
        core = _rounded(tile / scale.step[2]) if tile else _core_for(_free_bytes(place), scale, halo)
        core = min(core, _rounded(max(scale.canonical_shape) + MULTIPLE - 1))
        while True:
            yield place, core
            if core <= _SMALLEST_CORE:
                break
            core = max(_rounded(core / 2), _SMALLEST_CORE)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that memory ran out; torch has a class of its own only for CUDA."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(
        phrase in text for phrase in ("out of memory", "not enough memory", "can't allocate memory")
    )


def _core_for(free: float, scale: Scale, halo: int) -> int:
    per_voxel = max(_BYTES_PER_VOXEL, _BYTES_PER_SOURCE_VOXEL * float(np.prod(scale.step)))
    if np.prod(scale.canonical_shape) * per_voxel <= free:
        return _rounded(max(scale.canonical_shape) + MULTIPLE - 1)
    return max(_rounded((free / per_voxel) ** (1 / 3) - 2 * halo), _SMALLEST_CORE)


def _rounded(edge: float) -> int:
    return max(int(edge) // MULTIPLE, 1) * MULTIPLE


def _free_bytes(device: str) -> float:
    if device == "cuda":
        import torch

        return _SHARE * torch.cuda.mem_get_info()[0]
    import psutil

    return min(_SHARE * psutil.virtual_memory().available, _CPU_BYTES)
