"""Random training scenes, over wider ranges than real samples and microscopes have (domain randomisation).

References
----------
Tobin, Fong, Ray, Schneider, Zaremba and Abbeel, Domain randomization for transferring deep neural networks from
simulation to the real world, IROS (2017).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_colloids.detection.scale import CANONICAL_DIAMETER
from napari_colloids.simulation.arrangement import Arrangement
from napari_colloids.training.draws import log_uniform
from napari_colloids.training.imaging import confocal, nano_colloids
from napari_colloids.training.packings import unit_arrangement, unit_mixture
from napari_colloids.training.sample import Faces, Sample, imaged, scaled, turned

if TYPE_CHECKING:
    from numpy.random import Generator

    from napari_colloids.simulation.parameters import Parameters
    from napari_colloids.training.stage import Stage

#: Kinds of arrangements and how many of those made in advance are of each.
_POOL_SHARES = {"random": 0.72, "crystal": 0.06, "gel": 0.07, "strings": 0.07, "dilute": 0.08}
#: Number of mixtures of large and small particles that are made besides, over that of all other arrangements.
_MIXTURE_SHARE = 0.2
#: Kinds of scenes and their probabilities, where the stage wants no others.
_SCENE_SHARES = {"random": 0.67, "crystal": 0.06, "gel": 0.07, "strings": 0.07, "dilute": 0.08, "empty": 0.05}


class _Sampling(NamedTuple):
    """How a scene is cut into voxels.

    Attributes
    ----------
    step
        Lateral voxels of the stack per canonical voxel.
    aspect
        Height of a voxel of the stack over its width.
    radius
        Mean radius of the particles in lateral voxels of the stack.
    faces
        Which faces of the volume are those of the stack.
    """

    step: float
    aspect: float
    radius: float
    faces: Faces

    @property
    def steps(self) -> tuple[float, float, float]:
        """Voxels of the stack per canonical voxel ``(z, y, x)``."""
        return (self.step / self.aspect, self.step, self.step)


@dataclass(frozen=True)
class Domain:
    """Source of the training scenes; the same seed and number give the same scene.

    Attributes
    ----------
    seed
        Seed of all scenes.
    packings
        Number of arrangements that are made in advance; each is cut, mirrored and turned anew for every scene.
    """

    seed: int = 0
    packings: int = 300

    @cached_property
    def arrangements(self) -> dict[str, list[Arrangement]]:
        """Arrangements by kind, of spheres of about radius 1."""
        rng = np.random.default_rng([self.seed, 1])
        counts = {kind: max(1, round(share * self.packings)) for kind, share in _POOL_SHARES.items()}
        pool = {kind: [unit_arrangement(kind, rng) for _ in range(count)] for kind, count in counts.items()}
        rng = np.random.default_rng([self.seed, 4])
        pool["mixture"] = [unit_mixture(rng) for _ in range(max(1, round(_MIXTURE_SHARE * self.packings)))]
        return pool

    def pack(self) -> None:
        """Make all arrangements, so that the processes that simulate need not."""
        _ = self.arrangements

    def sample(self, number: int, stage: Stage) -> Sample:
        """Return scene `number`.

        Parameters
        ----------
        number
            Of the scene.
        stage
            Its shares of kinds of scenes are used.
        """
        rng = np.random.default_rng([self.seed, 2, number])
        kind, shell = _drawn_kind(rng, stage)
        sampling = _drawn_sampling(rng)
        parameters = _drawn_imaging(rng, sampling, stage, shell=shell)
        arrangement = _nothing() if kind == "empty" else self._pick(kind, rng, sampling.radius)
        return imaged(arrangement, parameters, sampling.steps, sampling.faces, rng)

    def _pick(self, kind: str, rng: Generator, radius: float) -> Arrangement:
        """Return one of the arrangements, turned, mirrored, shifted and scaled to a mean `radius`.

        Some are stretched without their particles: those with a dark shell, or that repel each other, never touch.
        """
        pool = self.arrangements[kind]
        chosen = pool[int(rng.integers(len(pool)))]
        placed = turned(chosen, rng, upright=kind == "strings")
        spacing = float(rng.uniform(1.0, 2.2)) if rng.random() < (0.6 if kind == "strings" else 0.1) else 1.0
        return scaled(placed, radius, spacing)


def _drawn_kind(rng: Generator, stage: Stage) -> tuple[str, bool]:
    """Return the kind of a scene, and whether its particles have a dark core in any case."""
    kind = str(rng.choice(list(_SCENE_SHARES), p=list(_SCENE_SHARES.values())))
    if stage.mixtures or stage.solid_strings:
        drawn = rng.random()
        if drawn < stage.mixtures:
            return "mixture", False
        if drawn < stage.mixtures + stage.solid_strings:
            return "strings", False
    return kind, kind == "strings"


def _drawn_sampling(rng: Generator) -> _Sampling:
    # Most stacks come at the right scale; the rest teaches the sizes around it.
    tolerance = 0.10 if rng.random() < 0.6 else 0.30
    diameter = CANONICAL_DIAMETER * float(np.exp(np.clip(rng.normal(0, tolerance), -0.55, 0.6)))
    step = log_uniform(rng, 0.4, 1.4)
    aspect = 1.0 if rng.random() < 0.6 else log_uniform(rng, 0.8, 4.0)
    return _Sampling(step, aspect, diameter * step / 2, Faces.drawn(rng))


def _drawn_imaging(rng: Generator, sampling: _Sampling, stage: Stage, *, shell: bool) -> Parameters:
    """Return the imaging conditions of a scene; a `shell` has a dark core in any case."""
    draw = nano_colloids if rng.random() < stage.nano else confocal
    parameters = replace(
        draw(rng, sampling.radius, sampling.aspect),
        radius=sampling.radius,
        voxel_aspect=sampling.aspect,
    )
    if shell or rng.random() < stage.shells:
        parameters = replace(parameters, shell=float(rng.uniform(0.3, 0.92)))
    return parameters


def _nothing() -> Arrangement:
    return Arrangement(np.empty((0, 3)), np.empty(0), (1.0, 1.0, 1.0), periodic=False)
