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
#: Rounds of all particles (the first is for the brightness alone), those in which missed ones are looked for, and
#: rounds at most of the particles that still move by more than this (in radii).
_ROUNDS = 6
_LOOK = (1, 2, 3)
_LAST_ROUNDS = 5
_STILL = 0.01
#: A centre that still moves by so much (in radii), or went this far from where the network has it, is not accepted.
_RESTLESS = 0.05
_ASTRAY = 0.5
#: Brightness, of the usual one, below which a detection explains nothing.
_NOTHING = 0.25


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


def fit_block(
    volume: Any, grid: Grid, places: Array, sizes: Array, core: Core, known: Estimate, threads: int = 1
) -> Fitted:
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
    threads
        How many work at it.
    """
    numbers, box, model, priors = _begun(volume, grid, places, sizes, core, known)
    for number in range(_ROUNDS):
        profile = model.profile(grid.aspect)
        view = model.view(box, profile)
        if number in _LOOK:
            model, priors = with_missed(model, priors, box, view, profile, BEYOND * known.radius)
        first = number == 0
        equations = equations_of(model, box, profile, view, [], derivatives=not first, threads=threads)
        model, moves, _ = advance(model, priors, equations, grid.aspect, brightness_only=first)
        model = with_lamp(model, box)
    model, moves = _settled(model, priors, moves, box, threads)
    return _judged(model, priors, equations, moves, box, view, numbers, core, grid)


def _settled(model: Model, priors: Priors, moves: Array, box: Box, threads: int) -> tuple[Model, Array]:
    """Go on with those alone that have not come to rest, and what they overlap with; returns everybody's last move."""
    scale = np.array([box.aspect, 1, 1])
    for _ in range(_LAST_ROUNDS):
        spheres = model.spheres
        restless = np.abs(moves * scale).max(axis=1) > _STILL * spheres.radii
        if not restless.any():
            break
        reach = 2 * float(spheres.radii.max())
        near = cKDTree(spheres.positions[restless] * scale).query(spheres.positions * scale)[0] < reach
        still = replace(model, spheres=spheres[~near])
        profile = model.profile(box.aspect)
        others = model.others + draw(still.spheres, profile, box.low, box.shape)
        part = replace(model, spheres=spheres[near], others=others)
        some = priors.of(near)
        view = part.view(box, profile)
        part, moved, _ = advance(part, some, equations_of(part, box, profile, view, [], threads=threads), box.aspect)
        moves = np.zeros_like(moves)
        moves[near] = moved
        model = replace(model, spheres=spheres.with_part(near, part.spheres), background=part.background)
    return model, moves


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
    numbers: NDArray[np.intp],
    core: Core,
    grid: Grid,
) -> Fitted:
    """Return what belongs to the block, with errors and a verdict."""
    spheres, scale = model.spheres, np.array([grid.aspect, 1, 1])
    precision, pull = priors.precision_and_pull(spheres)
    shared = np.zeros(len(equations.shared))
    equations = equations.with_priors(precision, pull, shared, shared)
    deviations = np.sqrt(np.einsum("nii->ni", equations.covariances()))
    deviations *= _excess(view, box, spheres, grid)[:, None]
    bright = spheres.brightness / usual_brightness(spheres)
    source = np.append(numbers, np.full(len(spheres) - len(numbers), -1))
    went = np.linalg.norm((spheres.positions - priors.centres) * scale, axis=1)
    accepted = np.isfinite(deviations).all(axis=1) & (bright > _NOTHING)
    accepted &= (went < _ASTRAY * spheres.radii) | (source < 0)
    accepted &= np.linalg.norm(moves * scale, axis=1) < _RESTLESS * spheres.radii
    accepted &= (deviations[:, 1:4] * scale < _ASTRAY * spheres.radii[:, None]).all(axis=1)
    owner = np.where(source[:, None] < 0, spheres.positions, priors.centres)
    mine = core.holds(owner) & ((source >= 0) | (accepted & grid.inside(spheres.positions)))
    # A detection that explains no light is none; one that the fit cannot place may still be one.
    mine &= (bright > _NOTHING) | (source < 0) | ~grid.inside(priors.centres)
    return Fitted(spheres.positions[mine], spheres.radii[mine], deviations[mine, 1:], accepted[mine], source[mine])


def _excess(view: View, box: Box, spheres: Spheres, grid: Grid) -> Array:
    """Return how much larger the residual around each sphere is than the noise: what the model does not know of."""
    size = tuple(max(int(2 * float(np.median(spheres.radii)) / s), 1) for s in (grid.aspect, 1, 1))
    squares = uniform_filter(view.residual**2, size, mode="nearest")
    share = np.maximum(uniform_filter(box.known, size, mode="nearest"), 0.1)
    index = np.clip(np.rint(spheres.positions - box.low).astype(int), 0, np.array(box.shape) - 1)
    return np.asarray(np.sqrt(np.maximum((squares / share)[tuple(index.T)], 1)))
