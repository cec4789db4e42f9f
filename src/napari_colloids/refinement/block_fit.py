"""Fit of one block: the spheres of a cell of the partition together with those around it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_colloids.refinement.acceptance import FinishedBlock, FittedParticles, accepted_particles
from napari_colloids.refinement.block_state import BlockState
from napari_colloids.refinement.duplicates import find_duplicates, without_duplicates
from napari_colloids.refinement.gauss_newton import gauss_newton_step, linearised, normal_equations
from napari_colloids.refinement.illumination import with_fitted_illumination
from napari_colloids.refinement.model import Model
from napari_colloids.refinement.polynomials import N_TERMS
from napari_colloids.refinement.priors import CENTRE_DEVIATION_RADII, RADIUS_DEVIATION, Priors
from napari_colloids.refinement.profile import REACH
from napari_colloids.refinement.residual_search import SEARCH_MARGIN_RADII
from napari_colloids.refinement.spheres import Spheres, draw

if TYPE_CHECKING:
    from napari_colloids.refinement.global_parameters import GlobalParameters
    from napari_colloids.refinement.grid import Grid
    from napari_colloids.refinement.partition import Cell
    from napari_colloids.refinement.spheres import Image
    from napari_colloids.volumes import Volume

Array = NDArray[np.float64]

#: How far around a cell particles are fitted with it, in mean diameters.
_MARGIN_DIAMETERS = 1.0
#: Room for radii to grow, relative, when the box around a block is chosen.
_RADIUS_MARGIN = 1.1
#: Rounds of all particles: at least and at most, and the fraction of spheres that still move at which they end. The
#: first is for the brightness alone.
_MIN_ROUNDS, _MAX_ROUNDS = 4, 7
_MAX_RESTLESS_FRACTION = 0.1
#: The last round in which undetected particles are looked for and derivatives are taken anew, unless more than a
#: fraction of the spheres has just been added: later steps are short, so that the derivatives of before do (the
#: simplified Newton method).
_LAST_LINEARISED_ROUND = 2
_MAX_ADDED_FRACTION = 0.01
#: Rounds at most of the spheres alone that still move.
_MAX_RESTLESS_ROUNDS = 5
#: Times at most that duplicates are looked for.
_MAX_DUPLICATE_SEARCHES = 2
#: Rounds of a fit of the brightness alone.
_BRIGHTNESS_ROUNDS = 2


@dataclass(frozen=True, eq=False)
class Detections:
    """All detections of a stack, as the fit starts from them.

    Attributes
    ----------
    grid
        Of the stack.
    positions, radii
        Shape ``(N, 3)`` in voxels of the grid, and ``(N,)`` in its lateral voxels.
    common
        Parameters that all particles share.
    points
        Whether the particles are no larger than the PSF: their radii, in agreement with the optics, are not known.
    """

    grid: Grid
    positions: Array
    radii: Array
    common: GlobalParameters
    points: bool = False


def fit_block(volume: Volume, detections: Detections, cell: Cell) -> FittedParticles:
    """Fit the particles of a block.

    Parameters
    ----------
    volume
        The stack.
    detections
        All detections in it.
    cell
        Part of space that the block owns.
    """
    state = initial_state(volume, detections, cell)
    faces = state.box.low == 0, state.box.low + state.box.shape == state.grid.shape
    margin = np.where(faces, SEARCH_MARGIN_RADII * detections.common.radius, 0.0)
    added = 0
    for number in range(_MAX_ROUNDS):
        profile = state.model.profile(state.grid.aspect)
        prediction = state.model.predict(state.box, profile)
        if linearise := number <= _LAST_LINEARISED_ROUND or added > _MAX_ADDED_FRACTION * len(state.spheres):
            before = len(state.spheres)
            state = state.with_undetected(prediction, profile, margin)
            added = len(state.spheres) - before
        first = number == 0
        if linearise:
            jacobian = linearised(state.model, state.box, profile, prediction, [], derivatives=not first)
            equations = jacobian.normal_equations(prediction.residual)
        else:
            equations = equations.with_gradient(*jacobian.gradient(prediction.residual))
        priors = state.priors.recentred_outside(state.spheres, state.grid)
        model, moves, _ = gauss_newton_step(state.model, priors, equations, state.grid.aspect, brightness_only=first)
        state = replace(state, model=with_fitted_illumination(model, state.box), moves=moves)
        if number >= _MIN_ROUNDS and state.restless.mean() < _MAX_RESTLESS_FRACTION:
            break
    state = _settled(state)
    for _ in range(_MAX_DUPLICATE_SEARCHES):
        duplicates = find_duplicates(state)
        if not duplicates.any():
            break
        state = _settled(without_duplicates(state, duplicates, margin))
        profile = state.model.profile(state.grid.aspect)
        prediction = state.model.predict(state.box, profile)
        equations = normal_equations(state.model, state.box, profile, prediction, [])
    from_residual = state.source[:, None] < 0
    detected = np.where(from_residual, state.spheres.positions, detections.positions[state.source])
    return accepted_particles(FinishedBlock(state, equations, prediction, detected), cell)


def _settled(state: BlockState) -> BlockState:
    """Continue with only the spheres that have not converged, and those that they overlap with."""
    if not state.restless.any():
        return state
    grid, box, scale = state.grid, state.box, state.grid.scale
    profile = state.model.profile(box.aspect)
    light = draw(state.spheres, profile, box.low, box.shape)
    for _ in range(_MAX_RESTLESS_ROUNDS):
        spheres, restless = state.spheres, state.restless
        if not restless.any():
            break
        reach = 2 * float(spheres.radii.max())
        near = cKDTree(spheres.positions[restless] * scale).query(spheres.positions * scale)[0] < reach
        # To subtract the few that move is less work than to draw the many that rest.
        rest = light - draw(spheres[near], profile, box.low, box.shape)
        part = replace(state.model, spheres=spheres[near], fixed_light=state.model.fixed_light + rest)
        priors = state.priors[near].recentred_outside(part.spheres, grid)
        equations = normal_equations(part, box, profile, part.predict(box, profile), [])
        part, moved, _ = gauss_newton_step(part, priors, equations, box.aspect)
        moves = np.zeros_like(state.moves)
        moves[near] = moved
        light = rest + draw(part.spheres, profile, box.low, box.shape)
        spheres = spheres.with_part(near, part.spheres)
        state = replace(state, model=replace(state.model, spheres=spheres, background=part.background), moves=moves)
    return state


def residual_of_block(volume: Volume, detections: Detections, cell: Cell) -> tuple[tuple[slice, slice, slice], Image]:
    """Return the voxels of the grid in a cell, and the residual there in grey levels.

    Centres and radii stay as they are; brightness and background are fitted.

    Parameters
    ----------
    volume, detections, cell
        As in `fit_block`.
    """
    state = initial_state(volume, detections, cell)
    box, priors, aspect = state.box, state.priors, state.grid.aspect
    model = replace(state.model, spheres=replace(state.spheres, positions=priors.centres, radii=priors.radii))
    for _ in range(_BRIGHTNESS_ROUNDS):
        profile = model.profile(aspect)
        equations = normal_equations(model, box, profile, model.predict(box, profile), [])
        model, _, _ = gauss_newton_step(model, priors, equations, aspect, brightness_only=True)
        model = with_fitted_illumination(model, box)
    prediction = model.predict(box, model.profile(aspect))
    residual = (box.image - model.detector.response(prediction.light).expected) * box.known
    first = np.clip(np.ceil(cell.low), box.low, box.low + box.shape).astype(int)
    last = np.clip(np.ceil(cell.high), first, box.low + box.shape).astype(int)
    return _slices(first, last), residual[_slices(first - box.low, last - box.low)].astype(np.float32)


def _slices(first: NDArray[np.int_], last: NDArray[np.int_]) -> tuple[slice, slice, slice]:
    z, y, x = (slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
    return z, y, x


def initial_state(volume: Volume, detections: Detections, cell: Cell) -> BlockState:
    """Read the box around a block, and start its spheres at the detections.

    Parameters
    ----------
    volume, detections, cell
        As in `fit_block`.
    """
    grid, positions, common = detections.grid, detections.positions, detections.common
    scale = grid.scale
    free = cell.contains(positions, 2 * _MARGIN_DIAMETERS * common.radius / scale)
    widths = np.array([common.optics.psf_sigma[i] for i in (0, 1, 1)])
    window = (float(detections.radii[free].max()) * _RADIUS_MARGIN + REACH * widths) / scale
    low = np.clip(np.floor(positions[free].min(axis=0) - window), 0, np.array(grid.shape) - 1).astype(int)
    high = np.clip(np.ceil(positions[free].max(axis=0) + window) + 1, low + 1, grid.shape).astype(int)
    box = grid.read(volume, low, high)
    fixed = ~free & np.all((positions > low - window) & (positions < high + window), axis=1)
    shared, own = 1 / common.polydispersity**2, 1 / RADIUS_DEVIATION**2
    radii = (shared * common.radius + own * detections.radii) / (shared + own)
    spheres = Spheres(positions, radii, np.full(len(positions), common.brightness))
    even = np.zeros(N_TERMS - 1)
    model = Model(spheres[free], common.optics, common.detector, np.append(common.background, even), even)
    if fixed.any():
        others = replace(model, spheres=spheres[fixed])
        light = draw(others.spheres, others.profile(box.aspect), box.low, box.shape)
        model = replace(model, fixed_light=light)
    priors = Priors(
        positions[free],
        CENTRE_DEVIATION_RADII * common.radius / scale,
        detections.radii[free],
        common.radius,
        common.polydispersity,
        common.brightness_spread,
    )
    return BlockState(grid, box, model, priors, np.flatnonzero(free), np.zeros((int(free.sum()), 3)))
