"""Pictures of an assessment: slices of stack and twin, and what was found in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from napari_colloids.particles import positions_of
from napari_colloids.stack import aspect_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from napari_colloids.assessment.result import Assessment
    from napari_colloids.stack import Stack

#: Particles that are drawn in a slice: centres so far from it at most, in radii.
_DRAWN_RADII = 0.5
_PANEL_INCHES = 4.0


def draw_slices(assessment: Assessment) -> Figure:
    """Draw the middle slice and a cut along z of the part assessed, with the particles found, and of a twin."""
    stacks = [("stack", assessment.sample, assessment.particles)]
    if assessment.twin is not None:
        stacks.append(("simulated, with the truth", assessment.twin.stack, assessment.twin.particles))
    figure = Figure(figsize=(_PANEL_INCHES * len(stacks), 2 * _PANEL_INCHES), layout="constrained")
    panels = figure.subplots(2, len(stacks), squeeze=False)
    for (title, stack, particles), column in zip(stacks, panels.T, strict=True):
        for axis, panel in enumerate(column):
            _draw_slice(panel, stack, particles, axis)
        column[0].set_title(title)
    return figure


def _draw_slice(panel: Axes, stack: Stack, particles: pd.DataFrame, axis: int) -> None:
    """Draw the middle slice across z (axis 0) or y (axis 1)."""
    image = np.asarray(stack.data)
    middle = image.shape[axis] // 2
    aspect = aspect_of(stack.voxel_size)
    high = float(np.quantile(image, 0.999))
    panel.imshow(image.take(middle, axis), cmap="gray", vmin=0, vmax=high, aspect=aspect if axis == 1 else 1.0)
    panel.set(xlabel="x (voxels)", ylabel="y (voxels)" if axis == 0 else "z (voxels)")
    positions = positions_of(particles)
    away = np.abs(positions[:, axis] - middle) * (aspect if axis == 0 else 1.0)
    near = positions[away < _DRAWN_RADII * particles["radius"].to_numpy()]
    panel.plot(near[:, 2], near[:, 1 - axis], "o", mfc="none", mec="C1", ms=5)
