"""Configuration of a training run: the fields of its TOML file."""

from __future__ import annotations

import math
import tomllib
from dataclasses import asdict, dataclass, fields
from itertools import accumulate
from typing import TYPE_CHECKING, cast

from napari_colloids.errors import ColloidsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

#: Learning rate at the end of a stage over that at its start.
_FINAL_LEARNING_RATE_RATIO = 0.01
#: Fields, beside the stages, on which the steps depend; with other channels a checkpoint cannot even be read.
_RECIPE_FIELDS = ("seed", "packings", "batch", "warmup", "weight_decay", "clip", "average")


def _check_numbers(settings: Stage | Config, **limits: tuple[float, float]) -> None:
    """Refuse numbers beyond their limits, and broken ones where the limits are whole numbers."""
    for name, (low, high) in limits.items():
        value, kind = getattr(settings, name), int if isinstance(low, int) else (int, float)
        if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high:
            word = "a whole number" if kind is int else "a number"
            raise ColloidsError(f"{name} must be {word} from {low:g} to {high:g}, not {value!r}.")


@dataclass(frozen=True)
class Stage:
    """A stage of the training: its length, its learning rate, and the shares of kinds of scenes.

    Attributes
    ----------
    steps
        Optimisation steps.
    learning_rate
        At the start of the stage; it falls along half a cosine and starts anew with the next stage.
    nano
        Fraction of the scenes that are imaged as nano-colloids are: strong axial blur, uneven brightness, low SNR.
    shells
        Fraction of the scenes whose particles have a dark core. Strings have one in any case.
    mixtures
        Fraction of the scenes that are mixtures of large particles, often few, and small ones.
    solid_strings
        Fraction of the scenes that are strings of particles without a dark core.

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
        share = (0.0, 1.0)
        _check_numbers(self, steps=(1, 10**9), learning_rate=(0.0, 1.0))
        _check_numbers(self, nano=share, shells=share, mixtures=share, solid_strings=share)
        if self.mixtures + self.solid_strings > 1:
            raise ColloidsError("mixtures and solid_strings are shares of the same scenes: at most 1 together.")


@dataclass(frozen=True)
class Config:
    """Configuration of a training run.

    Attributes
    ----------
    output
        Folder for checkpoints, log and weights, relative to the configuration file.
    seed
        Seed of the scenes and of the initial weights.
    packings
        Number of particle arrangements that are made in advance.
    stages
        One after the other; ``[[stages]]`` in the file.
    averaged_stages
        Number of last stages whose final weights are averaged to those of the finished network.
    batch
        Volumes per step.
    warmup
        Steps of linear warm-up of the learning rate.
    weight_decay
        Of the optimiser.
    clip
        Largest gradient norm.
    average
        Decay of the exponential moving average of the weights, which is what is saved.
    channels
        Number of channels on the three levels of the network.
    workers
        Processes that simulate scenes; 0: the training process does.
    threads
        Threads of torch on a CPU.
    calibration_scenes
        Scenes on which the confidence of the finished network is calibrated.
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
    calibration_scenes: int = 250
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
        """Number of steps up to the end of each stage."""
        return list(accumulate(stage.steps for stage in self.stages))

    @property
    def steps(self) -> int:
        """Number of steps of all stages."""
        return self.ends[-1]

    def check_resumes(self, recorded: Mapping[str, object], step: int) -> None:
        """Refuse to resume a run whose steps so far were made with other settings.

        Stages that had not begun may have changed, and so may settings that the weights do not depend on.

        Parameters
        ----------
        recorded
            Fields that the checkpoint was made with; those that its version did not have are ignored.
        step
            Number of steps done.

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
        """Return the stage that `step` belongs to, and the number of its steps that come before."""
        for stage in self.stages:
            if step < stage.steps:
                return stage, step
            step -= stage.steps
        raise IndexError("There are not so many steps.")

    def learning_rate_at(self, step: int) -> float:
        r"""Return the learning rate of `step`: linear warm-up and cosine annealing with warm restarts.

        Notes
        -----
        For the :math:`n`-th of the :math:`N` steps of a stage, the :math:`t`-th of all,

        .. math::

            \eta = \eta_0 \min\left(1, \frac{t + 1}{t_\mathrm{warmup}}\right)
            \left[f + (1 - f) \frac{1 + \cos(\pi n / N)}{2}\right], \qquad f = 0.01.
        """
        stage, done = self.stage_at(step)
        warmup = min(1.0, (step + 1) / max(self.warmup, 1))
        cosine = (1 + math.cos(math.pi * done / stage.steps)) / 2
        low = _FINAL_LEARNING_RATE_RATIO
        return stage.learning_rate * warmup * (low + (1 - low) * cosine)


def _recipe(values: Mapping[str, object], steps: int) -> dict[str, object]:
    """Return the settings, by name, on which the first `steps` steps of a run depend."""
    recipe = {name: values[name] for name in _RECIPE_FIELDS if name in values}
    begin: float = 0
    for number, stage in enumerate(cast("Sequence[Mapping[str, float]]", values.get("stages", ())), 1):
        if begin < steps:
            recipe |= {f"{name} of stage {number}": value for name, value in stage.items()}
        begin += stage["steps"]
    return recipe


def _check_names(kind: type, values: Mapping[str, object], path: Path) -> None:
    unknown = set(values) - {field.name for field in fields(kind)}
    if unknown:
        raise ColloidsError(f"{path} has unknown settings: {', '.join(sorted(unknown))}.")
