"""The scenes that the network learns from: everything is drawn at random, wider than any real microscope.

A scene is simulated in the stack's own voxels and then brought to the canonical scale by the very code that detection
uses, so that the network sees the noise as the resampling leaves it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from napari_colloids.detection.inference import prepare
from napari_colloids.detection.normalise import GreyLevels
from napari_colloids.detection.scale import CANONICAL_DIAMETER, MARGIN, Scale
from napari_colloids.particles import positions_of
from napari_colloids.simulation.arrangement import Arrangement, arrange, species_radii
from napari_colloids.simulation.exposure import smooth_field
from napari_colloids.simulation.parameters import Parameters
from napari_colloids.simulation.scene import image_arrangement
from napari_colloids.training.targets import Targets, make_targets

#: Edge of a training volume in canonical voxels.
SIZE = 64
#: Edge of the boxes that are packed in advance, in particle radii.
_BOX = 17.0
#: How many mixtures of large and small particles are packed in advance, over all other arrangements.
_MIXTURES = 0.2
#: Particles of less than this brightness (over the mean) are not asked for: a network that is made to tell where they
#: are learns to fill gaps.
_FAINT = 0.4

Image = NDArray[np.float32]


@dataclass(frozen=True)
class Sample:
    """A normalised volume ``(1, SIZE, SIZE, SIZE)`` on the canonical scale and what should be found in it."""

    image: Image
    targets: Targets


@dataclass(frozen=True)
class Domain:
    """The source of training scenes; the same seed and number give the same scene.

    Attributes
    ----------
    seed
        Decides everything.
    packings
        How many arrangements are made in advance; each is cut, mirrored and turned anew for every scene.
    """

    seed: int = 0
    packings: int = 300

    @cached_property
    def arrangements(self) -> dict[str, list[Arrangement]]:
        """Arrangements by kind, of spheres of about radius 1."""
        rng = np.random.default_rng([self.seed, 1])
        share = {"random": 0.72, "crystal": 0.06, "gel": 0.07, "strings": 0.07, "dilute": 0.08}
        counts = {kind: max(1, round(part * self.packings)) for kind, part in share.items()}
        pool = {kind: [_unit_arrangement(kind, rng) for _ in range(count)] for kind, count in counts.items()}
        rng = np.random.default_rng([self.seed, 4])
        pool["mixture"] = [_unit_mixture(rng) for _ in range(max(1, round(_MIXTURES * self.packings)))]
        return pool

    def sample(
        self, number: int, nano: float = 0.25, shells: float = 0.15, mixtures: float = 0.0, solid_strings: float = 0.0
    ) -> Sample:
        """Return scene `number`; the shares are those of `Stage`."""
        rng = np.random.default_rng([self.seed, 2, number])
        kinds = ["random", "crystal", "gel", "strings", "dilute", "empty"]
        kind = str(rng.choice(kinds, p=[0.67, 0.06, 0.07, 0.07, 0.08, 0.05]))
        dark = kind == "strings"
        if mixtures or solid_strings:
            among = rng.random()
            if among < mixtures + solid_strings:
                kind, dark = "mixture" if among < mixtures else "strings", False
        # Most stacks come at the right scale; the rest teaches the sizes around it.
        tolerance = 0.10 if rng.random() < 0.6 else 0.30
        diameter = CANONICAL_DIAMETER * float(np.exp(np.clip(rng.normal(0, tolerance), -0.55, 0.6)))
        step = _log_uniform(rng, 0.4, 1.4)
        aspect = 1.0 if rng.random() < 0.6 else _log_uniform(rng, 0.8, 4.0)
        radius = diameter * step / 2
        steps = (step / aspect, step, step)
        # Some faces of the scene are those of a stack, with the margin that detection leaves around it; there the
        # particles that are centred outside are to be found, too. The others are cuts through a larger stack.
        before = MARGIN * (rng.random(3) < 0.35)
        after = (MARGIN + rng.integers(0, 8, 3)) * (rng.random(3) < 0.35)
        z, y, x = (max(2, int((SIZE - m) * f)) for m, f in zip(before + after, steps, strict=True))
        optics = _nano(rng, radius, aspect) if rng.random() < nano else _optics(rng, radius, aspect)
        parameters = replace(optics, shape=(z, y, x), radius=radius, voxel_aspect=aspect)
        if dark or rng.random() < shells:
            parameters = replace(parameters, shell=float(rng.uniform(0.3, 0.92)))
        arrangement = _nothing() if kind == "empty" else self._pick(kind, rng, radius)
        simulation = image_arrangement(arrangement, parameters, rng, beyond=MARGIN * step)
        image = _disturb(np.asarray(simulation.stack.data), rng)
        scale = Scale(steps, simulation.stack.shape)
        low = -before
        corner, end = (int(low[0]), int(low[1]), int(low[2])), tuple(int(n) + SIZE for n in low)
        canonical = prepare(image, corner, (end[0], end[1], end[2]), scale, GreyLevels.of(image)).numpy()
        canonical = canonical * np.float32(_log_uniform(rng, 0.7, 1.3)) + np.float32(rng.normal(0, 0.03))
        positions = scale.to_canonical(positions_of(simulation.particles)) + before
        radii = simulation.particles["radius"].to_numpy() / step
        targets = make_targets(positions, radii, (SIZE, SIZE, SIZE), faint=simulation.brightness < _FAINT)
        return Sample(canonical[None], targets)

    def _pick(self, kind: str, rng: np.random.Generator, radius: float) -> Arrangement:
        """Return one of the arrangements, turned, mirrored, shifted and scaled to a mean `radius`.

        Some are drawn apart: particles with a dark shell, or that repel each other, never seem to touch.
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
        apart = float(rng.uniform(1.0, 2.2)) if rng.random() < (0.6 if kind == "strings" else 0.1) else 1.0
        scaled = box * radius * apart
        return Arrangement(
            positions * radius * apart, chosen.radii * radius, (scaled[0], scaled[1], scaled[2]), chosen.periodic
        )


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _nothing() -> Arrangement:
    return Arrangement(np.empty((0, 3)), np.empty(0), (1.0, 1.0, 1.0), periodic=False)


def _unit_arrangement(kind: str, rng: np.random.Generator) -> Arrangement:
    polydispersity = [0.0, rng.uniform(0.0, 0.04), rng.uniform(0.04, 0.15), rng.uniform(0.15, 0.28)]
    spread = float(rng.choice(polydispersity, p=[0.25, 0.25, 0.35, 0.15]))
    ratio = float(rng.uniform(1.2, 3.0)) if rng.random() < 0.12 else 1.0  # binary mixtures, as glass-formers are
    if ratio > 1:
        spread = min(spread, 0.05)
    ranges = {
        "random": (0.05, 0.60),
        "crystal": (0.45, 0.72),
        "gel": (0.05, 0.30),
        "strings": (0.02, 0.20),
        "dilute": (0.003, 0.05),
    }
    low, high = ranges[kind]
    # Dense samples are what matters and what is hard: they come more often than dilute ones.
    fraction = low + (high - low) * float(rng.beta(1.6, 0.9) if kind == "random" else rng.random())
    name = "random" if kind == "dilute" else kind
    box = 2 * _BOX if kind == "crystal" else _BOX  # crystals do not repeat
    return arrange(name, (box, box, box), fraction, 1.0, spread, rng, size_ratio=ratio)


def _unit_mixture(rng: np.random.Generator) -> Arrangement:
    """Mix large and small spheres; radius 1 is the mean or, as where somebody has measured these, that of the small."""
    ratio, share = float(rng.uniform(1.4, 3.0)), _log_uniform(rng, 0.03, 0.5)
    fraction = 0.1 + 0.45 * float(rng.beta(1.6, 0.9))
    spread = float(rng.uniform(0, 0.05))
    made = arrange("random", (_BOX, _BOX, _BOX), fraction, 1.0, spread, rng, size_ratio=ratio, large_share=share)
    unit = float(species_radii(ratio, share)[0]) if rng.random() < 0.3 else 1.0
    box = _BOX / unit
    return Arrangement(made.positions / unit, made.radii / unit, (box, box, box), periodic=True)


def _optics(rng: np.random.Generator, radius: float, aspect: float) -> Parameters:
    """Draw a microscope."""
    lateral = radius * _log_uniform(rng, 0.06, 0.5)
    axial = float(np.clip(lateral * rng.uniform(1.0, 5.0), 0.1 * radius, 1.5 * radius))
    snr = _log_uniform(rng, 1.2, 20.0)
    tilted = rng.random() < 0.12
    return Parameters(
        psf_sigma=(axial / aspect, lateral, lateral * float(rng.uniform(0.85, 1.15))),
        psf_tail=float(rng.uniform(0, 0.3)) if rng.random() < 0.3 and axial < radius else 0.0,
        psf_skew=float(rng.uniform(-1, 1)),
        psf_tilt=(float(rng.normal(0, 0.2)), float(rng.normal(0, 0.2))) if tilted else (0.0, 0.0),
        brightness=float(rng.uniform(60, 255)),
        brightness_spread=_brightness_spread(rng),
        snr=snr,
        cnr=snr * float(rng.uniform(0.35, 1.0)),
        photon_noise=float(rng.uniform(0, 1)),
        shading=float(rng.uniform(0, 0.4)) if rng.random() < 0.3 else 0.0,
        depth_loss=float(rng.uniform(0, 0.8)) if rng.random() < 0.3 else 0.0,
        bits=16 if rng.random() < 0.3 else 8,
    )


def _nano(rng: np.random.Generator, radius: float, aspect: float) -> Parameters:
    """Draw the stack of nano-colloids: smeared along z, uneven and weak.

    The widths are those that the autocorrelation of real stacks has: an axial standard deviation of 1.2 to 1.4 radii.
    """
    lateral = radius * float(rng.uniform(0.2, 0.5))
    axial = radius * float(rng.uniform(0.9, 1.9))
    snr = _log_uniform(rng, 1.2, 6.0)
    tilted = rng.random() < 0.15
    return Parameters(
        psf_sigma=(axial / aspect, lateral, lateral * float(rng.uniform(0.85, 1.15))),
        psf_tail=float(rng.uniform(0, 0.35)) if rng.random() < 0.4 else 0.0,
        psf_skew=float(rng.uniform(-1, 1)),
        psf_tilt=(float(rng.normal(0, 0.1)), float(rng.normal(0, 0.1))) if tilted else (0.0, 0.0),
        brightness=float(rng.uniform(40, 255)),
        brightness_spread=float(rng.uniform(0.1, 0.7)),
        snr=snr,
        cnr=snr * float(rng.uniform(0.35, 1.0)),
        photon_noise=float(rng.uniform(0, 1)),
        depth_loss=float(rng.uniform(0, 0.6)) if rng.random() < 0.3 else 0.0,
        bits=8,
    )


def _brightness_spread(rng: np.random.Generator) -> float:
    """Most samples are dyed evenly, some are not, and a few have particles several times as bright as the others."""
    return float(rng.choice([0.03, rng.uniform(0.0, 0.3), rng.uniform(0.3, 0.8)], p=[0.45, 0.4, 0.15]))


def _disturb(image: NDArray[np.uint8] | NDArray[np.uint16], rng: np.random.Generator) -> Image:
    """Add what real microscopes add: haze, jitter of the scanned lines, dim slices, saturation."""
    disturbed = image.astype(np.float32)
    top = float(disturbed.max()) or 1.0
    if rng.random() < 0.15:
        disturbed += top * float(rng.uniform(0, 0.5)) * (1 + smooth_field(image.shape, rng)) / 2
    if rng.random() < 0.1:
        disturbed = _jitter(disturbed, rng)
    if rng.random() < 0.08:
        disturbed *= rng.uniform(0.7, 1.0, (image.shape[0], 1, 1)).astype(np.float32)
    if rng.random() < 0.04:  # the laser drops out
        disturbed[rng.integers(image.shape[0])] *= float(rng.uniform(0, 0.5))
    if rng.random() < 0.12:
        disturbed = np.minimum(disturbed, top * float(rng.uniform(0.55, 0.9)))
    if disturbed.min() == disturbed.max():  # in the dark or all saturated: noise is what a camera still gives
        disturbed += rng.standard_normal(image.shape, dtype=np.float32)
    return disturbed


def _jitter(image: Image, rng: np.random.Generator) -> Image:
    """Shift the scanned rows along x, slice by slice: neighbours alike, by half a voxel or so, now and then by two."""
    rows = image.shape[1]
    together = min(_log_uniform(rng, 0.5, 6.0), rows / 2)
    shift = gaussian_filter1d(rng.standard_normal(image.shape[:2]), together, axis=1)
    shift *= float(rng.uniform(0.1, 0.8)) / max(float(shift.std()), 1e-6)
    columns = np.arange(image.shape[2]) - np.clip(shift, -2, 2)[..., None]
    left = np.floor(columns)
    part = (columns - left).astype(np.float32)
    first = np.clip(left, 0, image.shape[2] - 1).astype(np.intp)
    second = np.clip(left + 1, 0, image.shape[2] - 1).astype(np.intp)
    return (1 - part) * np.take_along_axis(image, first, 2) + part * np.take_along_axis(image, second, 2)
