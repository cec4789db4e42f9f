"""Model image of the particles found in a sample, and the noise about it: for checks on the image itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.special import ndtr, ndtri

from napari_colloids.particles import positions_of
from napari_colloids.refinement.block_fit import initial_state
from napari_colloids.refinement.gauss_newton import gauss_newton_step, normal_equations
from napari_colloids.refinement.grid import Grid
from napari_colloids.refinement.illumination import with_fitted_illumination
from napari_colloids.refinement.partition import Cell
from napari_colloids.refinement.preparation import distinct, measured_before
from napari_colloids.refinement.residual_search import SEARCH_MARGIN_RADII
from napari_colloids.refinement.spheres import Spheres
from napari_colloids.refinement.threads import single_threaded_blas

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from napari_colloids.assessment.measurement import Measurement
    from napari_colloids.assessment.sample import Sample
    from napari_colloids.refinement.block_state import BlockState
    from napari_colloids.refinement.grid import Box
    from napari_colloids.refinement.model import Model
    from napari_colloids.refinement.optics import Detector

    Image = NDArray[np.float32]

#: Rounds of the fit: the first is for the brightness alone, and in the second undetected particles are looked for.
_ROUNDS, _SEARCH_ROUND = 6, 1
#: Factor at most by which all brightnesses change in a round.
_MAX_SCALE = 2.0
#: Smallest standard deviation of the noise, in grey levels: that of the digitisation.
_MIN_NOISE = 12**-0.5
#: Differences of five neighbours along an axis: what a fit leaves of blurred spheres is smooth, and hardly in them.
_DIFFERENCE = np.array([1.0, -4.0, 6.0, -4.0, 1.0])
#: Median magnitude of a standard normal variable.
_MEDIAN_MAGNITUDE = 0.6745
#: Such differences that are needed, and how far from the limits of the grey levels, in standard deviations.
_MIN_DIFFERENCES, _FREE_SIGMAS = 500, 2.0


@dataclass(frozen=True, eq=False)
class SampleModel:
    """Image of a sample as spheres, optics and background make it.

    Attributes
    ----------
    model
        In voxels of the sample; its spheres are those found, then those that only the residual shows.
    box
        The voxels.
    found
        Shape ``(N,)``: row of each sphere in the table of the particles, -1 where only the residual shows it.
    light
        Image of the model in grey levels, without noise.
    limits
        Grey levels at which the camera cuts off, infinite where it does not.
    """

    model: Model
    box: Box
    found: NDArray[np.intp]
    light: Image
    limits: tuple[float, float]

    def with_spheres(self, spheres: Spheres) -> Image:
        """Return the image, without noise, of other spheres through the same optics."""
        return _light(replace(self.model, spheres=spheres), self.box)

    def noise(self, light: Image) -> Image:
        """Return the standard deviation of the noise at some light."""
        detector = self.model.detector
        return np.sqrt(np.maximum(detector.floor**2 + detector.gain * np.maximum(light, 0), _MIN_NOISE**2))

    def uncut(self, rng: np.random.Generator) -> Image:
        r"""Return grey levels as a camera without limits might have recorded them.

        Where the image is at a limit :math:`c`, the level is drawn from the normal distribution about the light
        :math:`I`, beyond :math:`c` (multiple imputation of censored values: Rubin 1987):
        :math:`x = I + \sigma \Phi^{-1}(u)`.
        """
        levels = self.box.image.copy()
        for limit, sign in zip(self.limits, (1.0, -1.0), strict=True):
            if not np.isfinite(limit):
                continue
            cut = sign * levels <= sign * limit
            light, noise = self.light[cut], self.noise(self.light[cut])
            beyond = ndtr(sign * (limit - light) / noise)
            drawn = light + sign * noise * ndtri(np.maximum(beyond * rng.uniform(size=len(light)), 1e-12))
            levels[cut] = np.where(sign * drawn < sign * limit, drawn, limit)
        return levels

    def recorded(self, levels: Image, like: NDArray[np.generic]) -> NDArray[np.generic]:
        """Return grey levels as the camera of the sample records them: cut off, and digitised like its image."""
        highest = 2 ** (8 * like.dtype.itemsize) - 1
        low, high = max(self.limits[0], 0), min(self.limits[1], highest)
        return np.rint(np.clip(levels, low, high)).astype(like.dtype)


def fitted_model(sample: Sample, found: pd.DataFrame, target: Measurement, diameter: float) -> SampleModel | str:
    """Fit positions, radii and brightness of all particles of a sample to its image.

    Parameters
    ----------
    sample
        Whose particles are bright.
    found
        Particles in it, above the threshold.
    target
        Optics and noise, which are held.
    diameter
        In lateral voxels.

    Returns
    -------
    SampleModel or str
        Why there is none, where that is so.
    """
    volume, aspect = sample.stack.volume(), sample.aspect
    positions, radii = positions_of(found), found["radius"].to_numpy(dtype=float)
    rows = distinct(positions, radii, aspect)
    detections = measured_before(volume, positions[rows], radii[rows], diameter, aspect, _facts(target, aspect))
    if isinstance(detections, str):
        return detections
    everywhere = Cell(np.full(3, -np.inf), np.full(3, np.inf))
    with single_threaded_blas():
        state = _fitted(initial_state(volume, detections, everywhere))
    grid, model = state.grid, state.model
    spheres = Spheres(
        grid.to_source(model.spheres.positions), model.spheres.radii * grid.bins[2], model.spheres.brightness
    )
    whole = Grid((1, 1, 1), sample.stack.shape, aspect)
    none = np.zeros(3, np.intp)
    box = whole.read(volume, none, np.array(whole.shape))
    common = detections.common.in_stack_voxels(grid)
    model = replace(model, spheres=spheres, optics=common.optics, detector=replace(common.detector, averaged=1))
    light, limits = _light(model, box), whole.limits(volume, none, np.array(whole.shape))
    model = replace(model, detector=_with_measured_noise(model.detector, box, light, limits))
    found_rows = np.where(state.source < 0, -1, rows[state.source])
    return SampleModel(model, box, found_rows, light, limits)


def _facts(target: Measurement, aspect: float) -> dict[str, object]:
    """Return a measurement as the facts of a refinement, whose PSF has the width of a voxel in it."""
    axial, lateral = target.psf_sigma
    return {
        "psf_sigma": (np.hypot(axial, aspect / 12**0.5), np.hypot(lateral, 12**-0.5)),
        "psf_tail": target.psf_tail,
        "psf_tilt": target.psf_tilt,
        "shell": target.shell,
        "polydispersity": max(target.polydispersity, 0.004),
        "background": target.background,
        "brightness": target.foreground - target.background,
        "brightness_spread": max(target.brightness_spread, 0.05),
        "noise_gain": target.gain,
        "noise_floor": target.floor,
    }


def _fitted(state: BlockState) -> BlockState:
    """Fit all spheres together; see `fit_block`, which ends sooner and accepts or declines each sphere."""
    margin = np.full((2, 3), SEARCH_MARGIN_RADII * state.priors.radius)
    for number in range(_ROUNDS):
        profile = state.model.profile(state.grid.aspect)
        prediction = state.model.predict(state.box, profile)
        if number == _SEARCH_ROUND:
            state = state.with_undetected(prediction, profile, margin)
            profile = state.model.profile(state.grid.aspect)
        equations = normal_equations(state.model, state.box, profile, prediction, [])
        priors = state.priors.recentred_outside(state.spheres, state.grid)
        first = number == 0
        model, moves, _ = gauss_newton_step(state.model, priors, equations, state.grid.aspect, brightness_only=first)
        model = _with_fitted_contrast(with_fitted_illumination(model, state.box), state.box)
        state = replace(state, model=model, moves=moves)
    return state


def _with_fitted_contrast(model: Model, box: Box) -> Model:
    """Return the model with the brightness of all spheres scaled by one factor, and one constant background added.

    The prior of each brightness is about that of its neighbours, so that in dim images all of them together take many
    rounds to get where the image wants them.
    """
    profile = model.profile(box.aspect)
    prediction = model.predict(box, profile)
    dark = replace(model.spheres, brightness=np.zeros(len(model.spheres)))
    spheres = prediction.light - replace(model, spheres=dark).predict(box, profile).light
    weight = prediction.root_weight
    columns = np.stack([(spheres * weight).ravel(), weight.ravel()]).astype(float)
    change, constant = np.linalg.lstsq(columns @ columns.T, columns @ prediction.residual.ravel(), rcond=None)[0]
    background = model.background.copy()
    background[0] += constant
    brightness = model.spheres.brightness * np.clip(1 + change, 1 / _MAX_SCALE, _MAX_SCALE)
    return replace(model, spheres=replace(model.spheres, brightness=brightness), background=background)


def _light(model: Model, box: Box) -> Image:
    return model.predict(box, model.profile(box.aspect)).light


def _with_measured_noise(detector: Detector, box: Box, light: Image, limits: tuple[float, float]) -> Detector:
    r"""Return the detector with the noise that neighbouring voxels show, which what a model misses is not part of.

    Of the residual over the noise :math:`\sigma` as it was measured, the differences :math:`\delta` of five neighbours
    along an axis have a standard deviation of :math:`\sqrt{70}` where the measurement is right:

    .. math:: \sigma' = \sigma \, \frac{\operatorname{median} |\delta|}{0.6745 \sqrt{70}}

    Of the three axes the least counts. Where the camera cuts off, nothing is measured.
    """
    noise = np.sqrt(detector.floor**2 + detector.gain * np.maximum(light, 0))
    residual = (box.image - light) / noise
    free = (light - _FREE_SIGMAS * noise > limits[0]) & (light + _FREE_SIGMAS * noise < limits[1])
    factors = []
    for axis in range(3):
        if light.shape[axis] < len(_DIFFERENCE):
            continue
        seen, within = (sliding_window_view(values, len(_DIFFERENCE), axis=axis) for values in (residual, free))
        differences = seen[within.all(axis=-1)] @ _DIFFERENCE
        if len(differences) >= _MIN_DIFFERENCES:
            factors.append(
                float(np.median(np.abs(differences))) / (_MEDIAN_MAGNITUDE * float(np.linalg.norm(_DIFFERENCE)))
            )
    factor = min(factors, default=1.0)
    return replace(detector, gain=detector.gain * factor**2, floor=detector.floor * factor)
