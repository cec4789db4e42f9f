"""Options of ``structure`` for g(r) of parts of a sample, and for a simulation beside it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_colloids.errors import ColloidsError
from napari_colloids.settings import HOW

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from napari_colloids.structure import PairCorrelations

#: Name that stands for a simulation of hard spheres in place of a table.
FLUID = "fluid"

Partial = Annotated[
    str | None,
    typer.Option(
        "--partial",
        metavar="COLUMN[:CUT,...]",
        help="Add g(r) of classes to --json: of the values of a column (channel), or between cuts (radius:5.5).",
        rich_help_panel=HOW,
    ),
]

Directions = Annotated[
    int | None,
    typer.Option(
        "--directions",
        metavar="N",
        min=1,
        max=100,
        help="Add g(r) in N ranges of the angle to z to --json.",
        rich_help_panel=HOW,
    ),
]

Degrade = Annotated[
    str | None,
    typer.Option(
        "--degrade",
        metavar="TABLE|fluid",
        help="Exact positions of a simulation, in the same voxels, to get the errors of the sample and be measured "
        "beside it; fluid: hard spheres of the same volume fraction and sizes.",
        rich_help_panel=HOW,
    ),
]


def partial_of(
    text: str,
    particles: "pd.DataFrame",
    *,
    shape: "Sequence[float] | None",
    voxel_size: "Sequence[float] | None",
    diameter: float | None,
) -> "PairCorrelations":
    """Return the partial g(r) that an option asks for as ``COLUMN`` or ``COLUMN:CUT,CUT``.

    Raises
    ------
    ColloidsError
        If it is written otherwise, or there is no such column.
    """
    from napari_colloids.structure import partial_pair_correlation

    column, colon, cuts = text.partition(":")
    try:
        boundaries = [float(cut) for cut in cuts.split(",")] if colon else None
    except ValueError:
        raise ColloidsError(f"--partial takes a column and cuts, as in radius:5.5,7, not '{text}'.") from None
    return partial_pair_correlation(
        particles, column, boundaries=boundaries, shape=shape, voxel_size=voxel_size, diameter=diameter
    )


def simulation_of(
    simulation: str, shape: "Sequence[float] | None"
) -> "tuple[pd.DataFrame | None, Sequence[float] | None]":
    """Return the simulation that an option asks for, None for a fluid like the sample, and the shape of its window.

    Parameters
    ----------
    simulation
        Path of a table, or `FLUID`.
    shape
        Shape of the sample's window in voxels, which that of a fluid is; a table has its own.

    Raises
    ------
    ColloidsError
        If the table cannot be read, or the window of a fluid is unknown.
    """
    from napari_colloids.io import read_particles
    from napari_colloids.structure.frames import searched_shape

    if simulation != FLUID:
        table = read_particles(Path(simulation))
        return table, searched_shape(table)
    if shape is None:
        raise ColloidsError("--degrade fluid needs the shape of the window: give it (--shape).")
    return None, shape
