"""Training scenes in the image of one stack: its digital twin, with what is uncertain of it drawn at random."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.detection.scale import CANONICAL_DIAMETER
from napari_colloids.simulation.arrangement import Arrangement, Composition, arrange
from napari_colloids.training.sample import Faces, Sample, Source, imaged, scaled, turned

if TYPE_CHECKING:
    from numpy.random import Generator

    from napari_colloids.simulation.parameters import Parameters
    from napari_colloids.training.stage import Stage

#: Edge of the periodic boxes of arrangements, in particle radii.
_BOX_RADII = 17.0
#: Densest arrangement: beyond it spheres may jam.
_MAX_VOLUME_FRACTION = 0.6
#: Voxels of a scene per canonical voxel at most, along each axis; finer stacks would cost time and show no more.
_MAX_STEP = 1.4
#: Fraction of the scenes that are noise with the grey levels and the spectrum of the others: a network that has seen
#: nothing but such particles finds them in noise, too, and is then told that its particles look like noise.
_NOISE_SHARE = 0.1
#: Standard deviations of what is drawn about the measured values, relative ones: of the diameter, the PSF, the
#: signal-to-noise ratio, the brightness, the volume fraction and the spread of the brightness.
_DIAMETER, _PSF, _SNR, _BRIGHTNESS, _FRACTION, _SPREAD = 0.04, 0.1, 0.15, 0.1, 0.1, 0.2
#: The same, absolute ones: of the polydispersity, of tail, skew and tilt of the PSF, of the contrast over the signal,
#: of the photon noise and of the dark core.
_POLYDISPERSITY, _TAIL, _SKEW, _TILT, _CONTRAST, _PHOTON_NOISE, _SHELL = 0.015, 0.05, 0.3, 0.03, 0.05, 0.15, 0.03


@dataclass(frozen=True)
class MatchedScenes:
    """Source of training scenes like one stack; the same seed and number give the same scene.

    Attributes
    ----------
    parameters
        Of the stack's twin; its shape and seed are not used.
    diameter
        That is searched for, in lateral voxels of the stack: it becomes the canonical one.
    seed
        Seed of all scenes.
    packings
        Number of arrangements that are made in advance; each is cut, mirrored and turned anew for every scene.
    """

    parameters: Parameters
    diameter: float
    seed: int = 0
    packings: int = 60

    @cached_property
    def arrangements(self) -> list[Arrangement]:
        """Arrangements of the twin's kind, of spheres of mean radius 1."""
        rng = np.random.default_rng([self.seed, 5])
        return [self._arrangement(rng) for _ in range(self.packings)]

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
            Without effect: all scenes are of one kind.
        """
        rng = np.random.default_rng([self.seed, 6, number])
        step = self.diameter / CANONICAL_DIAMETER * float(np.exp(rng.normal(0, _DIAMETER)))
        steps = (step / self.parameters.voxel_aspect, step, step)
        parameters, steps = coarsened(self._drawn(rng), steps)
        chosen = self.arrangements[int(rng.integers(len(self.arrangements)))]
        placed = turned(chosen, rng, upright=self.parameters.arrangement == "strings")
        scrambled = bool(rng.random() < _NOISE_SHARE)
        arrangement = scaled(placed, parameters.radius)
        return imaged(arrangement, parameters, steps, Faces.drawn(rng), rng, scrambled=scrambled)

    def _arrangement(self, rng: Generator) -> Arrangement:
        twin = self.parameters
        fraction = twin.volume_fraction * float(np.exp(rng.normal(0, _FRACTION)))
        composition = Composition(
            min(fraction, _MAX_VOLUME_FRACTION),
            1.0,
            float(np.clip(twin.polydispersity + rng.normal(0, _POLYDISPERSITY), 0, 0.3)),
            twin.size_ratio,
        )
        return arrange(twin.arrangement, (_BOX_RADII, _BOX_RADII, _BOX_RADII), composition, rng)

    def _drawn(self, rng: Generator) -> Parameters:
        """Return the twin's parameters, each changed by about what it is uncertain by."""
        twin = self.parameters
        axial, lateral = np.exp(rng.normal(0, _PSF, 2))
        z, y, x = twin.psf_sigma
        snr = twin.snr * float(np.exp(rng.normal(0, _SNR)))
        contrast = twin.cnr / twin.snr + rng.normal(0, _CONTRAST)
        shell = float(np.clip(twin.shell + rng.normal(0, _SHELL), 0.05, 0.95)) if twin.shell else 0.0
        tilt_y, tilt_x = np.clip(twin.psf_tilt + rng.normal(0, _TILT, 2), -5, 5)
        return replace(
            twin,
            shell=shell,
            psf_sigma=(z * float(axial), y * float(lateral), x * float(lateral)),
            psf_tail=float(np.clip(twin.psf_tail + rng.normal(0, _TAIL), 0, 1)),
            psf_skew=float(np.clip(twin.psf_skew + rng.normal(0, _SKEW), -2, 2)),
            psf_tilt=(float(tilt_y), float(tilt_x)),
            brightness=float(np.clip(twin.brightness * np.exp(rng.normal(0, _BRIGHTNESS)), 1, 255)),
            brightness_spread=float(np.clip(twin.brightness_spread * np.exp(rng.normal(0, _SPREAD)), 0, 1)),
            snr=float(np.clip(snr, 0.1, 1000)),
            cnr=float(np.clip(snr * np.clip(contrast, 0.05, 1), 0, 1000)),
            photon_noise=float(np.clip(twin.photon_noise + rng.normal(0, _PHOTON_NOISE), 0, 1)),
            # A scene is as deep as the stack, or a part of it.
            depth_loss=float(rng.uniform(0, 1)) * twin.depth_loss,
            seed=None,
        )


@dataclass(frozen=True)
class MixedScenes:
    """Scenes of two sources: those of one stack, and general ones among them, so that these are not forgotten.

    Attributes
    ----------
    matched, general
        The two sources.
    share
        Fraction of the scenes that are general ones.
    seed
        Of the choice between them.
    """

    matched: Source
    general: Source
    share: float
    seed: int = 0

    def pack(self) -> None:
        """Make the arrangements of both."""
        self.matched.pack()
        self.general.pack()

    def sample(self, number: int, stage: Stage) -> Sample:
        """Return scene `number`; general ones are of the kinds of the `stage`."""
        drawn = np.random.default_rng([self.seed, 7, number]).random()
        return (self.general if drawn < self.share else self.matched).sample(number, stage)


def coarsened(
    parameters: Parameters, steps: tuple[float, float, float]
) -> tuple[Parameters, tuple[float, float, float]]:
    r"""Return what gives the same canonical image from fewer voxels, and the voxels per canonical voxel then.

    Parameters
    ----------
    parameters
        Of a stack.
    steps
        Its voxels per canonical voxel ``(z, y, x)``.

    Notes
    -----
    Lengths in voxels shrink with the steps :math:`f`. Resampling averages the noise over a Gaussian whose width is
    half a canonical voxel, or half a voxel of the stack where that is the larger one: so the noise of a canonical voxel
    stays the same with

    .. math:: \mathrm{SNR}' = \mathrm{SNR} \prod_i \sqrt{\frac{\max(f_i, 1)}{\max(f'_i, 1)}}, \qquad
        f'_i = \min(f_i, 1.4).
    """
    few = tuple(min(step, _MAX_STEP) for step in steps)
    z, y, x = (new / old for new, old in zip(few, steps, strict=True))
    gain = float(np.prod([np.sqrt(max(old, 1) / max(new, 1)) for old, new in zip(steps, few, strict=True)]))
    sigma_z, sigma_y, sigma_x = parameters.psf_sigma
    return replace(
        parameters,
        radius=parameters.radius * x,
        voxel_aspect=parameters.voxel_aspect * x / z,
        voxel_size=None,
        psf_sigma=(sigma_z * z, sigma_y * y, sigma_x * x),
        psf_tilt=(parameters.psf_tilt[0] * y / z, parameters.psf_tilt[1] * x / z),
        snr=min(parameters.snr * gain, 1000.0),
        cnr=min(parameters.cnr * gain, 1000.0),
    ), (few[0], few[1], few[2])
