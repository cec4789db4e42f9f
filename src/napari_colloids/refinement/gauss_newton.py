"""Gauss-Newton steps of the maximum a posteriori fit of all spheres and the background of a box."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_colloids.refinement.equations import Jacobian, NormalEquations
from napari_colloids.refinement.spheres import Spheres

if TYPE_CHECKING:
    from napari_colloids.refinement.grid import Box
    from napari_colloids.refinement.model import Model, Prediction
    from napari_colloids.refinement.priors import Priors
    from napari_colloids.refinement.profile import Profile
    from napari_colloids.refinement.spheres import Array, Image

#: Longest step of a centre and of a radius, in radii.
_MAX_MOVE_RADII = 0.15
_MAX_RADIUS_CHANGE = 0.08
#: Longest step of the background, over the median brightness. Below the lowest grey level all backgrounds look alike,
#: and nothing else would end a step from there.
_MAX_BACKGROUND_STEP = 1.0
#: Smallest brightness of a sphere, over the median.
_MIN_RELATIVE_BRIGHTNESS = 0.02
#: Precision of parameters that are held fixed.
_FIXED = 1e9


class Step(NamedTuple):
    """Outcome of a Gauss-Newton step.

    Attributes
    ----------
    model
        After the step.
    moves
        How far each centre went, shape ``(N, 3)`` in voxels.
    changes
        Steps of the further shared parameters, shape ``(K,)``.
    """

    model: Model
    moves: Array
    changes: Array


@dataclass(frozen=True, eq=False)
class SharedPriors:
    """Normal priors of the parameters that all spheres share, beside the background.

    Attributes
    ----------
    precision, gradient
        Precision of each and gradient of the log prior, shape ``(K,)``.
    """

    precision: Array
    gradient: Array


def linearised(
    model: Model,
    box: Box,
    profile: Profile,
    prediction: Prediction,
    shared: list[Image],
    *,
    derivatives: bool = True,
) -> Jacobian:
    """Return the derivatives with respect to the spheres, the background and further parameters that all share.

    Parameters
    ----------
    model, box, profile, prediction
        Where the derivatives are taken.
    shared
        Derivatives of the light with respect to each of the further parameters.
    derivatives
        False leaves out all parameters of the spheres but the brightness; see `Jacobian.at`.
    """
    weight = prediction.root_weight * prediction.illumination * np.float32(1 - model.optics.psf_tail)
    columns = [prediction.root_weight * column for column in shared]
    return Jacobian.at(
        model.spheres, profile, box.basis, weight, prediction.root_weight, columns, derivatives=derivatives
    )


def normal_equations(
    model: Model,
    box: Box,
    profile: Profile,
    prediction: Prediction,
    shared: list[Image],
    *,
    derivatives: bool = True,
) -> NormalEquations:
    """Return the normal equations of the parameters of `linearised`, which has the same arguments."""
    jacobian = linearised(model, box, profile, prediction, shared, derivatives=derivatives)
    return jacobian.normal_equations(prediction.residual)


def gauss_newton_step(
    model: Model,
    priors: Priors,
    equations: NormalEquations,
    aspect: float,
    *,
    brightness_only: bool = False,
    shared_priors: SharedPriors | None = None,
) -> Step:
    """Take one Gauss-Newton step, of limited length.

    Parameters
    ----------
    model, priors, equations
        At the present parameters.
    aspect
        Height of a voxel over its width.
    brightness_only
        Whether centres and radii are held fixed.
    shared_priors
        Of the further shared parameters, where there are any.
    """
    spheres, count = model.spheres, len(model.background)
    precision, gradient = priors.precision_and_gradient(spheres)
    if brightness_only:
        precision[:, 1:], gradient[:, 1:] = _FIXED, 0.0
    shared_priors = shared_priors or SharedPriors(np.zeros(0), np.zeros(0))
    flat = np.zeros(count)
    posterior = equations.with_priors(
        precision, gradient, np.append(flat, shared_priors.precision), np.append(flat, shared_priors.gradient)
    )
    changes, shared = posterior.solve()
    usual = float(np.median(np.maximum(spheres.brightness, 0)))
    longest = _MAX_MOVE_RADII * spheres.radii[:, None] / np.array([aspect, 1, 1])
    moves = np.clip(changes[:, 1:4], -longest, longest)
    growth = np.clip(changes[:, 4], -_MAX_RADIUS_CHANGE * spheres.radii, _MAX_RADIUS_CHANGE * spheres.radii)
    brightness = np.maximum(spheres.brightness + changes[:, 0], _MIN_RELATIVE_BRIGHTNESS * usual)
    background = model.background + np.clip(shared[:count], -_MAX_BACKGROUND_STEP * usual, _MAX_BACKGROUND_STEP * usual)
    moved = Spheres(spheres.positions + moves, spheres.radii + growth, brightness)
    return Step(replace(model, spheres=moved, background=background), moves, shared[count:])
