"""Sets of twins of a sample, of random arrangement or arranged as what was found, and whether they describe it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.assessment.description import compared, distance_of, features_of, is_shaken, reasons_of
from napari_colloids.assessment.found_arrangement import FoundArrangement, iter_found_arrangement
from napari_colloids.assessment.pair_distances import are_alike, pair_counts
from napari_colloids.assessment.twin import Twin, corrected, is_lost, iter_twin, twin_parameters
from napari_colloids.particles import positions_of
from napari_colloids.progress import Progress, as_step

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from napari_colloids.assessment.measurement import Measurement
    from napari_colloids.assessment.sample import Sample
    from napari_colloids.detection import Options

#: Twins that only bring density, brightness, sizes and optics right.
N_CORRECTIONS = 3
#: The scatter of twins needs so many.
MIN_TWINS = 2
#: Steps of an assessment before the first twin, and after the last.
_STEPS_BEFORE, _STEPS_AFTER = 2, 2
#: Polydispersity from which sizes are too different for one normal distribution.
_MAX_POLYDISPERSITY = 0.25
#: Axial blur in radii, halo included, from which particles on top of each other look like one: they are then not
#: arranged as what is found. In strings of touching beads, blurred by as much as a radius, twins of what is found would
#: promise a recall of 0.99 where it is 0.74.
_MAX_BLUR_AS_FOUND_RADII = 1.1
_NOT_RANDOM = "the particles are not arranged at random"
_BLURRED = "how they are arranged is not known, as they are blurred along z by more than a radius"
_LOST = "in most stacks that are simulated like this one far fewer particles are found"


@dataclass(frozen=True, eq=False)
class Target:
    """A sample with what was found and measured in it: what twins are made after.

    Attributes
    ----------
    sample
        The part of the stack that is assessed.
    found
        All candidates in it.
    threshold
        Of the particles among them.
    diameter
        That was searched for, in lateral voxels.
    measurement
        Of sample and particles.
    options
        Of the search.
    """

    sample: Sample
    found: pd.DataFrame
    threshold: float
    diameter: float
    measurement: Measurement
    options: Options

    @property
    def likely(self) -> pd.DataFrame:
        """The particles."""
        return self.found[self.found["confidence"] >= self.threshold]

    @property
    def volume_fraction(self) -> float:
        """Volume fraction of the particles found, for a normal distribution of the radius."""
        return self.measurement.density * self.measurement.mean_particle_volume

    @property
    def is_blurred(self) -> bool:
        """Whether blur along z hides how the particles are arranged."""
        return self.measurement.axial_blur > _MAX_BLUR_AS_FOUND_RADII * self.measurement.radius

    def features_of(self, image: NDArray[np.generic], found: pd.DataFrame) -> dict[str, float]:
        """Return what is compared of an image, its own or that of a twin, and the candidates found in it."""
        return features_of(image, found, self.threshold, self.diameter, self.sample.aspect)

    def is_random(self, twin: Twin) -> bool:
        """Whether its particles are arranged as those of a twin, which is a random packing."""
        counts = (
            pair_counts(positions_of(likely) * [self.sample.aspect, 1, 1], self.diameter)
            for likely in (self.likely, twin.likely)
        )
        return are_alike(*counts)


@dataclass(frozen=True, eq=False)
class TwinSet:
    """Twins of a sample.

    Attributes
    ----------
    twins
        Those in which particles are found as in the sample; where there is no comparison, all.
    comparison
        Of the sample with them; None where there are too few.
    reasons
        Why they do not describe the sample; empty if they do.
    arrangement
        That they have; None for random packings.
    """

    twins: list[Twin]
    comparison: pd.DataFrame | None
    reasons: list[str]
    arrangement: FoundArrangement | None = None


def n_steps(twins: int) -> int:
    """Return the number of steps of an assessment with so many twins."""
    return _STEPS_BEFORE + twins + _STEPS_AFTER


def iter_twin_set(target: Target, seeds: Sequence[int]) -> Generator[Progress, None, TwinSet]:
    """Simulate twins of a sample: random packings, or else, where these do not describe it, arranged as what was found.

    Parameters
    ----------
    target
        The sample.
    seeds
        Of the twins; the first `N_CORRECTIONS` are not among those returned.
    """
    random = TwinSet([], None, ["the particles are of several sizes"])
    if target.measurement.polydispersity <= _MAX_POLYDISPERSITY:
        random = yield from _iter_twins(target, seeds, None)
        is_decided = not random.reasons or random.reasons == [_LOST]
        if is_decided or (random.comparison is not None and is_shaken(random.comparison)):
            return random
    if target.is_blurred:
        return random
    total = n_steps(len(seeds))
    finding = iter_found_arrangement(target.sample, target.found, target.threshold, target.measurement, target.diameter)
    arrangement = yield from as_step(Progress(_STEPS_BEFORE, total, "refining what was found"), finding)
    as_found = yield from _iter_twins(target, seeds, arrangement)
    return random if as_found.reasons and random.comparison is not None else as_found


def _iter_twins(
    target: Target, seeds: Sequence[int], arrangement: FoundArrangement | None
) -> Generator[Progress, None, TwinSet]:
    """Simulate twins of an arrangement, None for a random packing.

    Only one where the sample is no random packing, and twins of what was found will be simulated instead.
    """
    wanted = measurement = target.measurement
    volume_fraction = target.volume_fraction
    words = "simulating twins"
    if arrangement is not None:
        volume_fraction = measurement.density * arrangement.mean_particle_volume
        words = "simulating twins, arranged as found"
    seen = target.features_of(target.sample.image, target.found)
    simulated: list[Twin] = []
    reasons: list[str] = []
    nearest, best = np.inf, (measurement, volume_fraction)
    for number, seed in enumerate(seeds):
        parameters = replace(twin_parameters(measurement, target.sample, volume_fraction), seed=seed)
        making = iter_twin(parameters, target.options, target.diameter, arrangement)
        twin = yield from as_step(Progress(_STEPS_BEFORE + number, n_steps(len(seeds)), words), making)
        if number == 0 and arrangement is None and not target.is_random(twin):
            if not target.is_blurred:
                return TwinSet([twin], None, [_NOT_RANDOM])
            reasons += [_NOT_RANDOM, _BLURRED]
        if number < N_CORRECTIONS:
            # Corrections may go astray where much is missed: what came nearest to the sample is taken in the end.
            away = distance_of(compared(seen, [target.features_of(*twin.image_and_found)]))
            if away < nearest:
                nearest, best = away, (measurement, volume_fraction)
            measurement, volume_fraction = corrected(measurement, wanted, twin, with_background=arrangement is None)
            if number == N_CORRECTIONS - 1:
                measurement, volume_fraction = best
        else:
            simulated.append(twin)
    # The sample is not like twins in which hardly anything is found.
    twins = [twin for twin in simulated if not is_lost(twin, wanted)]
    if len(twins) < MIN_TWINS:
        return TwinSet(simulated, None, [_LOST], arrangement)
    comparison = compared(seen, [target.features_of(*twin.image_and_found) for twin in twins])
    return TwinSet(twins, comparison, [*reasons, *reasons_of(comparison)], arrangement)
