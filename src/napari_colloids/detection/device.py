"""Choice of the device that the network runs on, and of its number type."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from napari_colloids.detection.options import Device
from napari_colloids.errors import ColloidsError

if TYPE_CHECKING:
    import torch


def choose_device(name: str = "auto") -> str:
    """Return ``cuda``, ``mps`` or ``cpu``; ``auto`` takes the first of these that is available.

    Raises
    ------
    ColloidsError
        If the name is unknown or the machine has no such device.
    """
    import torch

    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(device for device, usable in available.items() if usable)
    if name not in available:
        raise ColloidsError(f"There is no device '{name}'; choose one of {', '.join(get_args(Device))}.")
    if not available[name]:
        raise ColloidsError(f"This machine has no '{name}' device that torch can use; choose 'auto' or 'cpu'.")
    return name


def half_precision(device: str) -> torch.dtype | None:
    """Return the 16-bit number type in which a device computes faster than in 32 bits, or None.

    On a CPU that is bfloat16 where the processor has instructions for it; elsewhere it would only be emulated.
    """
    import torch

    if device == "cuda":
        return torch.float16
    # torch has no public function for this; where a version lacks these, 32 bits are right, if slower.
    tests = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    native = device == "cpu" and any(supported() for supported in tests if supported is not None)
    return torch.bfloat16 if native else None
