"""State of a training run, and its checkpoint file."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from napari_colloids.errors import ColloidsError
from napari_colloids.io.atomic import atomic_write

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_colloids.detection.network import CentreNet
    from napari_colloids.training.optimiser import Optimiser

#: File name of the checkpoint.
_CHECKPOINT = "checkpoint.safetensors"


@dataclass
class TrainingState:
    """State of a training run.

    Attributes
    ----------
    network
        The network that is trained.
    average
        A network of the moving average of its weights.
    optimiser
        With its momenta.
    step
        Number of steps done.
    ends
        The average weights at the ends of the stages so far, by ``"STEP.NAME"``.
    """

    network: CentreNet
    average: CentreNet
    optimiser: Optimiser
    step: int = 0
    ends: dict[str, torch.Tensor] = field(default_factory=dict)

    def end_stage(self) -> None:
        """Keep the average weights of the end of a stage."""
        self.ends |= {f"{self.step}.{k}": v.detach().cpu().clone() for k, v in self.average.named_parameters()}

    def mean_of(self, ends: Sequence[int]) -> CentreNet:
        """Return a network on the CPU whose weights are the mean of those after the steps `ends`, where stages end."""
        network = copy.deepcopy(self.average).cpu()
        with torch.no_grad():
            for name, weights in network.named_parameters():
                weights.copy_(torch.stack([self.ends[f"{end}.{name}"] for end in ends]).mean(0))
        return network

    def save(self, folder: Path, meta: dict[str, str]) -> None:
        """Write the checkpoint, and the moving average as weights."""
        state = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        state |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        state |= {f"optimiser.{k}": v for k, v in self.optimiser.state().items()}
        state |= {f"ends.{k}": v for k, v in self.ends.items()}
        _write(folder / _CHECKPOINT, state, meta | {"step": str(self.step)})
        self.save_weights(folder, self.average, meta)

    def save_weights(self, folder: Path, network: CentreNet, meta: dict[str, str]) -> Path:
        """Write the weights of `network` and return their path."""
        path = folder / "weights.safetensors"
        _write(path, network.state_dict(), meta | {"step": str(self.step)})
        return path

    def restore(self, folder: Path, ends: Sequence[int]) -> dict[str, object]:
        """Restore the state from the checkpoint.

        Parameters
        ----------
        folder
            Of the run.
        ends
            Steps whose weights `mean_of` will need.

        Returns
        -------
        dict
            The fields of `Config` that the checkpoint was made with.

        Raises
        ------
        ColloidsError
            If there is none, it cannot be read, or it lacks the weights of one of the `ends` before it.
        """
        path = folder / _CHECKPOINT
        if not path.exists():
            raise ColloidsError(f"There is no checkpoint in {folder} to resume from; start anew.")
        try:
            state = load_file(path)
            with safe_open(path, framework="pt") as file:
                meta = file.metadata()
            self.step, recorded = int(meta["step"]), dict(json.loads(meta["config"]))
            self.network.load_state_dict(_part(state, "network."))
            self.average.load_state_dict(_part(state, "average."))
            self.optimiser.restore(_part(state, "optimiser."))
            self.ends = _part(state, "ends.")
        except Exception as error:  # safetensors raises its own class, torch RuntimeError
            raise ColloidsError(f"The checkpoint in {folder} is damaged, or of a network of other channels.") from error
        for end in ends:
            if end <= self.step and not _part(self.ends, f"{end}."):
                raise ColloidsError(
                    f"The checkpoint in {folder} does not know the weights of step {end}, where a stage ends that is "
                    "averaged: it had other stages. Start anew."
                )
        return recorded


def _part(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def _write(path: Path, tensors: dict[str, torch.Tensor], meta: dict[str, str]) -> None:
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_write(path) as temporary:
        save_file(contiguous, temporary, metadata=meta)
