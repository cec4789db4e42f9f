"""`train`: makes the bundled weights, reproducibly, from a configuration file."""

from __future__ import annotations

import copy
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch.utils.data import DataLoader, Dataset

from napari_colloids.detection.device import half_precision
from napari_colloids.detection.network import CentreNet
from napari_colloids.errors import ColloidsError
from napari_colloids.training.calibration import calibrate
from napari_colloids.training.config import Config
from napari_colloids.training.curves import draw_curves
from napari_colloids.training.domain import Domain
from napari_colloids.training.optimiser import Optimiser
from napari_colloids.training.step import Step

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

#: Steps between lines of the log.
_LOG_EVERY = 100


class _Scenes(Dataset[tuple[np.ndarray, ...]]):
    """Scenes by number, so that a resumed run goes on where it stopped whatever the number of workers."""

    def __init__(self, domain: Domain, config: Config, first: int) -> None:
        self.domain, self.config, self.first = domain, config, first * config.batch

    def __len__(self) -> int:
        return self.config.steps * self.config.batch - self.first

    def __getitem__(self, number: int) -> tuple[np.ndarray, ...]:
        number += self.first
        stage, _ = self.config.stage_at(number // self.config.batch)
        sample = self.domain.sample(number, nano=stage.nano)
        return (sample.image, *sample.targets)


def _one_thread(_worker: int) -> None:
    torch.set_num_threads(1)


def train(config_path: str | os.PathLike[str], *, resume: bool = False) -> Path:
    """Train a network on simulated scenes.

    Parameters
    ----------
    config_path
        TOML file with the fields of `Config`.
    resume
        Go on from the last checkpoint in the output folder.

    Returns
    -------
    pathlib.Path
        The weights, a safetensors file; beside it lie ``log.jsonl``, its picture ``curves.png`` and the checkpoint.

    Raises
    ------
    ColloidsError
        If the configuration is wrong or there is nothing to resume.
    """
    from napari_colloids.detection.device import choose_device

    path = Path(config_path)
    config = Config.read(path)
    folder = path.parent / config.output
    folder.mkdir(parents=True, exist_ok=True)
    device = torch.device(choose_device(config.device))
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)

    network = CentreNet(config.channels).to(device).to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    optimiser = Optimiser(network, config.weight_decay)
    average = copy.deepcopy(network)
    first = done = _restore(folder, network, average, optimiser) if resume else 0
    if done > config.steps:
        raise ColloidsError(f"The checkpoint in {folder} has {done} steps, more than the {config.steps} of {path}.")

    # Gradients in float16 would have to be scaled, those in bfloat16 need not be.
    half = torch.bfloat16 if device.type == "cuda" else half_precision(device.type)
    take_step = Step(network, average, optimiser, config.clip, half, record=device.type == "cuda")
    domain = Domain(config.seed, config.packings)
    print(f"packing {config.packings} arrangements", flush=True)
    _ = domain.arrangements
    last_saved, started = time.monotonic(), time.monotonic()
    running: dict[str, torch.Tensor] = {}
    summed = 0
    with (folder / "log.jsonl").open("a" if resume else "w", encoding="utf-8") as log:
        for step, batch in zip(range(first, config.steps), _batches(domain, config, first), strict=False):
            decay = min(config.average, (1 + step) / (10 + step))
            parts = take_step(batch, config.learning_rate_at(step), decay)
            for name, value in parts.items():  # summed where they are, so that a GPU is not waited for
                running[name] = running.get(name, 0) + value
            summed += 1
            done = step + 1
            if done % _LOG_EVERY == 0 or done == config.steps:
                entry = {"step": done, "seconds": round(time.monotonic() - started, 1)}
                entry |= {name: float(total) / summed for name, total in running.items()}
                log.write(json.dumps(entry) + "\n")
                log.flush()
                print("  ".join(f"{k} {v:.4g}" for k, v in entry.items()), flush=True)
                running, summed = {}, 0
            if time.monotonic() - last_saved > config.checkpoint_seconds:
                _save(folder, done, network, average, optimiser, config)
                last_saved = time.monotonic()
    _save(folder, done, network, average, optimiser, config)
    print("calibrating the confidence", flush=True)
    calibrate(average.cpu(), domain, config.calibration_scenes)
    _save(folder, done, network, average, optimiser, config)
    draw_curves(folder / "log.jsonl", config, folder / "curves.png")
    return folder / "weights.safetensors"


def _batches(domain: Domain, config: Config, first: int) -> Iterator[list[torch.Tensor]]:
    return iter(
        DataLoader(
            _Scenes(domain, config, first),
            batch_size=config.batch,
            num_workers=config.workers,
            worker_init_fn=_one_thread,
            prefetch_factor=8 if config.workers else None,
            pin_memory=torch.cuda.is_available(),
        )
    )


def _save(
    folder: Path, step: int, network: CentreNet, average: CentreNet, optimiser: Optimiser, config: Config
) -> None:
    """Write weights and checkpoint, each to a temporary name first."""
    state = {f"network.{k}": v for k, v in network.state_dict().items()}
    state |= {f"average.{k}": v for k, v in average.state_dict().items()}
    state |= {f"optimiser.{k}": v for k, v in optimiser.state().items()}
    settings = {name: value for name, value in asdict(config).items() if name != "output"}
    meta = {"step": str(step), "config": json.dumps(settings)}
    contiguous = {k: v.detach().cpu().contiguous() for k, v in state.items()}
    _write(folder / "checkpoint.safetensors", contiguous, meta)
    _write(folder / "weights.safetensors", {k: v.cpu().contiguous() for k, v in average.state_dict().items()}, meta)


def _write(path: Path, tensors: dict[str, torch.Tensor], meta: dict[str, str]) -> None:
    temporary = path.with_suffix(".tmp")
    save_file(tensors, temporary, metadata=meta)
    temporary.replace(path)


def _restore(folder: Path, network: CentreNet, average: CentreNet, optimiser: Optimiser) -> int:
    """Load the checkpoint and return the number of steps that are done."""
    from safetensors import safe_open

    path = folder / "checkpoint.safetensors"
    if not path.exists():
        raise ColloidsError(f"There is no checkpoint in {folder} to resume from; start without --resume.")
    try:
        state = load_file(path)
        with safe_open(path, framework="pt") as file:
            step = int(file.metadata()["step"])
        for prefix, module in (("network.", network), ("average.", average)):
            module.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
        optimiser.restore({k.removeprefix("optimiser."): v for k, v in state.items() if k.startswith("optimiser.")})
    except Exception as error:  # safetensors raises its own class, torch RuntimeError
        raise ColloidsError(f"The checkpoint in {folder} is damaged, or of a network of other channels.") from error
    return step
