"""State of the fit of a block: its spheres and those around it, where they came from and how far they still move."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.refinement.residual_search import with_undetected

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_colloids.refinement.grid import Box, Grid
    from napari_colloids.refinement.model import Model, Prediction
    from napari_colloids.refinement.priors import Priors
    from napari_colloids.refinement.profile import Profile
    from napari_colloids.refinement.spheres import Array, Spheres

#: A sphere has converged when its centre moves by at most this in a round, in radii.
_MAX_REST_MOVE_RADII = 0.01


@dataclass(frozen=True, eq=False)
class BlockState:
    """State of the fit of a block.

    Attributes
    ----------
    grid, box
        Of the stack, and the part of it that the block is seen in.
    model, priors
        Of the spheres of the block and those around it.
    source
        Number of the detection that each sphere comes from, shape ``(N,)``; -1 for those added from the residual.
    moves
        How far each centre went in the last round, shape ``(N, 3)`` in voxels.
    """

    grid: Grid
    box: Box
    model: Model
    priors: Priors
    source: NDArray[np.intp]
    moves: Array

    @property
    def spheres(self) -> Spheres:
        """Those of the block and those around it."""
        return self.model.spheres

    @property
    def restless(self) -> NDArray[np.bool_]:
        """Whether each sphere still moves; those outside the stack do so for long, as little light tells of them."""
        moves = np.abs(self.moves * self.grid.scale).max(axis=1)
        inside = self.grid.inside(self.spheres.positions)
        return np.asarray(inside & (moves > _MAX_REST_MOVE_RADII * self.spheres.radii))

    def __getitem__(self, which: NDArray[np.bool_]) -> BlockState:
        model = replace(self.model, spheres=self.spheres[which])
        return replace(self, model=model, priors=self.priors[which], source=self.source[which], moves=self.moves[which])

    def with_undetected(self, prediction: Prediction, profile: Profile, margin: Array) -> BlockState:
        """Return the state with the spheres that the residual shows; see `find_undetected`."""
        model, priors = with_undetected(self.model, self.priors, self.box, prediction, profile, margin)
        added = len(model.spheres) - len(self.spheres)
        source = np.append(self.source, np.full(added, -1))
        moves = np.concatenate([self.moves, np.zeros((added, 3))])
        return replace(self, model=model, priors=priors, source=source, moves=moves)
