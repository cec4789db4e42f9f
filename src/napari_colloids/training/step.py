"""One step of a training: what is wrong with the output, and weights that make it less so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_colloids.training.losses import detection_loss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_colloids.detection.network import CentreNet
    from napari_colloids.training.optimiser import Optimiser

#: Steps before they are recorded: torch makes its buffers and chooses its kernels in the first ones.
_BEFORE_RECORDING = 3


class Step:
    """Steps of a training.

    To launch the thousand small kernels of a step takes a GPU longer than to run them. So on NVIDIA's GPUs a step is
    recorded as two CUDA graphs, up to the gradients and from there to the new weights, which all later ones replay.

    Parameters
    ----------
    network, average, optimiser
        Changed in place; `average` follows the weights of `network`.
    clip
        Largest gradient norm.
    half
        Type of number to compute in, if not the weights' own.
    record
        Whether to record and replay.
    """

    def __init__(
        self,
        network: CentreNet,
        average: CentreNet,
        optimiser: Optimiser,
        clip: float,
        half: torch.dtype | None,
        *,
        record: bool,
    ) -> None:
        self._network, self._average, self._optimiser = network, average, optimiser
        self._clip, self._half = clip, half
        self._device = next(network.parameters()).device
        # A tensor, as a recorded step keeps every number.
        self._forget = torch.zeros((), device=self._device)
        self._left_to_do = _BEFORE_RECORDING if record else None
        self._recording: _Recording | None = None

    def __call__(self, batch: Sequence[Tensor], learning_rate: float, decay: float) -> dict[str, Tensor]:
        """Change the weights by one batch; return the parts of the loss, which the next step may overwrite.

        Parameters
        ----------
        batch
            Images and `Targets`, each with the batch first.
        learning_rate
            Of this step.
        decay
            Share of the average weights that is kept.
        """
        self._optimiser.learning_rate.fill_(learning_rate)
        self._forget.fill_(1 - decay)
        if self._recording is not None:
            return self._recording.replay(batch)
        batch = [part.to(self._device, non_blocking=True) for part in batch]
        if self._left_to_do == 0:
            self._recording = _Recording(self, batch)
            return self._recording.replay(batch)
        if self._left_to_do is None:
            return self._run(batch)
        self._left_to_do -= 1
        with torch.cuda.stream(torch.cuda.Stream()):  # what is to be recorded must not have run in the default stream
            torch.cuda.current_stream().wait_stream(torch.cuda.default_stream())
            parts = self._run(batch)
        torch.cuda.synchronize()
        return parts

    def _run(self, batch: Sequence[Tensor]) -> dict[str, Tensor]:
        parts, norm = self.differentiate(batch)
        if torch.isfinite(norm):
            self.update()
        return parts

    def differentiate(self, batch: Sequence[Tensor]) -> tuple[dict[str, Tensor], Tensor]:
        """Compute loss and gradients; return the parts of the loss and the norm that the gradients had."""
        image, *targets = batch
        with torch.autocast(self._device.type, dtype=self._half, enabled=self._half is not None):
            output = self._network(image.to(memory_format=torch.channels_last_3d))
        parts = detection_loss(output, *targets)
        self._network.zero_grad(set_to_none=True)
        parts["total"].backward()
        norm = torch.nn.utils.clip_grad_norm_(self._network.parameters(), self._clip)
        return {name: value.detach() for name, value in parts.items()}, norm

    @torch.no_grad()
    def update(self) -> None:
        """Change the weights by their gradients, and the average by the weights."""
        self._optimiser.step()
        for kept, new in zip(self._average.parameters(), self._network.parameters(), strict=True):
            kept.lerp_(new, self._forget)


class _Recording:
    """A step as CUDA graphs, with the tensors that they read from and write to."""

    def __init__(self, step: Step, batch: Sequence[Tensor]) -> None:
        self._batch = [part.clone() for part in batch]
        self._differentiate, self._update = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        # Meanwhile the thread that brings the next batches goes on: "thread_local".
        with torch.cuda.graph(self._differentiate, capture_error_mode="thread_local"):
            self._parts, self._norm = step.differentiate(self._batch)
        pool = self._differentiate.pool()
        with torch.cuda.graph(self._update, pool=pool, capture_error_mode="thread_local"):
            step.update()

    def replay(self, batch: Sequence[Tensor]) -> dict[str, Tensor]:
        for kept, new in zip(self._batch, batch, strict=True):
            kept.copy_(new, non_blocking=True)
        self._differentiate.replay()
        if torch.isfinite(self._norm):
            self._update.replay()
        return self._parts
