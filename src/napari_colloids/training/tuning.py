"""Settings of the fine-tuning on one stack's digital twin."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

from napari_colloids.detection.options import COMPUTING
from napari_colloids.settings import HOW, Setting, check_settings, documented, settings_of
from napari_colloids.training.config import Config
from napari_colloids.training.stage import Stage

if TYPE_CHECKING:
    from napari_colloids.detection.options import Device

#: Shares of the general scenes: those of the last stages of the bundled weights.
_GENERAL = Stage(nano=0.45, shells=0.3, mixtures=0.2, solid_strings=0.04)
#: Steps of linear warm-up: the momenta of the optimiser begin at 0.
_WARMUP_STEPS = 100


def _shared(name: str, metavar: str, group: str) -> Setting:
    """Return a setting of `Stage` or `Config` as an option of the command line."""
    shared = {**settings_of(Config), **settings_of(Stage)}
    return replace(shared[name].setting, metavar=metavar, group=group)


@documented
@dataclass(frozen=True)
class Tuning:
    """Settings of the fine-tuning on one stack's digital twin.

    Attributes
    ----------
    {settings}
    """

    steps: Annotated[int, _shared("steps", "N", HOW)] = 3000
    learning_rate: Annotated[float, _shared("learning_rate", "R", HOW)] = 5e-4
    general: Annotated[
        float,
        Setting(
            label="General scenes",
            help="Fraction of the scenes that are not like the stack, but of all kinds, so that these are not "
            "forgotten.",
            low=0,
            high=1,
            metavar="F",
            group=HOW,
        ),
    ] = 0.2
    packings: Annotated[int, _shared("packings", "N", HOW)] = 60
    held_out: Annotated[
        int,
        Setting(
            label="Held-out twins",
            help="Simulated stacks like this one, of no training scene, that are searched before and after.",
            low=1,
            high=1000,
            metavar="N",
            group=HOW,
        ),
    ] = 6
    seed: Annotated[
        int,
        Setting(
            label="Seed",
            help="Seed of the scenes and of the simulated stacks.",
            low=0,
            high=2**63 - 1,
            metavar="S",
            group=COMPUTING,
        ),
    ] = 0
    calibration_scenes: Annotated[int, _shared("calibration_scenes", "N", COMPUTING)] = 250
    workers: Annotated[int, _shared("workers", "N", COMPUTING)] = 1
    threads: Annotated[int, _shared("threads", "N", COMPUTING)] = 1
    checkpoint_seconds: Annotated[float, _shared("checkpoint_seconds", "S", COMPUTING)] = 180.0

    def __post_init__(self) -> None:
        check_settings(self)

    def config(self, channels: tuple[int, int, int], device: Device) -> Config:
        """Return the configuration of the run of a network with so many channels."""
        return Config(
            seed=self.seed,
            packings=self.packings,
            stages=(replace(_GENERAL, steps=self.steps, learning_rate=self.learning_rate),),
            warmup=_WARMUP_STEPS,
            channels=channels,
            workers=self.workers,
            threads=self.threads,
            calibration_scenes=self.calibration_scenes,
            checkpoint_seconds=self.checkpoint_seconds,
            device=device,
        )
