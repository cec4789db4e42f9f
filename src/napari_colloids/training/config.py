"""Configuration of a training run: the fields of its TOML file."""

from __future__ import annotations

import math
import tomllib
from dataclasses import asdict, dataclass, fields
from itertools import accumulate
from typing import TYPE_CHECKING, Annotated, cast

from napari_colloids.detection.options import Device, Options
from napari_colloids.errors import ColloidsError
from napari_colloids.settings import Setting, check_settings, documented, settings_of
from napari_colloids.training.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

#: Learning rate at the end of a stage over that at its start.
_FINAL_LEARNING_RATE_RATIO = 0.01
#: Fields, beside the stages, on which the steps depend; with other channels a checkpoint cannot even be read.
_RECIPE_FIELDS = ("seed", "packings", "batch", "warmup", "weight_decay", "clip", "average")


@documented
@dataclass(frozen=True)
class Config:
    """Configuration of a training run.

    Attributes
    ----------
    stages : tuple of Stage
        One after the other; ``[[stages]]`` in the file.
    {settings}

    References
    ----------
    Izmailov et al., Averaging weights leads to wider optima and better generalization, UAI (2018).
    """

    output: Annotated[
        str,
        Setting(label="Output", help="Folder for checkpoints, log and weights, relative to the configuration file."),
    ] = "runs/default"
    seed: Annotated[
        int, Setting(label="Seed", help="Seed of the scenes and of the initial weights.", low=0, high=2**63 - 1)
    ] = 0
    packings: Annotated[
        int,
        Setting(label="Packings", help="Number of particle arrangements that are made in advance.", low=1, high=10**6),
    ] = 300
    stages: tuple[Stage, ...] = (Stage(),)
    averaged_stages: Annotated[
        int,
        Setting(
            label="Averaged stages",
            help="Number of last stages whose final weights are averaged to those of the finished network.",
            low=1,
        ),
    ] = 1
    batch: Annotated[int, Setting(label="Batch", help="Volumes per step.", low=1, high=10**4)] = 2
    warmup: Annotated[
        int,
        Setting(label="Warm-up", help="Steps of linear warm-up of the learning rate.", low=0, high=10**9),
    ] = 200
    weight_decay: Annotated[
        float, Setting(label="Weight decay", help="Weight decay of the optimiser.", low=0, high=1)
    ] = 1e-3
    clip: Annotated[float, Setting(label="Clip", help="Largest gradient norm.", low=0)] = 2.0
    average: Annotated[
        float,
        Setting(
            label="Average",
            help="Decay of the exponential moving average of the weights, which is what is saved.",
            low=0,
            high=1,
        ),
    ] = 0.999
    channels: Annotated[
        tuple[int, int, int],
        Setting(label="Channels", help="Number of channels on each level of the network.", low=1),
    ] = (16, 32, 64)
    workers: Annotated[
        int,
        Setting(
            label="Workers",
            help="Processes that simulate scenes; 0: the training process does.",
            low=0,
            high=1000,
        ),
    ] = 1
    threads: Annotated[int, Setting(label="Threads", help="Threads of torch on a CPU.", low=1, high=1000)] = 1
    calibration_scenes: Annotated[
        int,
        Setting(
            label="Calibration scenes",
            help="Scenes on which the confidence of the finished network is calibrated.",
            low=1,
            high=10**6,
        ),
    ] = 250
    checkpoint_seconds: Annotated[
        float, Setting(label="Checkpoint interval", help="Time between checkpoints.", unit="s", low=0)
    ] = 180.0
    device: Annotated[Device, settings_of(Options)["device"].setting] = "auto"

    def __post_init__(self) -> None:
        check_settings(self)
        if not self.stages:
            raise ColloidsError("The training needs at least one stage: [[stages]].")
        if self.averaged_stages > len(self.stages):
            raise ColloidsError(
                f"averaged_stages must be at most the number of stages, {len(self.stages)}, not {self.averaged_stages}."
            )

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
        for stage in values.get("stages", []):
            _check_names(Stage, stage, path)
        try:
            if "stages" in values:
                values["stages"] = tuple(Stage(**stage) for stage in values["stages"])
            return cls(**values)
        except ColloidsError as error:
            raise ColloidsError(f"In {path}: {error}") from error

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
                    "or start anew."
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
