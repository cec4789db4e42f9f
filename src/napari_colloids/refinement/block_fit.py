"""One block: its particles and those around them, fitted together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_colloids.refinement.acceptance import APART, FinishedBlock, Fitted, judged
from napari_colloids.refinement.fit import (
    RADIUS_DOUBT,
    Box,
    Model,
    Priors,
    advance,
    equations_of,
    usual_brightness,
    with_lamp,
    with_missed,
)
from napari_colloids.refinement.global_fit import BEYOND, DOUBT, Estimate
from napari_colloids.refinement.polynomials import TERMS
from napari_colloids.refinement.profile import REACH
from napari_colloids.refinement.spheres import Spheres, draw

if TYPE_CHECKING:
    from napari_colloids.refinement.grid import Grid
    from napari_colloids.refinement.partition import Core
    from napari_colloids.refinement.spheres import Image

Array = NDArray[np.float64]

#: How far around a block particles are fitted with it, in mean diameters.
_AROUND = 1.0
#: Room for radii to grow, and rounds of a fit of nothing but the brightness.
_SWELLING = 1.1
_BRIGHTNESS_ROUNDS = 2
#: Rounds of all particles (the first is for the brightness alone; missed ones are looked for in all but the last): at
#: least and at most, and the share of restless ones at which they end.
_LEAST_ROUNDS, _ROUNDS = 4, 7
_FEW = 0.1
#: Rounds at most of the restless alone: those that still move by more than this (in radii).
_LAST_ROUNDS = 5
_STILL = 0.01
#: Spheres that are together less bright than this, and nearer than `APART`, are one particle that was found twice; and
#: how often that is looked for.
_ONE = 1.5
_SORTED = 2
_LAST = 1e9


@dataclass(frozen=True, eq=False)
class Detections:
    """What the fit begins with.

    Attributes
    ----------
    grid
        Of the stack.
    places, sizes
        Of all detections: positions ``(N, 3)`` in voxels of the grid, and radii ``(N,)``.
    known
        What is common to all particles.
    """

    grid: Grid
    places: Array
    sizes: Array
    known: Estimate


def fit_block(volume: Any, found: Detections, core: Core) -> Fitted:
    """Fit the particles of a block.

    Parameters
    ----------
    volume
        The stack.
    found
        All detections in it.
    core
        What belongs to the block.
    """
    grid = found.grid
    source, box, model, priors = _begun(volume, found, core)
    ends = box.low == 0, box.low + box.shape == grid.shape
    beyond = np.where(ends, BEYOND * found.known.radius, 0.0)
    for number in range(_ROUNDS):
        profile = model.profile(grid.aspect)
        view = model.view(box, profile)
        if number < _ROUNDS - 1:
            model, priors = with_missed(model, priors, box, view, profile, beyond)
        first = number == 0
        equations = equations_of(model, box, profile, view, [], derivatives=not first)
        held = priors.outside_held(model.spheres, grid)
        model, moves, _ = advance(model, held, equations, grid.aspect, brightness_only=first)
        model = with_lamp(model, box)
        if number >= _LEAST_ROUNDS and _restless(model, moves, box).mean() < _FEW:
            break
    source = _extended(source, model)
    model, moves = _settled(model, priors, moves, box, grid)
    for _ in range(_SORTED):
        twice = _found_twice(model, priors, source, grid)
        if not twice.any():
            break
        model, priors, source, moves = _without(twice, model, priors, source, moves, box, beyond)
        model, moves = _settled(model, priors, moves, box, grid)
        profile = model.profile(grid.aspect)
        view = model.view(box, profile)
        equations = equations_of(model, box, profile, view, [])
    given = np.where(source[:, None] < 0, model.spheres.positions, found.places[source])
    return judged(FinishedBlock(model, priors, equations, view, box, grid, moves, given, source), core)


def _extended(source: NDArray[np.intp], model: Model) -> NDArray[np.intp]:
    """Return the numbers of the detections that the spheres come from, -1 for those that were added."""
    return np.append(source, np.full(len(model.spheres) - len(source), -1))


def _restless(model: Model, moves: Array, box: Box) -> NDArray[np.bool_]:
    """Return which spheres have not come to rest."""
    return np.asarray(np.abs(moves * [box.aspect, 1, 1]).max(axis=1) > _STILL * model.spheres.radii)


def _settled(model: Model, priors: Priors, moves: Array, box: Box, grid: Grid) -> tuple[Model, Array]:
    """Go on with those alone that have not come to rest, and what they overlap with; returns everybody's last move."""
    scale = np.array([box.aspect, 1, 1])
    if not _restless(model, moves, box).any():
        return model, moves
    profile = model.profile(box.aspect)
    every = draw(model.spheres, profile, box.low, box.shape)
    for _ in range(_LAST_ROUNDS):
        spheres, restless = model.spheres, _restless(model, moves, box)
        if not restless.any():
            break
        reach = 2 * float(spheres.radii.max())
        near = cKDTree(spheres.positions[restless] * scale).query(spheres.positions * scale)[0] < reach
        # The few that move are taken out of all, which is less work than to draw the many that rest.
        rest = every - draw(spheres[near], profile, box.low, box.shape)
        part = replace(model, spheres=spheres[near], others=model.others + rest)
        some = priors.of(near).outside_held(part.spheres, grid)
        view = part.view(box, profile)
        part, moved, _ = advance(part, some, equations_of(part, box, profile, view, []), box.aspect)
        moves = np.zeros_like(moves)
        moves[near] = moved
        every = rest + draw(part.spheres, profile, box.low, box.shape)
        model = replace(model, spheres=spheres.with_part(near, part.spheres), background=part.background)
    return model, moves


def _found_twice(model: Model, priors: Priors, source: NDArray[np.intp], grid: Grid) -> NDArray[np.bool_]:
    """Return which spheres share the light of one particle with another that has the better right to it.

    That is the one which went less far from where it was found; what was added has none, and outside the stack it does
    not even take up room.
    """
    spheres, scale = model.spheres, np.array([grid.aspect, 1, 1])
    places = spheres.positions * scale
    bright = spheres.brightness / usual_brightness(spheres)
    inside = grid.inside(spheres.positions)
    went = np.linalg.norm(places - priors.centres * scale, axis=1)
    went[source < 0] = np.where(inside[source < 0], _LAST, np.inf)
    twice = np.zeros(len(spheres), bool)
    first, second = cKDTree(places).query_pairs(2 * APART * float(spheres.radii.max()), output_type="ndarray").T
    apart = np.linalg.norm(places[first] - places[second], axis=1)
    one = (bright[first] + bright[second] < _ONE) | np.isinf(went[first]) | np.isinf(went[second])
    one &= apart < APART * (spheres.radii[first] + spheres.radii[second])
    one &= inside[first] | inside[second]
    for a, b in zip(first[one], second[one], strict=True):
        if not (twice[a] or twice[b]):
            twice[a if went[a] > went[b] else b] = True
    return twice


def _without(
    out: NDArray[np.bool_],
    model: Model,
    priors: Priors,
    source: NDArray[np.intp],
    moves: Array,
    box: Box,
    beyond: Array,
) -> tuple[Model, Priors, NDArray[np.intp], Array]:
    """Take spheres out of the model and look for others in what it leaves; those nearby have to be fitted again.

    A detection that is out goes on as the sphere that is found within a diameter of it, if there is one.
    """
    scale = np.array([box.aspect, 1, 1])
    reach = 2 * float(model.spheres.radii.max())
    gone, given, lost = model.spheres.positions[out], priors.centres[out], source[out]
    model, priors = replace(model, spheres=model.spheres[~out]), priors.of(~out)
    profile = model.profile(box.aspect)
    count = len(model.spheres)
    model, priors = with_missed(model, priors, box, model.view(box, profile), profile, beyond)
    places = model.spheres.positions
    source = _extended(source[~out], model)
    for place, number in zip(given[lost >= 0], lost[lost >= 0], strict=True):
        away = np.linalg.norm((places - place) * scale, axis=1)
        away[:count] = np.inf
        away[source >= 0] = np.inf
        if away.min() < reach:
            source[away.argmin()] = number
    changed = cKDTree(np.concatenate([gone, places[count:]]) * scale).query(places * scale)[0] < reach
    moves = np.concatenate([moves[~out], np.zeros((len(places) - count, 3))])
    return model, priors, source, np.where(changed[:, None], np.inf, moves)


def residual_of_block(volume: Any, found: Detections, core: Core) -> tuple[tuple[slice, slice, slice], Image]:
    """Return which voxels of the grid belong to a block, and what its particles leave of their grey levels.

    Centres and radii stay as they are; brightness and background are fitted.

    Parameters
    ----------
    volume, found, core
        As in `fit_block`.
    """
    grid = found.grid
    _, box, model, priors = _begun(volume, found, core)
    model = replace(model, spheres=replace(model.spheres, positions=priors.centres, radii=priors.radii))
    for _ in range(_BRIGHTNESS_ROUNDS):
        profile = model.profile(grid.aspect)
        equations = equations_of(model, box, profile, model.view(box, profile), [])
        model, _, _ = advance(model, priors, equations, grid.aspect, brightness_only=True)
        model = with_lamp(model, box)
    view = model.view(box, model.profile(grid.aspect))
    left = (box.image - model.detector.see(view.light).expected) * box.known
    first = np.clip(np.ceil(core.low), box.low, box.low + box.shape).astype(int)
    last = np.clip(np.ceil(core.high), first, box.low + box.shape).astype(int)
    voxels = tuple(slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
    part = tuple(slice(int(a), int(b)) for a, b in zip(first - box.low, last - box.low, strict=True))
    return voxels, left[part].astype(np.float32)  # type: ignore[return-value]


def _begun(volume: Any, found: Detections, core: Core) -> tuple[NDArray[np.intp], Box, Model, Priors]:
    """Return the numbers of the detections that are fitted, the box they are seen in, and what is known of them."""
    grid, places, sizes, known = found.grid, found.places, found.sizes, found.known
    scale = np.array([grid.aspect, 1, 1])
    free = core.holds(places, 2 * _AROUND * known.radius / scale)
    widths = np.array([known.optics.psf_sigma[i] for i in (0, 1, 1)])
    window = (float(sizes[free].max()) * _SWELLING + REACH * widths) / scale
    low = np.clip(np.floor(places[free].min(axis=0) - window), 0, np.array(grid.shape) - 1).astype(int)
    high = np.clip(np.ceil(places[free].max(axis=0) + window) + 1, low + 1, grid.shape).astype(int)
    box = grid.read(volume, low, high)
    fixed = ~free & np.all((places > low - window) & (places < high + window), axis=1)
    alike, guessed = 1 / known.polydispersity**2, 1 / RADIUS_DOUBT**2
    radii = (alike * known.radius + guessed * sizes) / (alike + guessed)
    spheres = Spheres(places, radii, np.full(len(places), known.brightness))
    background = np.array([known.background, *[0.0] * (TERMS - 1)])
    model = Model(spheres[free], known.optics, known.detector, background, lamp=np.zeros(TERMS - 1))
    if fixed.any():
        others = replace(model, spheres=spheres[fixed])
        model = replace(model, others=draw(others.spheres, others.profile(box.aspect), box.low, box.shape))
    doubt = DOUBT * known.radius / scale
    priors = Priors(places[free], doubt, sizes[free], known.radius, known.polydispersity, known.brightness_spread)
    return np.flatnonzero(free), box, model, priors
