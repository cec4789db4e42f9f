"""What a training run needs: the fields of its TOML file."""

from __future__ import annotations

import math
import tomllib
from dataclasses import asdict, dataclass, fields
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from napari_colloids.errors import ColloidsError
from napari_colloids.training.calibration import SCENES

if TYPE_CHECKING:
    from pathlib import Path

#: What the learning rate falls to within a stage, over its peak.
_LOWEST = 0.01
#: What decides every step, beside the stages and the channels, without which a checkpoint cannot be read.
_DECIDING = ("seed", "packings", "batch", "warmup", "weight_decay", "clip", "average")


def _check_numbers(settings: Stage | Config, **limits: tuple[float, float]) -> None:
    """Refuse what is no number between its limits, and no whole one where these are whole."""
    for name, (low, high) in limits.items():
        value, kind = getattr(settings, name), int if isinstance(low, int) else (int, float)
        if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high:
            word = "a whole number" if kind is int else "a number"
            raise ColloidsError(f"{name} must be {word} from {low:g} to {high:g}, not {value!r}.")


@dataclass(frozen=True)
class Stage:
    """A part of the training: the learning rate falls along half a cosine and begins anew with the next stage.

    Attributes
    ----------
    steps
        Optimiser steps.
    learning_rate
        Where it starts.
    nano
        Share of the scenes that are nano-colloids.
    shells
        Share of the scenes whose particles have a dark core. Those of strings have one besides.
    mixtures
        Share of the scenes that are mixtures of large particles, often few, and small ones.
    solid_strings
        Share of the scenes that are strings of beads without a dark core.

    References
    ----------
    Loshchilov and Hutter, SGDR: stochastic gradient descent with warm restarts, ICLR (2017).
    """

    steps: int = 20_000
    learning_rate: float = 2e-3
    nano: float = 0.25
    shells: float = 0.15
    mixtures: float = 0.0
    solid_strings: float = 0.0

    def __post_init__(self) -> None:
        shares = dict.fromkeys(self.shares, (0.0, 1.0))
        _check_numbers(self, steps=(1, 10**9), learning_rate=(0.0, 1.0), **shares)
        if self.mixtures + self.solid_strings > 1:
            raise ColloidsError("mixtures and solid_strings are shares of the same scenes: at most 1 together.")

    @property
    def shares(self) -> dict[str, float]:
        """Shares of the scenes by name."""
        return {name: value for name, value in asdict(self).items() if name not in {"steps", "learning_rate"}}


@dataclass(frozen=True)
class Config:
    """What a training run needs.

    Attributes
    ----------
    output
        Folder for checkpoints, log and weights, relative to the configuration file.
    seed
        Decides the scenes and the initial weights.
    packings
        Arrangements made in advance.
    stages
        One after the other; ``[[stages]]`` in the file.
    averaged_stages
        The network is the mean of those at the ends of so many last stages: between what the stages are best at.
    batch
        Volumes per step.
    warmup
        Steps of linear warm-up.
    weight_decay
        Of the optimiser.
    clip
        Largest gradient norm.
    average
        Decay of the exponential moving average of the weights, which is what is saved.
    channels
        Of the network's levels.
    workers
        Processes that simulate.
    threads
        Threads of torch on a CPU.
    calibration_scenes
        Scenes by which the finished network's confidence is made a probability.
    checkpoint_seconds
        Time between checkpoints.
    device
        ``auto``, ``cpu``, ``cuda`` or ``mps``.

    References
    ----------
    Izmailov et al., Averaging weights leads to wider optima and better generalization, UAI (2018).
    """

    output: str = "runs/default"
    seed: int = 0
    packings: int = 300
    stages: tuple[Stage, ...] = (Stage(),)
    averaged_stages: int = 1
    batch: int = 2
    warmup: int = 200
    weight_decay: float = 1e-3
    clip: float = 2.0
    average: float = 0.999
    channels: tuple[int, int, int] = (16, 32, 64)
    workers: int = 1
    threads: int = 1
    calibration_scenes: int = SCENES
    checkpoint_seconds: float = 180.0
    device: str = "auto"

    def __post_init__(self) -> None:
        _check_numbers(
            self,
            seed=(0, 2**63 - 1),
            packings=(1, 10**6),
            batch=(1, 10**4),
            warmup=(0, 10**9),
            weight_decay=(0.0, 1.0),
            clip=(0.0, float("inf")),
            average=(0.0, 1.0),
            workers=(0, 1000),
            threads=(1, 1000),
            calibration_scenes=(1, 10**6),
            checkpoint_seconds=(0.0, float("inf")),
        )
        if not self.stages:
            raise ColloidsError("The training needs at least one stage: [[stages]].")
        _check_numbers(self, averaged_stages=(1, len(self.stages)))
        if len(self.channels) != 3 or not all(isinstance(n, int) and n > 0 for n in self.channels):
            raise ColloidsError(f"channels must be three positive whole numbers, not {list(self.channels)}.")

    @classmethod
    def read(cls, path: Path) -> Config:
        """Read a TOML file.

        Raises
        ------
        ColloidsError
            If the file cannot be read, or has an unknown field or a value that makes no sense.
        """
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ColloidsError(f"The training configuration {path} cannot be read: {error}") from error
        _check_names(cls, values, path)
        for name in ("channels", "stages"):
            if not isinstance(values.get(name, []), list):
                raise ColloidsError(f"{name} must be a list in {path}, not {values[name]!r}.")
        if "channels" in values:
            values["channels"] = tuple(values["channels"])
        if "stages" in values:
            for stage in values["stages"]:
                _check_names(Stage, stage, path)
            values["stages"] = tuple(Stage(**stage) for stage in values["stages"])
        return cls(**values)

    @property
    def ends(self) -> list[int]:
        """Steps after which the stages end."""
        return list(accumulate(stage.steps for stage in self.stages))

    @property
    def steps(self) -> int:
        """Steps of all stages."""
        return self.ends[-1]

    def check_goes_on(self, recorded: dict[str, Any], step: int) -> None:
        """Refuse to go on from a step that another recipe has led to.

        Stages that had not begun may be others, as may be all that does not decide what is learnt.

        Parameters
        ----------
        recorded
            The fields that the checkpoint was made with; those that its version did not know are not looked at.
        step
            Steps that are done.

        Raises
        ------
        ColloidsError
            Names the first setting that differs.
        """
        before, now = _recipe(recorded, step), _recipe(asdict(self), step)
        for name in before:
            if name in now and before[name] != now[name]:
                raise ColloidsError(
                    f"The checkpoint was made with {name} = {before[name]!r}, which is now {now[name]!r}: set it back, "
                    "or start without --resume."
                )

    def stage_at(self, step: int) -> tuple[Stage, int]:
        """Return the stage that `step` belongs to, and how many of its steps come before."""
        for stage in self.stages:
            if step < stage.steps:
                return stage, step
            step -= stage.steps
        raise IndexError("There are not so many steps.")

    def learning_rate_at(self, step: int) -> float:
        """Return the learning rate of `step`: after a linear warm-up half a cosine, anew in every stage."""
        stage, done = self.stage_at(step)
        warm = min(1.0, (step + 1) / max(self.warmup, 1))
        cosine = (1 + math.cos(math.pi * done / stage.steps)) / 2
        return stage.learning_rate * warm * (_LOWEST + (1 - _LOWEST) * cosine)


def _recipe(values: dict[str, Any], steps: int) -> dict[str, Any]:
    """Return what decides the first `steps` steps of a run, by name."""
    recipe = {name: values[name] for name in _DECIDING if name in values}
    begin = 0
    for number, stage in enumerate(values.get("stages", ()), 1):
        if begin < steps:
            recipe |= {f"{name} of stage {number}": value for name, value in stage.items()}
        begin += stage["steps"]
    return recipe


def _check_names(kind: type, values: dict[str, Any], path: Path) -> None:
    unknown = set(values) - {field.name for field in fields(kind)}
    if unknown:
        raise ColloidsError(f"{path} has unknown settings: {', '.join(sorted(unknown))}.")
