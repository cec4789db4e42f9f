"""Stage of a training: its length, learning rate, and the kinds of scenes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from napari_colloids.errors import ColloidsError
from napari_colloids.settings import Setting, check_settings, documented


@documented
@dataclass(frozen=True)
class Stage:
    """A stage of the training: its length, its learning rate, and the shares of kinds of scenes.

    Attributes
    ----------
    {settings}

    References
    ----------
    Loshchilov and Hutter, SGDR: stochastic gradient descent with warm restarts, ICLR (2017).
    """

    steps: Annotated[int, Setting(label="Steps", help="Optimisation steps.", low=1, high=10**9)] = 20_000
    learning_rate: Annotated[
        float,
        Setting(
            label="Learning rate",
            help="Learning rate at the start of the stage; it falls along half a cosine.",
            low=0,
            high=1,
        ),
    ] = 2e-3
    nano: Annotated[
        float,
        Setting(
            label="Nano-colloids",
            help="Fraction of the scenes that are imaged as nano-colloids are: strong axial blur, uneven brightness, "
            "low SNR.",
            low=0,
            high=1,
        ),
    ] = 0.25
    shells: Annotated[
        float,
        Setting(
            label="Shells",
            help="Fraction of the scenes whose particles have a dark core. Strings have one in any case.",
            low=0,
            high=1,
        ),
    ] = 0.15
    mixtures: Annotated[
        float,
        Setting(
            label="Mixtures",
            help="Fraction of the scenes that are mixtures of large particles, often few, and small ones.",
            low=0,
            high=1,
        ),
    ] = 0.0
    solid_strings: Annotated[
        float,
        Setting(
            label="Solid strings",
            help="Fraction of the scenes that are strings of particles without a dark core.",
            low=0,
            high=1,
        ),
    ] = 0.0

    def __post_init__(self) -> None:
        check_settings(self)
        if self.mixtures + self.solid_strings > 1:
            raise ColloidsError("mixtures and solid_strings are shares of the same scenes: at most 1 together.")
