"""One optimisation step, optionally captured as CUDA graphs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_colloids.training.losses import detection_loss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_colloids.detection.network import CentreNet
    from napari_colloids.training.optimiser import Optimiser

#: Steps before the capture: in the first ones torch allocates its buffers and chooses its kernels.
_STEPS_BEFORE_CAPTURE = 3


class Step:
    r"""An optimisation step: loss, gradients, weights, and the moving average of the weights.

    Parameters
    ----------
    network, average, optimiser
        Changed in place; `average` follows the weights of `network`.
    clip
        Largest gradient norm.
    half
        Type of number of the forward pass, if not that of the weights.
    capture
        Whether to capture the step as CUDA graphs and replay these.

    Notes
    -----
    After each step the moving average :math:`\bar w` of the weights :math:`w` becomes
    :math:`\lambda \bar w + (1 - \lambda) w`.

    Launching the thousand small kernels of a step takes a GPU longer than running them. On NVIDIA's GPUs a step is
    therefore captured as two CUDA graphs, one up to the gradients and one from there to the new weights. Steps whose
    gradients are not finite change nothing.
    """

    def __init__(
        self,
        network: CentreNet,
        average: CentreNet,
        optimiser: Optimiser,
        clip: float,
        half: torch.dtype | None,
        *,
        capture: bool,
    ) -> None:
        self._network, self._average, self._optimiser = network, average, optimiser
        self._clip, self._half = clip, half
        self._device = next(network.parameters()).device
        # A tensor, as a captured step would keep a plain number for ever.
        self._new_share = torch.zeros((), device=self._device)
        self._steps_to_capture = _STEPS_BEFORE_CAPTURE if capture else None
        self._captured: _CapturedStep | None = None

    def __call__(self, batch: Sequence[Tensor], learning_rate: float, decay: float) -> dict[str, Tensor]:
        r"""Change the weights by one batch; return the parts of the loss, which the next step may overwrite.

        Parameters
        ----------
        batch
            Images and `Targets`, each with the batch first.
        learning_rate
            Of this step.
        decay
            Share :math:`\lambda` of the average weights that is kept.
        """
        self._optimiser.learning_rate.fill_(learning_rate)
        self._new_share.fill_(1 - decay)
        if self._captured is not None:
            return self._captured.replay(batch)
        batch = [part.to(self._device, non_blocking=True) for part in batch]
        if self._steps_to_capture == 0:
            self._captured = _CapturedStep(self, batch)
            return self._captured.replay(batch)
        if self._steps_to_capture is None:
            return self._run(batch)
        self._steps_to_capture -= 1
        with torch.cuda.stream(torch.cuda.Stream()):  # what is to be captured must not have run in the default stream
            torch.cuda.current_stream().wait_stream(torch.cuda.default_stream())
            parts = self._run(batch)
        torch.cuda.synchronize()
        return parts

    def _run(self, batch: Sequence[Tensor]) -> dict[str, Tensor]:
        parts, norm = self.compute_gradients(batch)
        if torch.isfinite(norm):
            self.update()
        return parts

    def compute_gradients(self, batch: Sequence[Tensor]) -> tuple[dict[str, Tensor], Tensor]:
        """Compute the loss and its gradients; return the parts of the loss and the gradient norm before clipping."""
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
            kept.lerp_(new, self._new_share)


class _CapturedStep:
    """A step as CUDA graphs, with the tensors that these read from and write to."""

    def __init__(self, step: Step, batch: Sequence[Tensor]) -> None:
        self._batch = [part.clone() for part in batch]
        self._gradients, self._update = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        # "thread_local": the thread that brings the next batches keeps running.
        with torch.cuda.graph(self._gradients, capture_error_mode="thread_local"):
            self._parts, self._norm = step.compute_gradients(self._batch)
        pool = self._gradients.pool()
        with torch.cuda.graph(self._update, pool=pool, capture_error_mode="thread_local"):
            step.update()

    def replay(self, batch: Sequence[Tensor]) -> dict[str, Tensor]:
        """Run the captured step on another batch; return the parts of the loss."""
        for kept, new in zip(self._batch, batch, strict=True):
            kept.copy_(new, non_blocking=True)
        self._gradients.replay()
        if torch.isfinite(self._norm):
            self._update.replay()
        return self._parts
