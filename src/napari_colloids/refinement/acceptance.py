"""Acceptance of fitted spheres as particles, their standard errors, and which of them a block owns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_colloids.refinement.misfit import Misfit
from napari_colloids.refinement.priors import local_brightness

if TYPE_CHECKING:
    from napari_colloids.refinement.block_state import BlockState
    from napari_colloids.refinement.equations import NormalEquations
    from napari_colloids.refinement.grid import Grid
    from napari_colloids.refinement.model import Prediction
    from napari_colloids.refinement.partition import Cell
    from napari_colloids.refinement.spheres import Spheres

Array = NDArray[np.float64]

#: Spheres nearer to each other than this, over the sum of their radii, may be one particle that was detected twice.
DUPLICATE_DISTANCE = 0.75
#: Spheres that move by more than this in the last round, in radii, are not accepted.
_MAX_MOVE_RADII = 0.05
#: Nor are those further from their detection, or with larger standard errors, than this, in radii; but up to the second
#: distance where a sphere of usual brightness has no other beside it.
_MAX_DISPLACEMENT_RADII = 0.5
_MAX_LONE_DISPLACEMENT_RADII = 2.0
_USUAL_BRIGHTNESS_RANGE = (0.7, 1.4)
#: Standard error over prior standard deviation, below which the image constrains a position.
_MAX_CONSTRAINED_ERROR = 0.7
#: How many times wider the priors of spheres outside the stack are when their errors are taken.
_OUTSIDE_DEVIATION_FACTOR = 4.0
#: Errors of centre and radius, in lateral voxels, that come from the model, mostly as it takes the width of a voxel for
#: a Gaussian: they show where there is no noise.
_MODEL_ERRORS_VOXELS = (0.002, 0.002, 0.002, 0.004)
#: Brightness over that of the neighbours, below which a detection explains no light.
_MIN_RELATIVE_BRIGHTNESS = 0.25
#: Correlation of neighbouring voxels of the residual from which the model is wrong there: spheres that were added only
#: make up for it.
_MAX_RESIDUAL_CORRELATION = 0.15


@dataclass(frozen=True, eq=False)
class FittedParticles:
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
    misfit
        What the residual around each has beyond the noise.
    """

    positions: Array
    radii: Array
    errors: Array
    accepted: NDArray[np.bool_]
    source: NDArray[np.intp]
    misfit: Misfit

    @classmethod
    def joined(cls, parts: list[FittedParticles]) -> FittedParticles:
        """Return the particles of all parts."""
        return cls(
            np.concatenate([part.positions for part in parts]),
            np.concatenate([part.radii for part in parts]),
            np.concatenate([part.errors for part in parts]),
            np.concatenate([part.accepted for part in parts]),
            np.concatenate([part.source for part in parts]),
            Misfit.joined([part.misfit for part in parts]),
        )


@dataclass(frozen=True, eq=False)
class FinishedBlock:
    """The end of the fit of a block.

    Attributes
    ----------
    state
        After the last round.
    equations, prediction
        At the final parameters.
    detected
        Where each sphere was detected, shape ``(N, 3)`` in voxels of the grid; where it is now if it was added.
    """

    state: BlockState
    equations: NormalEquations
    prediction: Prediction
    detected: Array

    @property
    def spheres(self) -> Spheres:
        """Those of the block and those around it."""
        return self.state.spheres

    @property
    def grid(self) -> Grid:
        """Of the stack."""
        return self.state.grid

    @cached_property
    def relative_brightness(self) -> Array:
        """Brightness of each sphere over that of its neighbours."""
        return self.spheres.brightness / local_brightness(self.spheres)

    @cached_property
    def model_fits(self) -> NDArray[np.bool_]:
        """Whether the residual around each sphere is noise."""
        return np.asarray(self.misfit.correlation.mean(axis=1) < _MAX_RESIDUAL_CORRELATION)

    @cached_property
    def misfit(self) -> Misfit:
        """What the residual around each sphere has beyond the noise."""
        return Misfit.around(self.spheres, self.state.box, self.prediction.residual)


def accepted_particles(block: FinishedBlock, cell: Cell) -> FittedParticles:
    """Return the particles that a cell owns, with their standard errors and whether each is accepted."""
    deviations, constrained = _standard_errors(block)
    accepted = constrained & _trusted(block, deviations)
    own = _owned(block, accepted, cell)
    spheres, source = block.spheres, block.state.source
    return FittedParticles(
        spheres.positions[own], spheres.radii[own], deviations[own], accepted[own], source[own], block.misfit[own]
    )


def _standard_errors(block: FinishedBlock) -> tuple[Array, NDArray[np.bool_]]:
    """Return the standard errors of z, y, x and radius, and whether the image constrains each position.

    They are those of the posterior, times how much larger the residual is than the noise, and no less than the model is
    exact.
    """
    spheres, grid, priors = block.spheres, block.grid, block.state.priors
    precision, gradient = priors.recentred_outside(spheres, grid).precision_and_gradient(spheres)
    precision[~grid.inside(spheres.positions), 1:4] /= _OUTSIDE_DEVIATION_FACTOR**2
    shared = np.zeros(len(block.equations.shared))
    posterior = block.equations.with_priors(precision, gradient, shared, shared)
    deviations = np.sqrt(np.einsum("nii->ni", posterior.covariances()))[:, 1:]
    exactness = _MODEL_ERRORS_VOXELS / np.append(grid.scale, 1)
    constrained = (deviations[:, :3] < _MAX_CONSTRAINED_ERROR * priors.centre_deviation).all(axis=1)
    return np.hypot(deviations * block.misfit.excess[:, None], exactness), constrained


def _trusted(block: FinishedBlock, deviations: Array) -> NDArray[np.bool_]:
    """Return which spheres are bright enough, converged near their detection and have small enough standard errors."""
    spheres, scale, brightness = block.spheres, block.grid.scale, block.relative_brightness
    displacement = np.linalg.norm((spheres.positions - block.detected) * scale, axis=1)
    tree = cKDTree(spheres.positions * scale)
    lone = tree.query(spheres.positions * scale, 2)[0][:, 1] > 2 * DUPLICATE_DISTANCE * spheres.radii
    lone &= (brightness > _USUAL_BRIGHTNESS_RANGE[0]) & (brightness < _USUAL_BRIGHTNESS_RANGE[1])
    moved, error = (np.linalg.norm(length * scale, axis=1) for length in (block.state.moves, deviations[:, :3]))
    trusted = np.isfinite(deviations).all(axis=1) & (brightness > _MIN_RELATIVE_BRIGHTNESS)
    trusted &= displacement < np.where(lone, _MAX_LONE_DISPLACEMENT_RADII, _MAX_DISPLACEMENT_RADII) * spheres.radii
    trusted &= moved < np.maximum(_MAX_MOVE_RADII * spheres.radii, error)
    trusted &= (deviations[:, :3] * scale < _MAX_DISPLACEMENT_RADII * spheres.radii[:, None]).all(axis=1)
    # Where the model does not fit, a sphere that was added may only make up for it, and have taken the light of a
    # detection; and one from outside the stack may have been drawn in.
    detected_inside = (block.state.source >= 0) & block.grid.inside(block.detected)
    return np.asarray(trusted & (block.model_fits | detected_inside))


def _owned(block: FinishedBlock, accepted: NDArray[np.bool_], cell: Cell) -> NDArray[np.bool_]:
    """Return which spheres are particles of a cell: its detections, without false ones, and what was added to it."""
    spheres, grid, detected = block.spheres, block.grid, block.detected
    scale, from_detection = grid.scale, block.state.source >= 0
    own = cell.contains(detected) & (from_detection | (accepted & grid.inside(spheres.positions)))
    # A detection that explains no light, or lies in an accepted sphere, is a false one; one that the fit cannot place
    # may still be a particle.
    free = np.ones(len(spheres), bool)
    if accepted.any():
        free = cKDTree(spheres.positions[accepted] * scale).query(detected * scale)[0] > spheres.radii
    real = (block.relative_brightness > _MIN_RELATIVE_BRIGHTNESS) & (accepted | free)
    return np.asarray(own & (real | ~block.model_fits | ~from_detection | ~grid.inside(detected)))
