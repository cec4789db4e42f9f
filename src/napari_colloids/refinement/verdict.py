"""Which spheres of a fitted block are particles, how well they are known, and which belong to the block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter
from scipy.spatial import cKDTree

from napari_colloids.refinement.fit import usual_brightness

if TYPE_CHECKING:
    from napari_colloids.refinement.blocks import Core
    from napari_colloids.refinement.equations import Equations
    from napari_colloids.refinement.fit import Box, Model, Priors, View
    from napari_colloids.refinement.grid import Grid
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


def judged(
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
    """Return what belongs to a block, with errors and a verdict.

    Parameters
    ----------
    model, priors, equations, view
        Of the spheres of the block and those around it, at the end of the fit.
    moves
        How far each went in the last round, shape ``(N, 3)``.
    box
        Where they are seen.
    places
        Of all detections, shape ``(M, 3)`` in voxels of the grid.
    source
        Number of the detection of each sphere, shape ``(N,)``; -1 where there was none.
    core
        What belongs to the block.
    grid
        Of the stack.
    """
    spheres, scale = model.spheres, np.array([grid.aspect, 1, 1])
    precision, pull = priors.outside_held(spheres, grid).precision_and_pull(spheres)
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
    alone = tree.query(spheres.positions * scale, 2)[0][:, 1] > 2 * APART * spheres.radii
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
