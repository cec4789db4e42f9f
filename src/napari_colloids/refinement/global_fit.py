"""Estimation of the global parameters: optics, noise and statistics of the particles, fitted with the particles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import log_ndtr

from napari_colloids.refinement.gauss_newton import SharedPriors, gauss_newton_step, normal_equations
from napari_colloids.refinement.global_parameters import MIN_LATERAL_SIGMA_VOXELS, GlobalParameters
from napari_colloids.refinement.illumination import with_fitted_illumination
from napari_colloids.refinement.model import Model, Prediction, compare, covariance_derivatives, halo_of
from napari_colloids.refinement.optics import MAX_TAIL, Detector, Optics
from napari_colloids.refinement.polynomials import N_TERMS
from napari_colloids.refinement.priors import CENTRE_DEVIATION_RADII, Priors
from napari_colloids.refinement.residual_search import SEARCH_MARGIN_RADII, with_undetected
from napari_colloids.refinement.spheres import Spheres, draw
from napari_colloids.refinement.templates import N_PARAMETERS

if TYPE_CHECKING:
    from napari_colloids.refinement.equations import NormalEquations
    from napari_colloids.refinement.grid import Box
    from napari_colloids.refinement.spheres import Array, Image

#: First guesses: standard deviations ``(axial, lateral)`` of the PSF in radii, polydispersity, brightness spread.
_START_SIGMA_RADII = (0.5, 0.22)
_START_POLYDISPERSITY = 0.05
_START_BRIGHTNESS_SPREAD = 0.3
#: From these widths, a PSF longer than the particles ends as a sharp one with all the halo it may have: at a halo of
#: more than this, a second fit starts with a long PSF, of these widths in radii.
_MAX_PLAUSIBLE_TAIL = 0.25
_LONG_SIGMA_RADII = (1.3, 0.3)
#: Smallest polydispersity and brightness spread: below, they no longer matter.
_MIN_POLYDISPERSITY = 0.004
_MIN_BRIGHTNESS_SPREAD = 0.05
#: Polydispersity of the detections from which the fit starts with their radii and not with one for all.
_MIN_MIXED_POLYDISPERSITY = 0.1
#: Prior standard deviations of the shared parameters, about the first guess, in the order of `_light_derivatives`.
_DEVIATIONS = (0.5, 0.5, 0.08, 0.3, 0.15, 0.3, 0.3, 0.2, 0.2, 0.1)
#: The same with a PSF that was measured on a bead, which is held.
_DEVIATIONS_MEASURED_PSF = (1e-4, 1e-4, 0.08, 0.3, 1e-4, 1e-4, 1e-4, 1e-4, 1e-4, 0.1)
#: Voxels, in per cent, whose light is not above the peak of a model: a few may have that of a sphere gone wrong.
_PEAK_PERCENTILE = 99.5
#: Residuals count for this many standard deviations at most in the likelihood of a fit.
_MAX_LIKELY_SIGMAS = 6.0
#: Rounds at most; in the first only the brightness is free, and in some undetected particles are looked for. The fit
#: ends when no shared parameter changes by more than this.
_MAX_ROUNDS = 8
#: Smallest lateral width of the PSF in a first fit, in voxels; where it gets narrower than the second number, another
#: fit may go down to the width of the voxel itself. That is far from the first guess, and takes more rounds.
_MIN_USUAL_SIGMA_VOXELS = 0.6
_SHARP_SIGMA_VOXELS = 0.75
_MAX_SHARP_ROUNDS = 16
_SEARCH_ROUNDS = (1, 3)
_MAX_REST_CHANGE = 0.01
#: Longest step of a shared parameter, and step of the finite differences.
_MAX_STEP = 0.25
_DIFFERENCE = 0.02
#: Smallest radius after a step, over the mean radius.
_MIN_RADIUS_RATIO = 0.3
#: Residual in the centres of the particles, over their brightness, below which dark cores are tried.
_MAX_HOLLOW_RESIDUAL = -0.05
#: Radius of a dark core over that of the particle: first guess, and range.
_START_SHELL = 0.6
_SHELL_RANGE = (0.1, 0.9)
#: A dark core smaller than this only makes up for something else: it has hardly a volume.
_MIN_SHELL = 0.15


@dataclass(frozen=True, eq=False)
class _Fit:
    """Outcome of a fit: the model, its priors, and the prediction of before the last step."""

    model: Model
    priors: Priors
    prediction: Prediction


def fit_global_parameters(
    box: Box,
    centres: Array,
    radii: Array,
    limits: tuple[float, float],
    averaged: int = 1,
    measured: Optics | None = None,
) -> GlobalParameters:
    """Estimate the parameters that all particles share.

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
        Optics with a PSF that was measured before, which is held.
    """
    model, priors = _start(box, centres, radii, Detector.first_guess(box.where_known(box.image), limits, averaged))
    deviations = _DEVIATIONS
    if measured is not None:
        model, deviations = replace(model, optics=measured), _DEVIATIONS_MEASURED_PSF
    fit = _fitted(box, model, priors, deviations)
    if _is_too_dark(fit):
        unlimited = _fitted(box, model, priors, deviations, unlimited_first=True)
        fit = max(fit, unlimited, key=lambda one: _log_likelihood(box, one))
    if measured is None and fit.model.optics.psf_tail > _MAX_PLAUSIBLE_TAIL:
        long = replace(model, optics=_gaussian_psf(_LONG_SIGMA_RADII, priors.radius))
        other = _fitted(box, long, priors, deviations)
        if _log_noise(box, other) < _log_noise(box, fit):
            model, fit = long, other
    sharp = fit.model.optics.psf_sigma[1] < _SHARP_SIGMA_VOXELS
    if _centre_residual(box, fit) < _MAX_HOLLOW_RESIDUAL:
        hollow = _fitted(box, replace(model, optics=replace(model.optics, shell=_START_SHELL)), priors, deviations)
        if hollow.model.optics.shell > _MIN_SHELL and _log_noise(box, hollow) < _log_noise(box, fit):
            fit = hollow
    if measured is None and sharp:
        fit = max(fit, _sharp(box, model, fit, priors, deviations), key=lambda one: _log_likelihood(box, one))
    return _global_parameters(box, fit)


def _sharp(box: Box, model: Model, fit: _Fit, priors: Priors, deviations: tuple[float, ...]) -> _Fit:
    """Return a fit from the first guess of the spheres with a PSF that may be as narrow as the voxels.

    A core as narrow as that with a large halo is none that a lens has, but the mark of another image than of spheres:
    then the fit stays as it was.
    """
    optics = Optics(fit.model.optics.psf_sigma, shell=fit.model.optics.shell)
    start = replace(model, optics=optics, detector=fit.model.detector)
    sharp = _settled(box, start, priors, deviations, _MAX_SHARP_ROUNDS, MIN_LATERAL_SIGMA_VOXELS)
    return sharp if sharp.model.optics.psf_tail < _MAX_PLAUSIBLE_TAIL else fit


def _is_too_dark(fit: _Fit) -> bool:
    """Return whether the background lies so far below the lowest grey level that its noise would not reach it."""
    detector = fit.model.detector
    return bool(fit.model.background[0] < detector.limits[0] - detector.floor)


def _log_likelihood(box: Box, fit: _Fit) -> float:
    """Return the mean logarithm of the likelihood of the grey levels; of those that were cut off, that they were.

    Voxels far off, such as the light of a particle that nobody found, say no more than that.
    """
    detector = fit.model.detector
    low, high = detector.limits
    light, image = (box.where_known(part).astype(float) for part in (fit.prediction.light, box.image))
    sigma = np.sqrt((detector.floor**2 + detector.gain * np.maximum(light, 0)) / detector.averaged)
    away = np.clip((image - light) / sigma, -_MAX_LIKELY_SIGMAS, _MAX_LIKELY_SIGMAS)
    each = -0.5 * away**2 - np.log(sigma) - 0.5 * np.log(2 * np.pi)
    each[image <= low] = log_ndtr(away[image <= low])
    each[image >= high] = log_ndtr(-away[image >= high])
    return float(each.mean())


def _log_noise(box: Box, fit: _Fit) -> float:
    """Return the mean logarithm of the noise that a fit leaves: the likelier of two has less."""
    response = fit.model.detector.response(box.where_known(fit.prediction.light))
    return float(np.log(response.deviation).mean())


def _fitted(
    box: Box, model: Model, priors: Priors, deviations: tuple[float, ...], *, unlimited_first: bool = False
) -> _Fit:
    """Fit the shared parameters together with the particles.

    The means of many voxels say little of what was cut off in each. From a first guess, which takes all contrast for
    noise, a dark background then goes anywhere below the lowest level; from a fit without limits it does not.
    """
    detector = model.detector
    if (detector.averaged > 1 or unlimited_first) and np.isfinite(detector.limits).any():
        unlimited = replace(model, detector=replace(detector, limits=(-np.inf, np.inf)))
        first = _settled(box, unlimited, priors, deviations)
        model = replace(first.model, detector=replace(first.model.detector, limits=detector.limits))
        priors = first.priors
    return _settled(box, model, priors, deviations)


def _settled(
    box: Box,
    model: Model,
    priors: Priors,
    deviations: tuple[float, ...],
    max_rounds: int = _MAX_ROUNDS,
    min_sigma: float = _MIN_USUAL_SIGMA_VOXELS,
) -> _Fit:
    """Fit in rounds until no shared parameter changes."""
    first = _shared_values(model, priors)
    for number in range(max_rounds):
        profile = model.profile(box.aspect)
        prediction = model.predict(box, profile)
        if number:
            detector = model.detector.fitted(*map(box.where_known, (box.image, prediction.light)))
            model = replace(model, detector=detector)
            prediction = compare(detector, box, prediction.illumination, prediction.core, prediction.light)
        if number in _SEARCH_ROUNDS:
            margin = SEARCH_MARGIN_RADII * priors.radius
            model, priors = with_undetected(model, priors, box, prediction, profile, margin)
        if not number:
            equations = normal_equations(model, box, profile, prediction, [], derivatives=False)
            model = gauss_newton_step(model, priors, equations, box.aspect, brightness_only=True).model
            continue
        columns = _light_derivatives(model, box, prediction)
        equations = normal_equations(model, box, profile, prediction, columns)
        precision = 1 / np.array(deviations[: len(columns)]) ** 2
        before = _shared_values(model, priors)
        shared_priors = SharedPriors(precision, precision * (first - before))
        model, _, changes = gauss_newton_step(model, priors, equations, box.aspect, shared_priors=shared_priors)
        model, priors = _with_shared_changes(model, priors, equations, changes, box, min_sigma)
        # Not the changes themselves: what all radii have in common may go back and forth with the single ones.
        if number >= max(_SEARCH_ROUNDS) and np.abs(_shared_values(model, priors) - before).max() < _MAX_REST_CHANGE:
            break
    return _Fit(model, priors, prediction)


def _global_parameters(box: Box, fit: _Fit) -> GlobalParameters:
    model, priors = fit.model, fit.priors
    return GlobalParameters(
        model.optics,
        model.detector,
        float(model.background[0]),
        float(model.spheres.brightness.mean()),
        priors.brightness_spread,
        priors.radius,
        priors.polydispersity,
        float(np.percentile(box.where_known(fit.prediction.light), _PEAK_PERCENTILE)),
    )


def _centre_residual(box: Box, fit: _Fit) -> float:
    """Return the mean residual in the centres of the particles, over their brightness."""
    spheres = fit.model.spheres
    last = box.low + np.array(box.shape) - 1
    inside = np.all((spheres.positions > box.low) & (spheres.positions < last), axis=1)
    index = np.rint(spheres.positions[inside] - box.low).astype(int)
    known = box.known[tuple(index.T)] > 0
    index, brightness = index[known], spheres.brightness[inside][known]
    residual = box.image - fit.model.detector.response(fit.prediction.light).expected
    return float(np.mean(residual[tuple(index.T)] / np.maximum(brightness, 1e-6))) if len(index) else 0.0


def _start(box: Box, centres: Array, radii: Array, detector: Detector) -> tuple[Model, Priors]:
    """Return the first guess of the model, and the priors of the particles."""
    low, high = (float(v) for v in np.percentile(box.where_known(box.image), (5, 97)))
    count, radius = len(centres), float(np.median(radii))
    # The part of the variance of the detected radii that exceeds their errors.
    excess = float(np.std(radii)) ** 2 / radius**2 - _START_POLYDISPERSITY**2
    polydispersity = float(np.sqrt(max(excess, 0.0) + _START_POLYDISPERSITY**2))
    start_radii = radii if polydispersity > _MIN_MIXED_POLYDISPERSITY else np.full(count, radius)
    spheres = Spheres(centres, start_radii, np.full(count, max(high - low, 1e-6)))
    even = np.zeros(N_TERMS - 1)
    model = Model(spheres, _gaussian_psf(_START_SIGMA_RADII, radius), detector, np.append(low, even), even)
    deviation = CENTRE_DEVIATION_RADII * radius / [box.aspect, 1, 1]
    return model, Priors(centres, deviation, radii, radius, polydispersity, _START_BRIGHTNESS_SPREAD)


def _gaussian_psf(sigma: tuple[float, float], radius: float) -> Optics:
    """Return a PSF of standard deviations ``(axial, lateral)`` in radii."""
    return Optics((sigma[0] * radius, sigma[1] * radius))


def _covariance_unit(optics: Optics) -> Array:
    axial, lateral = optics.psf_sigma
    return np.array([axial * lateral, axial * lateral, lateral**2, lateral**2])


def _shared_values(model: Model, priors: Priors) -> Array:
    """Return the shared parameters in the order of `_light_derivatives`; lengths as logarithms."""
    axial, lateral = model.optics.psf_sigma
    covariances = np.array(model.optics.psf_covariances) / _covariance_unit(model.optics)
    # The common factor of the brightness is a step from the single ones: 0 before it is taken.
    values = [np.log(axial), np.log(lateral), np.log(priors.radius), 0.0, model.optics.psf_tail, *covariances]
    return np.array([*values, model.optics.shell] if model.optics.shell else values)


def _light_derivatives(model: Model, box: Box, prediction: Prediction) -> list[Image]:
    """Return the derivatives of the light with respect to the shared parameters.

    These are the logarithms of the axial and lateral width of the PSF, of the radius and of the brightness; the halo;
    the covariances of the PSF; and where there are dark cores, their radius.
    """
    spheres, optics, core = model.spheres, model.optics, prediction.core
    axial, lateral = optics.psf_sigma

    def difference(optics: Optics = optics, radii: Array = spheres.radii) -> Image:
        changed = replace(model, optics=optics, spheres=replace(spheres, radii=radii))
        light = draw(changed.spheres, changed.profile(box.aspect), box.low, box.shape) * prediction.illumination
        return np.asarray((light - core) / np.float32(_DIFFERENCE))

    covariance_unit = _covariance_unit(optics).astype(np.float32)[:, None, None, None]
    columns = [
        difference(replace(optics, psf_sigma=(axial * (1 + _DIFFERENCE), lateral))),
        difference(replace(optics, psf_sigma=(axial, lateral * (1 + _DIFFERENCE)))),
        difference(radii=spheres.radii * (1 + _DIFFERENCE)),
        core,
        halo_of(core, optics.psf_sigma, box.aspect) - core,
        *(covariance_derivatives(core, box.aspect) * covariance_unit),
    ]
    return [*columns, difference(replace(optics, shell=optics.shell + _DIFFERENCE))] if optics.shell else columns


def _with_shared_changes(
    model: Model, priors: Priors, equations: NormalEquations, changes: Array, box: Box, min_sigma: float
) -> tuple[Model, Priors]:
    """Apply a step of the shared parameters, and estimate the statistics of the particles from the spheres."""
    changes = np.clip(changes, -_MAX_STEP, _MAX_STEP)
    axial, lateral, size, light = np.exp(changes[:4])
    old = model.optics
    sigma = max(old.psf_sigma[1] * lateral, min_sigma)
    optics = replace(
        old,
        psf_sigma=(max(old.psf_sigma[0] * axial, sigma), sigma),
        psf_tail=float(np.clip(old.psf_tail + changes[4], 0, MAX_TAIL)),
        psf_covariances=tuple((np.array(old.psf_covariances) + changes[5:9] * _covariance_unit(old)).tolist()),
    )
    if optics.shell:
        optics = replace(optics, shell=float(np.clip(optics.shell + changes[9], *_SHELL_RANGE)))
    radii = np.maximum(model.spheres.radii * size, _MIN_RADIUS_RATIO * priors.radius)
    spheres = Spheres(model.spheres.positions, radii, model.spheres.brightness * light)
    model = with_fitted_illumination(replace(model, optics=optics, spheres=spheres), box)
    return model, _with_statistics(priors, model, spheres, equations)


def _with_statistics(priors: Priors, model: Model, spheres: Spheres, equations: NormalEquations) -> Priors:
    """Return the priors with mean radius, polydispersity and brightness spread estimated from the spheres.

    The variance of the radii is that of their estimates plus the mean variance of each.
    """
    radius = float(spheres.radii.mean())
    precision, _ = priors.precision_and_gradient(spheres)
    blocks = equations.blocks + np.einsum("ni,ij->nij", precision, np.eye(N_PARAMETERS))
    variance = np.linalg.inv(blocks)[:, 4, 4]
    polydispersity = float(np.sqrt(np.mean((spheres.radii / radius - 1) ** 2 + variance / radius**2)))
    brightness = model.spheres.brightness
    return replace(
        priors,
        radius=radius,
        polydispersity=max(polydispersity, _MIN_POLYDISPERSITY),
        brightness_spread=max(float(brightness.std() / brightness.mean()), _MIN_BRIGHTNESS_SPREAD),
    )
