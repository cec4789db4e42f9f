"""Wave number and diameter that a suspension is evaluated at: as given, or as the particles tell them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.dynamics.cages import distance_of_neighbours
from napari_colloids.errors import ColloidsError
from napari_colloids.plotting import unit_symbol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from napari_colloids.dynamics.relaxation_settings import RelaxationSettings
    from napari_colloids.structure.scaling import Scaling


def wave_number(how: RelaxationSettings, scaling: Scaling) -> float | None:
    """Return the wave number that is given, per unit of the scaling; None where none is.

    Raises
    ------
    ColloidsError
        If it is given twice, or per micrometre where the voxel size is unknown.
    """
    if how.q is not None and how.q_um is not None:
        raise ColloidsError("Give q per voxel or q_um per micrometre, not both.")
    if how.q_um is not None and scaling.unit != "um":
        raise ColloidsError("q_um per micrometre needs the voxel size: give voxel_size, or q per voxel.")
    return how.q_um if how.q is None else how.q / scaling.lateral


def scales(
    particles: pd.DataFrame,
    scaling: Scaling,
    how: RelaxationSettings,
    voxel_size: Sequence[float] | None,
    notices: list[str],
) -> tuple[float, float]:
    """Return the wave number and the diameter in the unit of the scaling; add to the notices what was taken for them.

    Raises
    ------
    ColloidsError
        If one makes no sense, or neither is given and the particles do not tell them.
    """
    wave, unit = wave_number(how, scaling), unit_symbol(scaling.unit)
    diameter = distance_of_neighbours(particles, voxel_size) if how.diameter is None else how.diameter
    length = diameter * scaling.lateral
    if not np.isfinite(length) and "radius" in particles:
        length = 2 * float(particles["radius"].median()) * scaling.lateral
        notices.append(
            f"These particles show no distance between neighbours: their median diameter of {length:.3g} {unit} was "
            "taken for it."
        )
    if not 0 < length < np.inf:
        if wave is None:
            raise ColloidsError(
                "These particles show no distance between neighbours, from which q would be taken: give q or diameter."
            )
        length = 2 * np.pi / wave
        notices.append(
            f"These particles show no distance between neighbours: the overlap is in parts of 2 pi / q = {length:.3g} "
            f"{unit}."
        )
    return (2 * np.pi / length if wave is None else float(wave)), float(length)
