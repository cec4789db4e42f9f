"""One block: its particles and those around them, fitted together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter
from scipy.spatial import cKDTree

from napari_colloids.refinement.estimate import BEYOND, DOUBT, Estimate
from napari_colloids.refinement.fit import (
    RADIUS_DOUBT,
    Box,
    Model,
    Priors,
    View,
    advance,
    equations_of,
    usual_brightness,
    with_lamp,
    with_missed,
)
from napari_colloids.refinement.profile import REACH
from napari_colloids.refinement.slow import TERMS
from napari_colloids.refinement.spheres import Spheres, draw

if TYPE_CHECKING:
    from napari_colloids.refinement.blocks import Core
    from napari_colloids.refinement.equations import Equations
    from napari_colloids.refinement.grid import Grid
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
#: A centre that still moves by so much (in radii), or went this far from where the network has it, is not accepted;
#: but up to the second distance where a particle as bright as usual is, and no other.
_RESTLESS = 0.05
_ASTRAY = (0.5, 2.0)
_USUAL = (0.7, 1.4)
#: Spheres nearer to each other than this, in the sum of their radii, that are together less bright than this are one
#: particle that was found twice; and how often that is looked for.
_APART = 0.75
_ONE = 1.5
_SORTED = 2
_LAST = 1e9
#: Standard error over what was known before, from which on the image has told nothing.
_UNTOLD = 0.7
#: How many times less is known of the places of spheres outside the stack.
_UNSEEN = 4.0
#: Brightness, of the usual one, below which a detection explains nothing.
_NOTHING = 0.25
#: Correlation of neighbouring voxels of the residual from which it is no noise: the model is wrong there, and what was
#: added only mends it.
_PATTERN = 0.15


@dataclass(frozen=True, eq=False)
class Fitted:
    """The particles of a block after the fit, in voxels of the grid.

    Attributes
    ----------
    positions, radii
        Shapes ``(N, 3)`` and ``(N,)``.
    errors
        Shape ``(N, 4)``: standard errors of z, y, x and radius.
    accepted
        Whether the fit can be trusted.
    source
        Number of the detection; -1 where there was none.
    """

    positions: Array
    radii: Array
    errors: Array
    accepted: NDArray[np.bool_]
    source: NDArray[np.intp]

    @classmethod
    def joined(cls, parts: list[Fitted]) -> Fitted:
        """Return the particles of all parts."""
        names = ("positions", "radii", "errors", "accepted", "source")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def fit_block(volume: Any, grid: Grid, places: Array, sizes: Array, core: Core, known: Estimate) -> Fitted:
    """Fit the particles of a block.

    Parameters
    ----------
    volume
        The stack.
    grid
        Its grid.
    places, sizes
        Of all detections: positions ``(N, 3)`` in voxels of the grid, and radii.
    core
        What belongs to the block.
    known
        What is common to all particles.
    """
    source, box, model, priors = _begun(volume, grid, places, sizes, core, known)
    ends = box.low == 0, box.low + box.shape == grid.shape
    beyond = np.where(ends, BEYOND * known.radius, 0.0)
    for number in range(_ROUNDS):
        profile = model.profile(grid.aspect)
        view = model.view(box, profile)
        if number < _ROUNDS - 1:
            model, priors = with_missed(model, priors, box, view, profile, beyond)
        first = number == 0
        equations = equations_of(model, box, profile, view, [], derivatives=not first)
        model, moves, _ = advance(model, _loose(model, priors, grid), equations, grid.aspect, brightness_only=first)
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
    return _judged(model, priors, equations, moves, box, view, places, source, core, grid)


def _loose(model: Model, priors: Priors, grid: Grid) -> Priors:
    """Return what is expected of the spheres, with those outside the stack held where they are.

    A network has these too near, by up to a radius; a fit that is drawn there draws their neighbours with them.
    """
    outside = ~grid.inside(model.spheres.positions)
    return replace(priors, centres=np.where(outside[:, None], model.spheres.positions, priors.centres))


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
        some = _loose(part, priors.of(near), grid)
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
    first, second = cKDTree(places).query_pairs(2 * _APART * float(spheres.radii.max()), output_type="ndarray").T
    apart = np.linalg.norm(places[first] - places[second], axis=1)
    one = (bright[first] + bright[second] < _ONE) | np.isinf(went[first]) | np.isinf(went[second])
    one &= apart < _APART * (spheres.radii[first] + spheres.radii[second])
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


def residual_of_block(
    volume: Any, grid: Grid, places: Array, sizes: Array, core: Core, known: Estimate
) -> tuple[tuple[slice, slice, slice], Image]:
    """Return which voxels of the grid belong to a block, and what its particles leave of their grey levels.

    Centres and radii stay as they are; brightness and background are fitted.

    Parameters
    ----------
    volume, grid, places, sizes, core, known
        As in `fit_block`.
    """
    _, box, model, priors = _begun(volume, grid, places, sizes, core, known)
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


def _begun(
    volume: Any, grid: Grid, places: Array, sizes: Array, core: Core, known: Estimate
) -> tuple[NDArray[np.intp], Box, Model, Priors]:
    """Return the numbers of the detections that are fitted, the box they are seen in, and what is known of them."""
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


def _judged(
    model: Model,
    priors: Priors,
    equations: Equations,
    moves: Array,
    box: Box,
    view: View,
    places: Array,
    source: NDArray[np.intp],
    core: Core,
    grid: Grid,
) -> Fitted:
    """Return what belongs to the block, with errors and a verdict."""
    spheres, scale = model.spheres, np.array([grid.aspect, 1, 1])
    precision, pull = _loose(model, priors, grid).precision_and_pull(spheres)
    precision[~grid.inside(spheres.positions), 1:4] /= _UNSEEN**2
    shared = np.zeros(len(equations.shared))
    equations = equations.with_priors(precision, pull, shared, shared)
    deviations = np.sqrt(np.einsum("nii->ni", equations.covariances()))[:, 1:]
    told = (deviations[:, :3] < _UNTOLD * priors.doubt).all(axis=1)
    deviations *= _excess(view, box, spheres, grid)[:, None]
    bright = spheres.brightness / usual_brightness(spheres)
    given = np.where(source[:, None] < 0, spheres.positions, places[source])
    went = np.linalg.norm((spheres.positions - given) * scale, axis=1)
    tree = cKDTree(spheres.positions * scale)
    alone = tree.query(spheres.positions * scale, 2)[0][:, 1] > 2 * _APART * spheres.radii
    alone &= (bright > _USUAL[0]) & (bright < _USUAL[1])
    moved, error = (np.linalg.norm(length * scale, axis=1) for length in (moves, deviations[:, :3]))
    accepted = np.isfinite(deviations).all(axis=1) & told & (bright > _NOTHING)
    accepted &= went < np.where(alone, _ASTRAY[1], _ASTRAY[0]) * spheres.radii
    accepted &= moved < np.maximum(_RESTLESS * spheres.radii, error)
    accepted &= (deviations[:, :3] * scale < _ASTRAY[0] * spheres.radii[:, None]).all(axis=1)
    # Where the model does not fit, a sphere that was added may only mend it, and have taken the light of a detection;
    # and one from outside the stack may have been drawn in.
    fits = _pattern(view, box, spheres, grid) < _PATTERN
    accepted &= fits | ((source >= 0) & grid.inside(given))
    mine = core.holds(given) & ((source >= 0) | (accepted & grid.inside(spheres.positions)))
    # A detection that explains no light, or lies in an accepted sphere, is none; one that the fit cannot place may
    # still be one.
    free = np.ones(len(spheres), bool)
    if accepted.any():
        free = cKDTree(spheres.positions[accepted] * scale).query(given * scale)[0] > spheres.radii
    mine &= ((bright > _NOTHING) & (accepted | free)) | ~fits | (source < 0) | ~grid.inside(given)
    return Fitted(spheres.positions[mine], spheres.radii[mine], deviations[mine], accepted[mine], source[mine])


def _excess(view: View, box: Box, spheres: Spheres, grid: Grid) -> Array:
    """Return how much larger the residual around each sphere is than the noise: what the model does not know of."""
    share = np.maximum(_around(box.known, box, spheres, grid), 0.1)
    return np.sqrt(np.maximum(_around(view.residual**2, box, spheres, grid) / share, 1))


def _pattern(view: View, box: Box, spheres: Spheres, grid: Grid) -> Array:
    """Return how much neighbouring voxels of the residual around each sphere are alike: 0 for noise, 1 for light."""
    residual = view.residual * box.known
    together = np.zeros_like(residual)
    for axis in range(3):
        along = np.moveaxis(residual, axis, 0)
        np.moveaxis(together, axis, 0)[1:] += along[1:] * along[:-1] / 3
    power = np.maximum(_around(residual**2, box, spheres, grid), 1e-12)
    return _around(together, box, spheres, grid) / power


def _around(voxels: Image, box: Box, spheres: Spheres, grid: Grid) -> Array:
    """Return the mean of some quantity over the voxels within about a radius of each sphere."""
    size = tuple(max(int(2 * float(np.median(spheres.radii)) / s), 1) for s in (grid.aspect, 1, 1))
    index = np.clip(np.rint(spheres.positions - box.low).astype(int), 0, np.array(box.shape) - 1)
    return np.asarray(uniform_filter(voxels, size, mode="nearest")[tuple(index.T)], float)
