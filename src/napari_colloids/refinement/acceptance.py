"""Which spheres of a fitted block are particles, how well they are known, and which belong to the block."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter
from scipy.spatial import cKDTree

from napari_colloids.refinement.fit import usual_brightness

if TYPE_CHECKING:
    from napari_colloids.refinement.equations import Equations
    from napari_colloids.refinement.fit import Box, Model, Priors, View
    from napari_colloids.refinement.grid import Grid
    from napari_colloids.refinement.partition import Core
    from napari_colloids.refinement.spheres import Image, Spheres

Array = NDArray[np.float64]

#: Spheres nearer to each other than this, in the sum of their radii, may be one particle that was found twice.
APART = 0.75
#: A centre that still moves by so much (in radii), or went this far from where the network has it, is not accepted;
#: but up to the second distance where a particle as bright as usual is, and no other.
_RESTLESS = 0.05
_ASTRAY = (0.5, 2.0)
_USUAL = (0.7, 1.4)
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


@dataclass(frozen=True, eq=False)
class FinishedBlock:
    """How the fit of a block ended.

    Attributes
    ----------
    model, priors, equations, view
        Of the spheres of the block and those around it.
    box
        Where they are seen.
    grid
        Of the stack.
    moves
        How far each sphere went in the last round, shape ``(N, 3)``.
    given
        Where each was detected, shape ``(N, 3)`` in voxels of the grid; where it is now if it was added.
    source
        Number of the detection of each, shape ``(N,)``; -1 where there was none.
    """

    model: Model
    priors: Priors
    equations: Equations
    view: View
    box: Box
    grid: Grid
    moves: Array
    given: Array
    source: NDArray[np.intp]

    @property
    def spheres(self) -> Spheres:
        """Those of the block and those around it."""
        return self.model.spheres

    @property
    def scale(self) -> Array:
        """Factors that make lengths along z, y, x isotropic."""
        return np.array([self.grid.aspect, 1, 1])

    @cached_property
    def bright(self) -> Array:
        """Brightness of each sphere over the usual one."""
        return self.spheres.brightness / usual_brightness(self.spheres)

    @cached_property
    def fits(self) -> NDArray[np.bool_]:
        """Whether what the model leaves over around each sphere is noise."""
        return _pattern(self.view, self.box, self.spheres, self.grid) < _PATTERN


def judged(block: FinishedBlock, core: Core) -> Fitted:
    """Return what belongs to a block (`core`), with errors and a verdict."""
    deviations, told = _errors(block)
    accepted = told & _trusted(block, deviations)
    mine = _belong(block, accepted, core)
    spheres = block.spheres
    return Fitted(spheres.positions[mine], spheres.radii[mine], deviations[mine], accepted[mine], block.source[mine])


def _errors(block: FinishedBlock) -> tuple[Array, NDArray[np.bool_]]:
    """Return the standard errors of z, y, x and radius, and whose place the image has told something about."""
    spheres, grid = block.spheres, block.grid
    precision, pull = block.priors.outside_held(spheres, grid).precision_and_pull(spheres)
    precision[~grid.inside(spheres.positions), 1:4] /= _UNSEEN**2
    shared = np.zeros(len(block.equations.shared))
    equations = block.equations.with_priors(precision, pull, shared, shared)
    deviations = np.sqrt(np.einsum("nii->ni", equations.covariances()))[:, 1:]
    told = (deviations[:, :3] < _UNTOLD * block.priors.doubt).all(axis=1)
    return deviations * _excess(block.view, block.box, spheres, grid)[:, None], told


def _trusted(block: FinishedBlock, deviations: Array) -> NDArray[np.bool_]:
    """Return which spheres shine, came to rest near where they were found, and have errors smaller than themselves."""
    spheres, scale, bright = block.spheres, block.scale, block.bright
    went = np.linalg.norm((spheres.positions - block.given) * scale, axis=1)
    tree = cKDTree(spheres.positions * scale)
    alone = tree.query(spheres.positions * scale, 2)[0][:, 1] > 2 * APART * spheres.radii
    alone &= (bright > _USUAL[0]) & (bright < _USUAL[1])
    moved, error = (np.linalg.norm(length * scale, axis=1) for length in (block.moves, deviations[:, :3]))
    trusted = np.isfinite(deviations).all(axis=1) & (bright > _NOTHING)
    trusted &= went < np.where(alone, _ASTRAY[1], _ASTRAY[0]) * spheres.radii
    trusted &= moved < np.maximum(_RESTLESS * spheres.radii, error)
    trusted &= (deviations[:, :3] * scale < _ASTRAY[0] * spheres.radii[:, None]).all(axis=1)
    # Where the model does not fit, a sphere that was added may only mend it, and have taken the light of a detection;
    # and one from outside the stack may have been drawn in.
    return np.asarray(trusted & (block.fits | ((block.source >= 0) & block.grid.inside(block.given))))


def _belong(block: FinishedBlock, accepted: NDArray[np.bool_], core: Core) -> NDArray[np.bool_]:
    """Return which spheres are particles of the block: its detections, but for false ones, and what was added to it."""
    spheres, scale, grid, given = block.spheres, block.scale, block.grid, block.given
    detected = block.source >= 0
    mine = core.holds(given) & (detected | (accepted & grid.inside(spheres.positions)))
    # A detection that explains no light, or lies in an accepted sphere, is none; one that the fit cannot place may
    # still be one.
    free = np.ones(len(spheres), bool)
    if accepted.any():
        free = cKDTree(spheres.positions[accepted] * scale).query(given * scale)[0] > spheres.radii
    shining = (block.bright > _NOTHING) & (accepted | free)
    return np.asarray(mine & (shining | ~block.fits | ~detected | ~grid.inside(given)))


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
