"""`train`: makes the weights of the network reproducibly from a configuration file, and the run that is behind it."""

from __future__ import annotations

import copy
import json
import time
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from napari_colloids.detection.device import choose_device, half_precision
from napari_colloids.detection.network import CentreNet
from napari_colloids.errors import ColloidsError
from napari_colloids.training.calibration import calibrate
from napari_colloids.training.config import Config
from napari_colloids.training.curves import draw_curves
from napari_colloids.training.domain import Domain
from napari_colloids.training.optimiser import Optimiser
from napari_colloids.training.state import TrainingState
from napari_colloids.training.step import Step

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping

    from napari_colloids.training.sample import Source

#: Steps between lines of the log.
_LOG_EVERY = 100


class _Scenes(Dataset[tuple[np.ndarray, ...]]):
    """Scenes by number, so that a resumed run continues where it stopped, whatever the number of workers."""

    def __init__(self, source: Source, config: Config, first: int) -> None:
        self.source, self.config, self.first = source, config, first * config.batch

    def __len__(self) -> int:
        return self.config.steps * self.config.batch - self.first

    def __getitem__(self, number: int) -> tuple[np.ndarray, ...]:
        number += self.first
        stage, _ = self.config.stage_at(number // self.config.batch)
        sample = self.source.sample(number, stage)
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
        Continue from the last checkpoint in the output folder.

    Returns
    -------
    pathlib.Path
        The weights, a safetensors file; beside it lie ``log.jsonl``, its plot ``curves.png`` and the checkpoint.

    Raises
    ------
    ColloidsError
        If the configuration is wrong, or there is no checkpoint to resume from, or one of another configuration.
    """
    path = Path(config_path)
    config = Config.read(path)
    torch.manual_seed(config.seed)
    domain = Domain(config.seed, config.packings)
    return run_training(config, path.parent / config.output, CentreNet(config.channels), domain, domain, resume=resume)


def run_training(
    config: Config, folder: Path, network: CentreNet, source: Source, calibration: Source, *, resume: bool
) -> Path:
    """Train a network on the scenes of a source.

    Parameters
    ----------
    config
        Of the run; its `output` is not used.
    folder
        For checkpoints, log and weights; made where it does not exist.
    network
        With the weights before the first step.
    source
        Of the scenes.
    calibration
        Source of the scenes on which the confidence is calibrated, of numbers that no step takes.
    resume
        Continue from the last checkpoint in the folder.

    Returns
    -------
    pathlib.Path
        As that of `train`.

    Raises
    ------
    ColloidsError
        If there is no checkpoint to resume from, or one of another configuration.
    """
    folder.mkdir(parents=True, exist_ok=True)
    averaged = config.ends[-config.averaged_stages :]
    with _threads(config.threads):
        state = _state(config, network)
        if resume:
            recorded = state.restore(folder, averaged)
            if state.step > config.steps:
                raise ColloidsError(
                    f"The checkpoint in {folder} has {state.step} steps, more than the {config.steps} asked for."
                )
            config.check_resumes(recorded, state.step)

        print("packing arrangements", flush=True)
        source.pack()
        meta = {"config": json.dumps({name: value for name, value in asdict(config).items() if name != "output"})}
        with _opened_log(folder / "log.jsonl", resume=resume) as log:
            _take_steps(state, config, source, _LossLog(log), partial(state.save, folder, meta))
        state.save(folder, meta)
        print("calibrating the confidence", flush=True)
        finished = state.mean_of(averaged)
        calibrate(finished, calibration, config.calibration_scenes)
        weights = state.save_weights(folder, finished, meta)
    draw_curves(folder / "log.jsonl", config, folder / "curves.png")
    return weights


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Let torch use so many threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _state(config: Config, network: CentreNet) -> TrainingState:
    """Return the state before the first step."""
    device = torch.device(choose_device(config.device))
    network = network.to(device).to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    return TrainingState(network, copy.deepcopy(network), Optimiser(network, config.weight_decay))


def _take_steps(state: TrainingState, config: Config, source: Source, log: _LossLog, save: Callable[[], None]) -> None:
    """Take all steps that are left, and `save` now and then."""
    device = next(state.network.parameters()).device.type
    # Gradients in float16 would have to be scaled, those in bfloat16 need not be.
    half = torch.bfloat16 if device == "cuda" else half_precision(device)
    take_step = Step(state.network, state.average, state.optimiser, config.clip, half, capture=device == "cuda")
    last_saved = time.monotonic()
    batches = _batches(source, config, state.step)
    for step, batch in zip(range(state.step, config.steps), batches, strict=False):
        decay = min(config.average, (1 + step) / (10 + step))
        log.add(take_step(batch, config.learning_rate_at(step), decay))
        state.step = step + 1
        if state.step in config.ends:
            state.end_stage()
        if state.step % _LOG_EVERY == 0 or state.step == config.steps:
            log.write(state.step)
        if time.monotonic() - last_saved > config.checkpoint_seconds:
            save()
            last_saved = time.monotonic()


class _LossLog:
    """Log of a run: a line of JSON with the mean losses since the last one.

    Parameters
    ----------
    file
        To be written to.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._started = time.monotonic()
        self._sums: dict[str, torch.Tensor] = {}
        self._number = 0

    def add(self, parts: Mapping[str, torch.Tensor]) -> None:
        """Add the losses of a step, on their device, so that a GPU is not waited for."""
        for name, value in parts.items():
            self._sums[name] = self._sums.get(name, 0) + value
        self._number += 1

    def write(self, step: int) -> None:
        """Write and print the means of all steps since the last line."""
        entry = {"step": step, "seconds": round(time.monotonic() - self._started, 1)}
        entry |= {name: float(total) / self._number for name, total in self._sums.items()}
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()
        print("  ".join(f"{k} {v:.4g}" for k, v in entry.items()), flush=True)
        self._sums, self._number = {}, 0


def _opened_log(path: Path, *, resume: bool) -> TextIO:
    """Open the log; lines are added after those of a resumed run."""
    torn = resume and path.exists() and not path.read_bytes().endswith(b"\n")
    log = path.open("a" if resume else "w", encoding="utf-8")
    if torn:  # a run that was killed has left half a line, or none at all
        log.write("\n")
    return log


def _batches(source: Source, config: Config, first: int) -> Iterator[list[torch.Tensor]]:
    return iter(
        DataLoader(
            _Scenes(source, config, first),
            batch_size=config.batch,
            num_workers=config.workers,
            worker_init_fn=_one_thread,
            prefetch_factor=8 if config.workers else None,
            pin_memory=torch.cuda.is_available(),
        )
    )
