"""Positions of each frame and the window that they were seen in: what the structure is computed from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.errors import ColloidsError
from napari_colloids.particles import positions_of
from napari_colloids.settings import check_value
from napari_colloids.structure.inputs import checked_particles
from napari_colloids.structure.scaling import scaling_of
from napari_colloids.structure.window import check_fits, filled_window, stack_window

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from napari_colloids.structure.scaling import Scaling
    from napari_colloids.structure.window import Window

    Array = NDArray[np.float64]

#: Smallest edge of the window over its largest: a thinner one is a plane.
_MIN_ASPECT = 1e-9


@dataclass(frozen=True, eq=False)
class Frames:
    """Positions of each frame, and of each channel if there are several.

    Attributes
    ----------
    positions
        Shape ``(N, 3)`` each, in `unit`; frames of fewer than two particles are left out.
    window
        That they were seen in.
    scaling
        From voxels to `unit`.
    """

    positions: list[Array]
    window: Window
    scaling: Scaling

    @property
    def unit(self) -> str:
        """``"um"``, or ``"px"`` for lateral voxels."""
        return self.scaling.unit


def frames_of(
    particles: pd.DataFrame | ArrayLike,
    shape: Sequence[float] | None,
    voxel_size: Sequence[float] | None,
    what: str = "The structure",
) -> Frames:
    """Return the positions of each frame with their window.

    Parameters
    ----------
    particles
        Particle table, or array of shape ``(N, 3)``: z, y, x in voxels.
    shape
        Shape ``(z, y, x)`` of the stack in voxels; None takes the box that the particles fill.
    voxel_size
        Micrometres ``(z, y, x)``; None takes what the table implies.
    what
        What they are wanted for, in messages.

    Raises
    ------
    ColloidsError
        If no frame has two particles, they lie in one plane and no shape is given, or do not fit into the shape.
    """
    check_value("shape", shape, tuple[float, float, float] | None, low=0, unit="voxels")
    table = checked_particles(particles)
    scaling = scaling_of(table, voxel_size)
    frames = [positions * scaling.scale for positions in positions_by_frame(table) if len(positions) > 1]
    if not frames:
        raise ColloidsError(f"{what} needs at least two particles in a frame.")
    if shape is None:
        window = filled_window(frames)
    else:
        check_fits(shape, [frame / scaling.scale for frame in frames])
        window = stack_window(shape, scaling.scale)
    if window.edges.min() < _MIN_ASPECT * window.edges.max():
        raise ColloidsError(f"{what} needs particles that do not all lie in one plane, or the shape of the stack.")
    return Frames(frames, window, scaling)


def searched_shape(table: pd.DataFrame) -> tuple[float, float, float] | None:
    """Return the shape of the stack that a table was found in, where all of it was searched."""
    shape, settings = table.attrs.get("shape"), table.attrs.get("settings")
    whole = isinstance(settings, dict) and not settings.get("border") and not table.attrs.get("region")
    if not whole or not isinstance(shape, list | tuple) or len(shape) < 3:
        return None
    z, y, x = (float(length) for length in shape[-3:])
    return z, y, x


def rows_by_frame(table: pd.DataFrame) -> list[NDArray[np.intp]]:
    """Return the rows of each frame, and of each channel if there are several."""
    keys = [table[name].to_numpy() for name in ("frame", "channel") if name in table]
    groups = table.groupby(keys, sort=False).indices.values() if keys else [np.arange(len(table))]
    return [np.asarray(rows, dtype=np.intp) for rows in groups]


def positions_by_frame(particles: pd.DataFrame) -> Iterator[Array]:
    """Yield the positions ``(N, 3)`` of each frame, and of each channel if there are several."""
    for rows in rows_by_frame(particles):
        yield positions_of(particles.iloc[rows])
