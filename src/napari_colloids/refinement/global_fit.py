"""Optics, detector and spread of the particles, measured on the stack itself: all of them fitted with the particles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_colloids.refinement.fit import (
    Box,
    Model,
    Priors,
    View,
    advance,
    blurred_further,
    equations_of,
    leaning,
    seen_by,
    with_lamp,
    with_missed,
)
from napari_colloids.refinement.optics import MOST_TAIL, Detector, Optics
from napari_colloids.refinement.polynomials import TERMS
from napari_colloids.refinement.spheres import Spheres, draw
from napari_colloids.refinement.templates import NUMBERS

if TYPE_CHECKING:
    from napari_colloids.refinement.equations import Equations
    from napari_colloids.refinement.grid import Grid
    from napari_colloids.refinement.spheres import Array, Image

#: First guesses: widths of the PSF in radii, polydispersity, spread of the brightness.
_SIGMA = (0.5, 0.22)
#: From these widths, a PSF longer than the particles ends as a sharp one with all the halo it may have: with a halo
#: beyond this, a second fit begins with wide ones.
_HALO = 0.25
_WIDE = (1.3, 0.3)
_POLYDISPERSITY = 0.05
_SPREAD = 0.3
#: Least values of the last two: below, they no longer matter.
_LEAST = (0.004, 0.05)
#: Polydispersity from which the fit begins with the network's radii and not with one for all.
_MIXED = 0.1
#: How far what is shared may be from the first guess (standard deviations, in the order of `_columns`).
_DOUBTS = (0.5, 0.5, 0.08, 0.3, 0.15, 0.3, 0.3, 0.2, 0.2, 0.1)
#: The same where a PSF was measured on a bead, which is kept to.
_MEASURED = (1e-4, 1e-4, 0.08, 0.3, 1e-4, 1e-4, 1e-4, 1e-4, 1e-4, 0.1)
#: How far a network's centres may be trusted, in radii (z, y, x).
DOUBT = np.array([0.25, 0.15, 0.15])
#: Rounds at most; in the first only the brightness is free, and in some what was missed is looked for. The fit ends
#: when nothing that is shared changes by more than this.
_ROUNDS = 8
_LOOK = (1, 3)
_STILL = 0.01
#: How far outside the box unseen spheres are looked for, in radii.
BEYOND = 2.5
#: Longest change in a round, and step of the differences.
_LONGEST = 0.25
_STEP = 0.02
#: Least lateral width, in voxels: finer than they sample it.
_SHARPEST = 0.6
#: Light missing in the centres, of the particles' brightness, at which dark cores are thought of; their radius over
#: that of the particles at first, and its limits.
_HOLLOW = -0.05
_SHELL = 0.6
_SHELLS = (0.1, 0.9)
#: What cannot be right: radius over that of the detections, axial width (with the halo) in radii, spread of the
#: brightness.
_LIKELY = (0.8, 1.25)
_BLURRED = 2.2
_UNEVEN = 0.8


@dataclass(frozen=True, eq=False)
class Estimate:
    """What is common to all particles of a stack.

    Attributes
    ----------
    optics, detector
        Through which they are seen.
    background
        Mean grey level between them.
    brightness
        Mean brightness of a particle, in grey levels above the background.
    brightness_spread
        Standard deviation of the brightness over its mean.
    radius
        Mean radius in lateral voxels.
    polydispersity
        Standard deviation of the radius over its mean.
    """

    optics: Optics
    detector: Detector
    background: float
    brightness: float
    brightness_spread: float
    radius: float
    polydispersity: float

    def off(self, grid: Grid) -> Estimate:
        """Return the same in voxels of the stack, whose own width the PSF has instead of that of the grid's voxels."""
        lateral, height = grid.bins[2], grid.aspect * grid.bins[2]
        axial, across = (
            _with_width_of(voxel, sigma * lateral, instead_of=binned)
            for sigma, binned, voxel in zip(
                self.optics.psf_sigma, (height, lateral), (height / grid.bins[0], 1.0), strict=True
            )
        )
        zy, zx, yx, round_ = (covariance * lateral**2 for covariance in self.optics.psf_lean)
        optics = replace(self.optics, psf_sigma=(axial, across), psf_lean=(zy, zx, yx, round_))
        return replace(self, optics=optics, radius=self.radius * lateral)

    def coarser(self, along: int, aspect: float) -> Estimate:
        """Return the same for voxels of which each is so many, of an aspect, high: the PSF gets that much longer."""
        axial, across = self.optics.psf_sigma
        axial = float(np.sqrt(axial**2 + (along**2 - 1) / 12 * aspect**2))
        detector = replace(self.detector, averaged=self.detector.averaged * along)
        return replace(self, optics=replace(self.optics, psf_sigma=(axial, across)), detector=detector)

    @property
    def sharp(self) -> bool:
        """Whether the PSF is at most as wide as the voxels can tell."""
        return self.optics.psf_sigma[1] <= _SHARPEST

    def problem(self, radius: float) -> str | None:
        """Say why it cannot be right, for particles of about a radius; None if it may be."""
        optics = self.optics
        if self.background < self.detector.limits[0] - self.brightness:
            return "the background is cut off, and cannot be told"
        if not _LIKELY[0] < self.radius / radius < _LIKELY[1]:
            return "the fit does not agree with the diameter"
        # A PSF much longer than the particles is drawn with a halo, which is as much of its length as the core.
        length = optics.psf_sigma[0] * np.sqrt(1 + 3 * optics.psf_tail)
        if not np.isfinite(optics.psf_sigma).all() or length > _BLURRED * radius:
            return "the particles are too blurred along z"
        if self.brightness_spread > _UNEVEN:
            return "the particles are too unequally bright"
        return None

    def facts(self) -> dict[str, Any]:
        """Return what was measured by name, in lateral voxels and grey levels; the tilt in voxels per voxel."""
        axial, lateral = self.optics.psf_sigma
        return {
            "psf_sigma": [float(axial), float(lateral)],
            "psf_tail": self.optics.psf_tail,
            "psf_tilt": [float(covariance / axial**2) for covariance in self.optics.psf_lean[:2]],
            "shell": self.optics.shell,
            "polydispersity": self.polydispersity,
            "background": self.background,
            "brightness": self.brightness,
            "brightness_spread": self.brightness_spread,
            "noise_gain": self.detector.gain,
            "noise_floor": self.detector.floor,
        }


def estimate(
    box: Box,
    centres: Array,
    radii: Array,
    limits: tuple[float, float],
    averaged: int = 1,
    measured: Optics | None = None,
) -> Estimate:
    """Measure what is common to the particles.

    Parameters
    ----------
    box
        Part of the stack.
    centres
        Shape ``(N, 3)`` in voxels: the particles in and just around the box.
    radii
        Shape ``(N,)`` in lateral voxels: first guesses.
    limits
        Lowest and highest grey level, see `Detector`.
    averaged
        Voxels of the microscope in one of the image.
    measured
        What is known of the PSF already.
    """
    model, priors = _begun(box, centres, radii, Detector.of(box.where_known(box.image), limits, averaged))
    doubts = _DOUBTS
    if measured is not None:
        model, doubts = replace(model, optics=measured), _MEASURED
    fit = _fitted(box, model, priors, doubts)
    if measured is None and fit[0].optics.psf_tail > _HALO:
        wide = replace(model, optics=_with_widths(_WIDE, priors.radius))
        likelier = _fitted(box, wide, priors, doubts)
        if _noise(box, likelier) < _noise(box, fit):
            model, fit = wide, likelier
    if _centre_light(box, fit[0], fit[2]) < _HOLLOW:
        hollow = _fitted(box, replace(model, optics=replace(model.optics, shell=_SHELL)), priors, doubts)
        if _noise(box, hollow) < _noise(box, fit):
            fit = hollow
    return _estimate_of(*fit[:2])


def _noise(box: Box, fit: tuple[Model, Priors, View]) -> float:
    """Return the mean logarithm of the noise that a fit leaves: the likelier of two has less."""
    model, _, view = fit
    return float(np.log(model.detector.see(box.where_known(view.light)).deviation).mean())


def _fitted(box: Box, model: Model, priors: Priors, doubts: tuple[float, ...]) -> tuple[Model, Priors, View]:
    """Fit all that is shared, together with the particles; also returns what is seen of the model before the end.

    The means of many voxels say little of what was cut off in each. From a first guess, which takes all contrast for
    noise, a dark background then goes anywhere below the lowest level; from a fit that knows of no limits it does not.
    """
    detector = model.detector
    if detector.averaged > 1 and np.isfinite(detector.limits).any():
        free = replace(model, detector=replace(detector, limits=(-np.inf, np.inf)))
        begun, priors, _ = _settled(box, free, priors, doubts)
        model = replace(begun, detector=replace(begun.detector, limits=detector.limits))
    return _settled(box, model, priors, doubts)


def _settled(box: Box, model: Model, priors: Priors, doubts: tuple[float, ...]) -> tuple[Model, Priors, View]:
    """Fit in rounds until nothing that is shared changes."""
    first = _shared(model, priors)
    for number in range(_ROUNDS):
        profile = model.profile(box.aspect)
        view = model.view(box, profile)
        if number:
            model = replace(model, detector=model.detector.measured(*map(box.where_known, (box.image, view.light))))
            view = seen_by(model.detector, box, view.lamp, view.core, view.light)
        if number in _LOOK:
            model, priors = with_missed(model, priors, box, view, profile, BEYOND * priors.radius)
        if not number:
            equations = equations_of(model, box, profile, view, [], derivatives=False)
            model, _, _ = advance(model, priors, equations, box.aspect, brightness_only=True)
            continue
        columns = _columns(model, box, view)
        equations = equations_of(model, box, profile, view, columns)
        precision = 1 / np.array(doubts[: len(columns)]) ** 2
        before = _shared(model, priors)
        pull = precision * (first - before)
        model, _, changes = advance(model, priors, equations, box.aspect, shared_precision=precision, shared_pull=pull)
        model, priors = _changed(model, priors, equations, changes, box)
        # Not the changes themselves: what all radii have in common may go back and forth with the single ones.
        if number >= max(_LOOK) and np.abs(_shared(model, priors) - before).max() < _STILL:
            break
    return model, priors, view


def _estimate_of(model: Model, priors: Priors) -> Estimate:
    spheres = model.spheres
    return Estimate(
        model.optics,
        model.detector,
        float(model.background[0]),
        float(spheres.brightness.mean()),
        priors.brightness_spread,
        priors.radius,
        priors.polydispersity,
    )


def _centre_light(box: Box, model: Model, view: View) -> float:
    """Return the light in the centres of the particles less that of the model, in the mean over their brightness."""
    spheres = model.spheres
    last = box.low + np.array(box.shape) - 1
    inside = np.all((spheres.positions > box.low) & (spheres.positions < last), axis=1)
    index = np.rint(spheres.positions[inside] - box.low).astype(int)
    seen = box.known[tuple(index.T)] > 0
    index, brightness = index[seen], spheres.brightness[inside][seen]
    left = box.image - model.detector.see(view.light).expected
    return float(np.mean(left[tuple(index.T)] / np.maximum(brightness, 1e-6))) if len(index) else 0.0


def _begun(box: Box, centres: Array, radii: Array, detector: Detector) -> tuple[Model, Priors]:
    low, high = (float(v) for v in np.percentile(box.where_known(box.image), (5, 97)))
    count, radius = len(centres), float(np.median(radii))
    # What of the spread of the network's radii is more than its doubt.
    excess = float(np.std(radii)) ** 2 / radius**2 - _POLYDISPERSITY**2
    alike = float(np.sqrt(max(excess, 0.0) + _POLYDISPERSITY**2))
    spheres = Spheres(
        centres, radii if alike > _MIXED else np.full(count, radius), np.full(count, max(high - low, 1e-6))
    )
    even = np.zeros(TERMS - 1)
    model = Model(spheres, _with_widths(_SIGMA, radius), detector, np.append(low, even), even)
    return model, Priors(centres, DOUBT * radius / [box.aspect, 1, 1], radii, radius, alike, _SPREAD)


def _with_widths(sigma: tuple[float, float], radius: float) -> Optics:
    """Return a PSF of widths in radii."""
    return Optics((sigma[0] * radius, sigma[1] * radius))


def _lean_unit(optics: Optics) -> Array:
    axial, lateral = optics.psf_sigma
    return np.array([axial * lateral, axial * lateral, lateral**2, lateral**2])


def _shared(model: Model, priors: Priors) -> Array:
    """Return what all spheres share, in the order of `_columns`; widths as logarithms, as they change by factors."""
    axial, lateral = model.optics.psf_sigma
    lean = np.array(model.optics.psf_lean) / _lean_unit(model.optics)
    values = [np.log(axial), np.log(lateral), np.log(priors.radius), 0.0, model.optics.psf_tail, *lean]
    return np.array([*values, model.optics.shell] if model.optics.shell else values)


def _columns(model: Model, box: Box, view: View) -> list[Image]:
    """Return how the light changes with what all spheres share: widths, radius, brightness, halo, lean, dark core."""
    spheres, optics = model.spheres, model.optics
    axial, lateral = optics.psf_sigma

    def change(radii: Array = spheres.radii, **other: Any) -> Image:
        changed = replace(model, optics=replace(optics, **other), spheres=replace(spheres, radii=radii))
        light = draw(changed.spheres, changed.profile(box.aspect), box.low, box.shape) * view.lamp
        return np.asarray((light - view.core) / np.float32(_STEP))

    columns = [
        change(psf_sigma=(axial * (1 + _STEP), lateral)),
        change(psf_sigma=(axial, lateral * (1 + _STEP))),
        change(radii=spheres.radii * (1 + _STEP)),
        view.core,
        blurred_further(view.core, optics.psf_sigma, box.aspect) - view.core,
        *(leaning(view.core, box.aspect) * _lean_unit(optics).astype(np.float32)[:, None, None, None]),
    ]
    return [*columns, change(shell=optics.shell + _STEP)] if optics.shell else columns


def _changed(model: Model, priors: Priors, equations: Equations, changes: Array, box: Box) -> tuple[Model, Priors]:
    """Apply the changes of what is shared, and learn from the spheres how alike they are."""
    changes = np.clip(changes, -_LONGEST, _LONGEST)
    axial, lateral, size, light = np.exp(changes[:4])
    sigma = max(model.optics.psf_sigma[1] * lateral, _SHARPEST)
    optics = replace(
        model.optics,
        psf_sigma=(max(model.optics.psf_sigma[0] * axial, sigma), sigma),
        psf_tail=float(np.clip(model.optics.psf_tail + changes[4], 0, MOST_TAIL)),
        psf_lean=tuple((np.array(model.optics.psf_lean) + changes[5:9] * _lean_unit(model.optics)).tolist()),
    )
    if optics.shell:
        optics = replace(optics, shell=float(np.clip(optics.shell + changes[9], *_SHELLS)))
    old = model.spheres
    spheres = Spheres(old.positions, np.maximum(old.radii * size, 0.3 * priors.radius), old.brightness * light)
    radius = float(spheres.radii.mean())
    model = with_lamp(replace(model, optics=optics, spheres=spheres), box)
    precision, _ = priors.precision_and_pull(spheres)
    doubt = np.linalg.inv(equations.blocks + np.einsum("ni,ij->nij", precision, np.eye(NUMBERS)))[:, 4, 4]
    polydispersity = float(np.sqrt(np.mean((spheres.radii / radius - 1) ** 2 + doubt / radius**2)))
    bright = model.spheres.brightness
    return model, replace(
        priors,
        radius=radius,
        polydispersity=max(polydispersity, _LEAST[0]),
        brightness_spread=max(float(bright.std() / bright.mean()), _LEAST[1]),
    )


def _with_width_of(voxel: float, sigma: float, *, instead_of: float) -> float:
    """Return a standard deviation that has the width of one voxel in it, and not that of another."""
    return float(np.sqrt(max(sigma**2 - (instead_of**2 - voxel**2) / 12, voxel**2 / 12)))
