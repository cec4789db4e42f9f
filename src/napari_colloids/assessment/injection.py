"""Injection and recovery: the particles found in a sample, moved and drawn into what they leave of it, and searched.

Astronomers measure so how complete a catalogue of a crowded field is (artificial stars: Stetson, Publ. Astron. Soc.
Pac. 99, 191 (1987); Stetson and Harris, Astron. J. 96, 909 (1988)). The residual brings what no simulation has: the
noise of this camera, haze, the tails of this PSF, and the particles that were missed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.assessment.ratio import ratio_interval
from napari_colloids.assessment.twin import iter_search
from napari_colloids.formatting import errors_by_axis
from napari_colloids.particles import POSITION, positions_of
from napari_colloids.scoring import match
from napari_colloids.scoring.score import off_border
from napari_colloids.simulation.arrangement import Arrangement
from napari_colloids.simulation.hard_spheres import HardSpheres
from napari_colloids.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

    from napari_colloids.assessment.sample import Sample
    from napari_colloids.assessment.sample_model import SampleModel
    from napari_colloids.detection import Options
    from napari_colloids.interval import Interval
    from napari_colloids.progress import Progress
    from napari_colloids.refinement.spheres import Spheres

    Array = NDArray[np.float64]

#: Times that the particles are moved and searched: once for each way to mirror them along y and x.
_MIRRORED = ((1,), (2,), (1, 2))
#: Steps of each sphere, and their root mean square length in diameters: without neighbours it goes 0.6 diameters.
_N_SWEEPS, _STEP_DIAMETERS = 400, 0.03
#: Particles that are needed.
_MIN_PARTICLES = 20


@dataclass(frozen=True)
class Injection:
    """How many of the particles that were drawn into a sample are found again.

    It is the recall of particles like those that were found. Those that were missed, fainter or more crowded as a rule,
    are in the residual and not among them: as a rule the recall of the sample is lower. Precision cannot be told, as
    what is found at the place of a missed particle is not false.

    Attributes
    ----------
    recall
        Of all repeats, with its interval: binomial, and from the scatter of the repeats.
    rmse
        Localisation error along z, y and x in voxels.
    injected
        Particles that were drawn, in all repeats.
    """

    recall: Interval
    rmse: dict[str, float]
    injected: int

    def __repr__(self) -> str:
        return f"Injection({self.words()})"

    def words(self) -> str:
        """Return what it says, in one line."""
        return f"recall {self.recall!r} of particles like those found; RMSE (voxels): {errors_by_axis(self.rmse)}"


def iter_injection(
    sample: Sample, model: SampleModel, options: Options, diameter: float, seed: int = 0
) -> Generator[Progress, None, Injection | str]:
    """Move the particles of a sample, draw them into its residual, search, and score what was drawn.

    The residual has the noise of the model's light; where there is other light now, it is scaled to the noise of that.
    What only the residual shows as a sphere is moved and drawn, too, but not scored.

    Parameters
    ----------
    sample, model
        The image, and the model of its particles.
    options
        Of the search.
    diameter
        That is searched for, in lateral voxels.
    seed
        Of the moves.

    Returns
    -------
    Injection or str
        Why it says nothing, where that is so.
    """
    rng = np.random.default_rng(seed)
    scale = np.array([sample.aspect, 1.0, 1.0])
    shape = sample.stack.shape
    hits, totals, errors = [], [], []
    for axes in _MIRRORED:
        spheres = moved(model.model.spheres, axes, shape, sample.aspect, rng)
        light = model.with_spheres(spheres)
        residual = (model.uncut(rng) - model.light) / model.noise(model.light)
        image = model.recorded(light + residual * model.noise(light), sample.image)
        found = yield from iter_search(Stack(image, voxel_size=sample.stack.voxel_size), options, diameter)
        there = positions_of(found[found["confidence"] >= options.effective_threshold])
        pairs = match(spheres.positions * scale, there * scale, diameter / 2)
        scored = (model.found >= 0) & off_border(spheres.positions, diameter, shape, scale)
        hit = scored[pairs.truth_index]
        hits.append(int(hit.sum()))
        totals.append(int(scored.sum()))
        errors.append((there[pairs.prediction_index] - spheres.positions[pairs.truth_index])[hit])
    if min(totals) < _MIN_PARTICLES:
        return "too few particles lie wholly in the part that is assessed"
    count = float(np.mean(totals))
    apart = np.concatenate(errors)
    rmse = np.sqrt(np.mean(apart**2, axis=0)) if len(apart) else np.full(3, np.nan)
    return Injection(
        ratio_interval(hits, totals, count, mismatch=0.0),
        dict(zip(POSITION, rmse.tolist(), strict=True)),
        sum(totals),
    )


def moved(
    spheres: Spheres, mirrored: tuple[int, ...], shape: tuple[int, int, int], aspect: float, rng: np.random.Generator
) -> Spheres:
    """Return spheres elsewhere, as they might be: mirrored, and then moved at random without overlapping.

    Mirrored, they come away from what the model leaves of them at their places, however dense they are; in z they stay,
    as image and sample may change with depth. Then each moves by small steps, by some tenths of a diameter (Metropolis
    et al., J. Chem. Phys. 21, 1087 (1953)), so that its neighbours are others, or stand otherwise.

    Parameters
    ----------
    spheres
        In voxels. Those outside the stack are mirrored only.
    mirrored
        Axes (1 for y, 2 for x).
    shape, aspect
        Of the stack, and of its voxels.
    rng
        Source of randomness.
    """
    scale, size = np.array([aspect, 1.0, 1.0]), np.array(shape)
    positions = spheres.positions.copy()
    for axis in mirrored:
        positions[:, axis] = size[axis] - 1 - positions[:, axis]
    outside = ~np.all((positions >= -0.5) & (positions < size - 0.5), axis=1)
    z, y, x = (float(edge) for edge in size * scale)
    start = Arrangement((positions + 0.5) * scale, spheres.radii, (z, y, x), periodic=False)
    moving = HardSpheres(start, outside)
    length = _STEP_DIAMETERS * 2 * float(np.median(spheres.radii))
    for _ in range(_N_SWEEPS):
        moving.sweep(length, rng)
    return replace(spheres, positions=moving.positions / scale - 0.5)
