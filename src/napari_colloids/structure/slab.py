"""Part of a sample between two depths, as a sample of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_colloids.errors import ColloidsError
from napari_colloids.particles import POSITION
from napari_colloids.structure.frames import positions_by_frame
from napari_colloids.structure.window import filled_window, stack_window

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray


class Slab(NamedTuple):
    """Particles of a slab, as though the stack ended at its faces.

    Attributes
    ----------
    table
        Rows of the particles in it, moved so that it begins where a stack does: at -0.5 along each axis.
    shape
        Its edges ``(z, y, x)`` in voxels.
    inside
        Which particles of all these are.
    """

    table: pd.DataFrame
    shape: tuple[float, float, float]
    inside: NDArray[np.bool_]


def slab_of(table: pd.DataFrame, shape: Sequence[float] | None, ends: tuple[float, float]) -> Slab:
    """Return the part of a sample between two depths.

    Parameters
    ----------
    table
        Particle table.
    shape
        Shape ``(z, y, x)`` of the stack in voxels; None takes the box that all particles fill.
    ends
        Smallest and largest z in voxels, whose centres lie at integers; what lies beyond the stack is left out.

    Raises
    ------
    ColloidsError
        If these are no range within the stack, or there are fewer than two particles between them.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_colloids.particles import particle_table
    >>> from napari_colloids.structure.slab import slab_of
    >>> crystal = particle_table(10.0 * np.indices((6, 6, 6)).reshape(3, -1).T + 4.5)
    >>> slab = slab_of(crystal, (60, 60, 60), (19.5, 80.0))
    >>> slab.shape, sorted(slab.table["z"].unique().tolist())
    ((40.0, 60.0, 60.0), [4.5, 14.5, 24.5, 34.5])
    """
    low, high = ends
    if not low < high:
        raise ColloidsError(f"The slab must end above z = {low:g}, where it begins, not at {high:g}.")
    frames = [positions for positions in positions_by_frame(table) if len(positions) > 1]
    inside = table["z"].between(low, high).to_numpy()
    if not frames or inside.sum() < 2:
        raise ColloidsError(f"Fewer than two particles lie between z = {low:g} and {high:g} voxels: choose more of z.")
    stack = filled_window(frames) if shape is None else stack_window(shape, np.ones(3))
    bottom, top = np.clip([low, high], stack.low[0], stack.high[0])
    if not bottom < top:
        raise ColloidsError(
            f"The stack reaches from z = {stack.low[0]:g} to {stack.high[0]:g} voxels: nothing of it lies between "
            f"{low:g} and {high:g}."
        )
    part, corner = table[inside].copy(), np.array([bottom, *stack.low[1:]])
    part[POSITION] -= corner + 0.5
    return Slab(part, (float(top - bottom), float(stack.edges[1]), float(stack.edges[2])), inside)
