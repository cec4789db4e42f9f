"""Weights of the network: the bundled ones, and files that `napari_colloids.training` wrote."""

from __future__ import annotations

import copy
import hashlib
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from napari_colloids.errors import ColloidsError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from napari_colloids.detection.network import CentreNet

#: File name of the bundled weights; beside it lies a file with their digest, as ``sha256sum`` writes it.
FILE = "centrenet.safetensors"
_MISSING = "The bundled model is missing; install napari-colloids again."


@lru_cache(maxsize=1)
def bundled_network() -> CentreNet:
    """Return the bundled network, ready for inference on the CPU.

    Raises
    ------
    ColloidsError
        If the file is missing or is not the one that this version was released with.
    """
    try:
        content = _folder().joinpath(FILE).read_bytes()
    except OSError as error:
        raise ColloidsError(_MISSING) from error
    return network_from(content, weights_digest())


def network_of(weights: str | None) -> CentreNet:
    """Return the network with the weights of a file, or the bundled one, ready for inference on the CPU.

    Raises
    ------
    ColloidsError
        If the file cannot be read or holds something else; as `bundled_network`.
    """
    return bundled_network() if weights is None else _network_with(weights, _content(weights))


def network_on(device: str, weights: str | None = None) -> CentreNet:
    """Return `network_of` on a device; where that is not the CPU a copy, as the network on the CPU is cached."""
    network = network_of(weights)
    return network if device == "cpu" else copy.deepcopy(network).to(device)


def weights_digest(weights: str | None = None) -> str:
    """Return the SHA-256 of a file of weights, or that of the bundled ones, which is stored beside them.

    Raises
    ------
    ColloidsError
        If the file is missing.
    """
    if weights is not None:
        return hashlib.sha256(_content(weights)).hexdigest()
    try:
        return _folder().joinpath(FILE + ".sha256").read_text(encoding="ascii").split()[0]
    except (OSError, IndexError) as error:
        raise ColloidsError(_MISSING) from error


def _content(weights: str) -> bytes:
    try:
        return Path(weights).read_bytes()
    except OSError as error:
        raise ColloidsError(f"The weights {weights} cannot be read: {error.strerror}.") from error


@lru_cache(maxsize=2)
def _network_with(weights: str, content: bytes) -> CentreNet:
    try:
        return network_from(content)
    except ColloidsError as error:
        raise ColloidsError(f"{weights}: {error}") from error


def _folder() -> Traversable:
    return files("napari_colloids.detection").joinpath("weights")


def network_from(content: bytes, sha256: str | None = None) -> CentreNet:
    """Build a network from the bytes of a safetensors file.

    Parameters
    ----------
    content
        As written by training.
    sha256
        The digest that the content must have, if any.

    Raises
    ------
    ColloidsError
        If the digest differs or the content is no such file.
    """
    import torch
    from safetensors.torch import load

    from napari_colloids.detection.network import CentreNet, prepare_torch

    prepare_torch()  # before the first tensor

    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise ColloidsError("The bundled model is damaged (its SHA-256 is wrong); install napari-colloids again.")
    try:
        state = load(content)
        fine, middle, coarse = (
            state[f"{name}.first.weight"].shape[0] for name in ("encode_fine", "encode_middle", "bottom")
        )
        network = CentreNet((fine, middle, coarse))
        network.load_state_dict(state)
    except Exception as error:  # safetensors raises its own class, torch RuntimeError
        raise ColloidsError("This file does not hold the weights of a napari-colloids network.") from error
    channels_last: CentreNet = network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    return channels_last.eval().requires_grad_(False)
