"""Where the network runs."""

from __future__ import annotations

from napari_colloids.errors import ColloidsError

#: The devices that can be asked for.
DEVICES = ("auto", "cpu", "cuda", "mps")


def choose_device(name: str = "auto") -> str:
    """Return ``cuda``, ``mps`` or ``cpu``; ``auto`` takes the first of these that is there.

    Raises
    ------
    ColloidsError
        If the name is unknown or the machine has no such device.
    """
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(device for device, available in there.items() if available)
    if name not in there:
        raise ColloidsError(f"There is no device '{name}'; choose one of {', '.join(DEVICES)}.")
    if not there[name]:
        raise ColloidsError(f"This machine has no '{name}' device that torch can use; choose 'auto' or 'cpu'.")
    return name
