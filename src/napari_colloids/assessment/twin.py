"""Digital twin of a sample: stacks that are simulated with what was measured on it, and so have a known truth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.assessment.measurement import Measurement, measured
from napari_colloids.detection import Options, Part, search
from napari_colloids.detection.finish import iter_finish
from napari_colloids.detection.plan import iter_plan
from napari_colloids.errors import ColloidsError
from napari_colloids.scoring import score
from napari_colloids.simulation import Parameters, simulate
from napari_colloids.simulation.scene import image_arrangement, seeded
from napari_colloids.stack import aspect_of

if TYPE_CHECKING:
    from collections.abc import Generator

    import pandas as pd
    from numpy.typing import NDArray

    from napari_colloids.assessment.found_arrangement import FoundArrangement
    from napari_colloids.assessment.sample import Sample
    from napari_colloids.progress import Progress
    from napari_colloids.scoring import PrecisionRecallCurve, Score
    from napari_colloids.simulation import Simulation
    from napari_colloids.stack import Stack

#: Confidence from which candidates are kept, to see what other thresholds would do, unless a lower one is asked for.
FLOOR = 0.05
#: Densest random arrangement of a twin, and what the volume fraction is lowered by where the spheres jam.
_MAX_RANDOM_VOLUME_FRACTION, _JAMMED_STEP = 0.61, 0.02
#: Bounds of `Parameters`.
_MAX_POLYDISPERSITY, _MAX_DEPTH_LOSS, _MIN_PSF_SIGMA = 0.3, 0.99, 0.05
#: Grey levels of 16 bits in one of the 8-bit scale that `Parameters.brightness` is given on.
_LEVELS_PER_BRIGHTNESS = {8: 1.0, 16: 257.0}
#: Density of what is found in a twin, over that in the sample, below which the twin is lost.
_MIN_DENSITY = 0.4
#: Spread of brightness or radius up to which a measurement is as good as zero.
_MIN_SPREAD = 0.06


@dataclass(frozen=True, eq=False)
class Twin:
    """A simulated stack, what is found in it, and how right that is.

    Attributes
    ----------
    simulation
        With the truth.
    found
        Candidates of at least the confidence `FLOOR`.
    likely
        Those above the threshold.
    score
        Of these.
    curve
        Precision and recall of all candidates against the threshold.
    """

    simulation: Simulation
    found: pd.DataFrame
    likely: pd.DataFrame
    score: Score
    curve: PrecisionRecallCurve

    @property
    def image_and_found(self) -> tuple[NDArray[np.generic], pd.DataFrame]:
        """The image, and all candidates in it."""
        return np.asarray(self.simulation.stack.data), self.found


def twin_parameters(measurement: Measurement, sample: Sample, volume_fraction: float) -> Parameters:
    """Return the parameters with which `simulate` makes stacks like a sample.

    Parameters
    ----------
    measurement
        Of the sample, corrected or not.
    sample
        Of which the twin gets shape, voxels and bits.
    volume_fraction
        Of the twin.
    """
    stack, aspect = sample.stack, sample.aspect
    bits = 8 if sample.image.dtype == np.uint8 else 16
    # `simulate` takes levels and noise as they are before light is lost with depth.
    top = measurement.in_first_slice()
    axial, lateral = (max(sigma, _MIN_PSF_SIGMA) for sigma in measurement.psf_sigma)
    snr = float(np.clip(top.snr, 0.1, 1000))
    tilt_y, tilt_x = (float(np.clip(tilt * aspect, -5, 5)) for tilt in measurement.psf_tilt)
    return Parameters(
        shape=stack.shape,
        volume_fraction=float(np.clip(volume_fraction, 1e-4, _MAX_RANDOM_VOLUME_FRACTION)),
        radius=measurement.radius,
        polydispersity=min(measurement.polydispersity, _MAX_POLYDISPERSITY),
        shell=measurement.shell,
        psf_sigma=(axial / aspect, lateral, lateral),
        psf_tail=float(np.clip(measurement.psf_tail, 0, 1)),
        psf_tilt=(tilt_y, tilt_x),
        brightness=float(np.clip(top.foreground / _LEVELS_PER_BRIGHTNESS[bits], 1, 255)),
        brightness_spread=min(measurement.brightness_spread, 1.0),
        snr=snr,
        cnr=float(np.clip(top.cnr, 0, snr)),
        photon_noise=float(np.clip(top.gain * top.foreground / top.noise(top.foreground) ** 2, 0, 1)),
        depth_loss=min(1 - float(np.exp(measurement.decay)), _MAX_DEPTH_LOSS),
        bits=bits,
        voxel_aspect=aspect,
        voxel_size=None if stack.voxel_size is None else stack.voxel_size[2],
    )


def iter_twin(
    parameters: Parameters, options: Options, diameter: float, arrangement: FoundArrangement | None = None
) -> Generator[Progress, None, Twin]:
    """Simulate a stack, search it and score what is found.

    Parameters
    ----------
    parameters
        With a seed. Where its spheres jam, there are fewer.
    options
        Of the search; of them the threshold is that of the score.
    diameter
        That is searched for, in lateral voxels.
    arrangement
        Of the spheres; None for a random packing.
    """
    simulation = _unjammed(parameters) if arrangement is None else _arranged(parameters, arrangement)
    found = yield from iter_search(simulation.stack, options, diameter)
    likely = found[found["confidence"] >= options.effective_threshold]
    stack = simulation.stack
    scored, whole = (
        score(simulation.particles, some, diameter=diameter, shape=stack.shape, voxel_size=stack.voxel_size)
        for some in (likely, found)
    )
    return Twin(simulation, found, likely, scored, whole.curve)


def iter_search(
    stack: Stack, options: Options, diameter: float, *, may_be_noise: bool = False
) -> Generator[Progress, None, pd.DataFrame]:
    """Search sample or twin for bright particles of a diameter, down to a low confidence.

    Parameters
    ----------
    stack
        Of one volume.
    options
        Of the search.
    diameter
        In lateral voxels.
    may_be_noise
        Whether there may be no particles at all: not in the twins of a sample in which some were found, however dim.
    """
    searched = replace(
        options,
        diameter=diameter,
        diameter_um=None,
        dark=False,
        threshold=min(FLOOR, options.effective_threshold),
        border=0.0,
        psf=None,
        refine=False,
        intensity=False,
    )
    volume = stack.volume()
    plan = yield from iter_plan(stack, Part(), searched)
    found = yield from search.iter_search(volume, plan)
    return (yield from iter_finish(volume, plan, [found], 0.0, may_be_noise=may_be_noise))


def corrected(
    measurement: Measurement, target: Measurement, twin: Twin, *, with_background: bool = True
) -> tuple[Measurement, float]:
    """Return the measurement and the volume fraction from which the next twin comes nearer to the sample.

    What is missed, and the faint ones above all, makes sample and twin alike look less dense, and less uneven, than
    they are: so the twin is changed by what it still differs from the sample.

    Parameters
    ----------
    measurement
        That the twin was made from.
    target
        Measured on the sample.
    twin
        Made from `measurement`; it says nothing where hardly anything is found in it.
    with_background
        Whether the background is changed, too: in the image of an arrangement with gaps around it, it looks darker.
    """
    volume_fraction = twin.simulation.volume_fraction
    if is_lost(twin, target):
        return measurement, volume_fraction
    seen = measured(twin.simulation.stack, twin.likely, twin.score.diameter)
    volume_fraction *= target.density / density_of(twin)
    if isinstance(seen, str):
        return measurement, volume_fraction
    axial, lateral = (
        used * wanted / max(found, _MIN_PSF_SIGMA)
        for used, wanted, found in zip(measurement.psf_sigma, target.psf_sigma, seen.psf_sigma, strict=True)
    )
    background = measurement.background + (target.background - seen.background if with_background else 0.0)
    changed = replace(
        measurement,
        polydispersity=_nearer(measurement.polydispersity, target.polydispersity, seen.polydispersity),
        brightness_spread=_nearer(measurement.brightness_spread, target.brightness_spread, seen.brightness_spread),
        psf_sigma=(axial, lateral),
        psf_tail=float(np.clip(measurement.psf_tail + target.psf_tail - seen.psf_tail, 0, 1)),
        background=float(np.clip(background, 0, target.foreground)),
    )
    return changed, volume_fraction


def density_of(twin: Twin) -> float:
    """Return how many particles are found in a twin per cubic lateral voxel."""
    stack = twin.simulation.stack
    return len(twin.likely) / float(np.prod(stack.shape) * aspect_of(stack.voxel_size))


def is_lost(twin: Twin, target: Measurement) -> bool:
    """Whether far fewer particles are found in a twin than in the sample."""
    return density_of(twin) < _MIN_DENSITY * target.density


def _nearer(used: float, target: float, seen: float) -> float:
    """Return the spread that a twin needs to be seen with that of the target; variances add."""
    if max(target, seen) < _MIN_SPREAD:
        return used
    return float(np.sqrt(np.clip(used**2 + target**2 - seen**2, 0, 1)))


def _arranged(parameters: Parameters, arrangement: FoundArrangement) -> Simulation:
    """Simulate a stack in which spheres are arranged as they were found."""
    parameters, rng = seeded(parameters)
    return image_arrangement(arrangement.drawn(parameters.volume_fraction, rng), parameters, rng)


def _unjammed(parameters: Parameters) -> Simulation:
    """Simulate a stack, with fewer spheres where they jam."""
    while True:
        try:
            return simulate(parameters)
        except ColloidsError:
            fraction = parameters.volume_fraction - _JAMMED_STEP
            if fraction <= 0:
                raise
            parameters = replace(parameters, volume_fraction=fraction)
