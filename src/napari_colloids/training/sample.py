"""A training volume from an arrangement of spheres: its image on the canonical scale, and what is to be found in it.

A scene is simulated in the voxels of its stack and then brought to the canonical scale by the same code as in
detection, so that the network sees noise as the resampling leaves it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_colloids.detection.inference import prepare
from napari_colloids.detection.normalise import GreyLevels
from napari_colloids.detection.scale import MARGIN, Scale
from napari_colloids.detection.surrogate import surrogate
from napari_colloids.particles import positions_of
from napari_colloids.simulation.arrangement import Arrangement
from napari_colloids.simulation.scene import image_arrangement
from napari_colloids.training.artefacts import with_artefacts
from napari_colloids.training.draws import log_uniform
from napari_colloids.training.targets import Targets, make_targets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import Generator

    from napari_colloids.simulation.parameters import Parameters
    from napari_colloids.training.stage import Stage

#: Edge of a training volume in canonical voxels.
SIZE = 64
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


class Source(Protocol):
    """Where training volumes come from."""

    def pack(self) -> None:
        """Make all arrangements, so that the processes that simulate need not."""

    def sample(self, number: int, stage: Stage) -> Sample:
        """Return scene `number`, always the same; `stage` has the shares of kinds of scenes."""


class Faces(NamedTuple):
    """Margins between the faces of the volume and those of the stack in canonical voxels, ``(z, y, x)``.

    At some faces of the volume the stack ends, with the margin that detection leaves around it; there, particles
    centred outside are to be found, too. The others, with a margin of 0, are cuts through a larger stack.
    """

    before: NDArray[np.int64]
    after: NDArray[np.int64]

    @classmethod
    def drawn(cls, rng: Generator) -> Faces:
        """Draw which faces are those of a stack."""
        before = MARGIN * (rng.random(3) < 0.35)
        return cls(before, (MARGIN + rng.integers(0, 8, 3)) * (rng.random(3) < 0.35))

    def shape(self, steps: Sequence[float]) -> tuple[int, int, int]:
        """Return the shape of a stack with so many voxels per canonical voxel ``(z, y, x)``."""
        margins = self.before + self.after
        z, y, x = (max(2, int((SIZE - margin) * step)) for margin, step in zip(margins, steps, strict=True))
        return (z, y, x)


def turned(arrangement: Arrangement, rng: Generator, *, upright: bool) -> Arrangement:
    """Return an arrangement turned, mirrored and shifted at random; an `upright` one keeps its z axis."""
    axes = [0, *(1 + rng.permutation(2))] if upright else rng.permutation(3)
    box = np.asarray(arrangement.box)[axes]
    positions = arrangement.positions[:, axes]
    flips = rng.random(3) < 0.5
    positions = np.where(flips, box - positions, positions)
    if arrangement.periodic:
        positions = (positions + rng.uniform(0, 1, 3) * box) % box
    return Arrangement(positions, arrangement.radii, (box[0], box[1], box[2]), arrangement.periodic)


def scaled(arrangement: Arrangement, factor: float, spacing: float = 1.0) -> Arrangement:
    """Return an arrangement `factor` times as large, its spheres `spacing` times as far apart besides."""
    box = np.asarray(arrangement.box) * factor * spacing
    return Arrangement(
        arrangement.positions * factor * spacing,
        arrangement.radii * factor,
        (box[0], box[1], box[2]),
        arrangement.periodic,
    )


def imaged(
    arrangement: Arrangement,
    parameters: Parameters,
    steps: tuple[float, float, float],
    faces: Faces,
    rng: Generator,
    *,
    scrambled: bool = False,
) -> Sample:
    """Image an arrangement and bring it to the canonical scale.

    Parameters
    ----------
    arrangement
        In lateral voxels of the stack.
    parameters
        Optics and camera; the shape of the stack is that of `faces`.
    steps
        Voxels of the stack per canonical voxel ``(z, y, x)``.
    faces
        Of the stack.
    rng
        Source of the random numbers.
    scrambled
        Whether the image becomes noise of its own grey levels and spectrum, in which nothing is to be found.
    """
    parameters = replace(parameters, shape=faces.shape(steps))
    simulation = image_arrangement(arrangement, parameters, rng, beyond=MARGIN * steps[2])
    image = with_artefacts(np.asarray(simulation.stack.data), rng)
    particles, brightness = simulation.particles, simulation.brightness
    if scrambled:
        image = surrogate(image, int(rng.integers(2**31)))
        particles, brightness = particles[:0], brightness[:0]
    scale = Scale(steps, simulation.stack.shape)
    low = -faces.before
    corner, end = (int(low[0]), int(low[1]), int(low[2])), tuple(int(n) + SIZE for n in low)
    canonical = prepare(image, corner, (end[0], end[1], end[2]), scale, GreyLevels.of(image)).numpy()
    # The normalisation of a stack depends on what else it shows.
    canonical = canonical * np.float32(log_uniform(rng, 0.7, 1.3)) + np.float32(rng.normal(0, 0.03))
    positions = scale.to_canonical(positions_of(particles)) + faces.before
    radii = particles["radius"].to_numpy() / steps[2]
    faint = brightness < _MIN_BRIGHTNESS_RATIO
    return Sample(canonical[None], make_targets(positions, radii, (SIZE, SIZE, SIZE), optional=faint))
