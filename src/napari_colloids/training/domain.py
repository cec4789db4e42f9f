"""Random training scenes, over wider ranges than real samples and microscopes have (domain randomisation).

A scene is simulated in the voxels of its stack and then brought to the canonical scale by the same code as in
detection, so that the network sees noise as the resampling leaves it.

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
from numpy.typing import NDArray

from napari_colloids.detection.inference import prepare
from napari_colloids.detection.normalise import GreyLevels
from napari_colloids.detection.scale import CANONICAL_DIAMETER, MARGIN, Scale
from napari_colloids.particles import positions_of
from napari_colloids.simulation.arrangement import Arrangement
from napari_colloids.simulation.scene import image_arrangement
from napari_colloids.training.artefacts import with_artefacts
from napari_colloids.training.draws import log_uniform
from napari_colloids.training.imaging import confocal, nano_colloids
from napari_colloids.training.packings import unit_arrangement, unit_mixture
from napari_colloids.training.targets import Targets, make_targets

if TYPE_CHECKING:
    from numpy.random import Generator

    from napari_colloids.simulation.parameters import Parameters
    from napari_colloids.training.stage import Stage

#: Edge of a training volume in canonical voxels.
SIZE = 64
#: Kinds of arrangements and how many of those made in advance are of each.
_POOL_SHARES = {"random": 0.72, "crystal": 0.06, "gel": 0.07, "strings": 0.07, "dilute": 0.08}
#: Number of mixtures of large and small particles that are made besides, over that of all other arrangements.
_MIXTURE_SHARE = 0.2
#: Kinds of scenes and their probabilities, where the stage wants no others.
_SCENE_SHARES = {"random": 0.67, "crystal": 0.06, "gel": 0.07, "strings": 0.07, "dilute": 0.08, "empty": 0.05}
#: Brightness over the mean below which a particle is optional: a network that must find fainter ones fills gaps.
_MIN_BRIGHTNESS_RATIO = 0.4

Image = NDArray[np.float32]


@dataclass(frozen=True)
class Sample:
    """A training volume.

    Attributes
    ----------
    image
        Normalised, on the canonical scale, shape ``(1, SIZE, SIZE, SIZE)``.
    targets
        What the network should return for it.
    """

    image: Image
    targets: Targets


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
    before, after
        Margin between the faces of the volume and those of the stack in canonical voxels, ``(z, y, x)``.
    """

    step: float
    aspect: float
    radius: float
    before: NDArray[np.int64]
    after: NDArray[np.int64]

    @property
    def steps(self) -> tuple[float, float, float]:
        """Voxels of the stack per canonical voxel ``(z, y, x)``."""
        return (self.step / self.aspect, self.step, self.step)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the stack."""
        margins = self.before + self.after
        z, y, x = (max(2, int((SIZE - margin) * step)) for margin, step in zip(margins, self.steps, strict=True))
        return (z, y, x)


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
        simulation = image_arrangement(arrangement, parameters, rng, beyond=MARGIN * sampling.step)
        image = with_artefacts(np.asarray(simulation.stack.data), rng)
        scale = Scale(sampling.steps, simulation.stack.shape)
        low = -sampling.before
        corner, end = (int(low[0]), int(low[1]), int(low[2])), tuple(int(n) + SIZE for n in low)
        canonical = prepare(image, corner, (end[0], end[1], end[2]), scale, GreyLevels.of(image)).numpy()
        # The normalisation of a stack depends on what else it shows.
        canonical = canonical * np.float32(log_uniform(rng, 0.7, 1.3)) + np.float32(rng.normal(0, 0.03))
        positions = scale.to_canonical(positions_of(simulation.particles)) + sampling.before
        radii = simulation.particles["radius"].to_numpy() / sampling.step
        faint = simulation.brightness < _MIN_BRIGHTNESS_RATIO
        return Sample(canonical[None], make_targets(positions, radii, (SIZE, SIZE, SIZE), optional=faint))

    def _pick(self, kind: str, rng: Generator, radius: float) -> Arrangement:
        """Return one of the arrangements, turned, mirrored, shifted and scaled to a mean `radius`.

        Some are stretched without their particles: those with a dark shell, or that repel each other, never touch.
        """
        pool = self.arrangements[kind]
        chosen = pool[int(rng.integers(len(pool)))]
        axes = [0, *(1 + rng.permutation(2))] if kind == "strings" else rng.permutation(3)
        box = np.asarray(chosen.box)[axes]
        positions = chosen.positions[:, axes]
        flips = rng.random(3) < 0.5
        positions = np.where(flips, box - positions, positions)
        if chosen.periodic:
            positions = (positions + rng.uniform(0, 1, 3) * box) % box
        spacing = float(rng.uniform(1.0, 2.2)) if rng.random() < (0.6 if kind == "strings" else 0.1) else 1.0
        scaled = box * radius * spacing
        return Arrangement(
            positions * radius * spacing, chosen.radii * radius, (scaled[0], scaled[1], scaled[2]), chosen.periodic
        )


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
    # Some faces of the volume are those of a stack, with the margin that detection leaves around it; there, particles
    # centred outside are to be found, too. The others are cuts through a larger stack.
    before = MARGIN * (rng.random(3) < 0.35)
    after = (MARGIN + rng.integers(0, 8, 3)) * (rng.random(3) < 0.35)
    return _Sampling(step, aspect, diameter * step / 2, before, after)


def _drawn_imaging(rng: Generator, sampling: _Sampling, stage: Stage, *, shell: bool) -> Parameters:
    """Return the imaging conditions of a scene; a `shell` has a dark core in any case."""
    draw = nano_colloids if rng.random() < stage.nano else confocal
    parameters = replace(
        draw(rng, sampling.radius, sampling.aspect),
        shape=sampling.shape,
        radius=sampling.radius,
        voxel_aspect=sampling.aspect,
    )
    if shell or rng.random() < stage.shells:
        parameters = replace(parameters, shell=float(rng.uniform(0.3, 0.92)))
    return parameters


def _nothing() -> Arrangement:
    return Arrangement(np.empty((0, 3)), np.empty(0), (1.0, 1.0, 1.0), periodic=False)
