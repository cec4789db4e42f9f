"""Options of ``structure`` for g(r) of parts of a sample, and for a simulation beside it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_colloids.errors import ColloidsError
from napari_colloids.settings import HOW

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from typing import Unpack

    import pandas as pd

    from napari_colloids.progress import Progress
    from napari_colloids.structure import PairCorrelations, SimulationComparison, Structure
    from napari_colloids.structure.settings import MeasurementChanges

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


def simulation_of(simulation: str, shape: "Sequence[float] | None") -> "pd.DataFrame | None":
    """Return the simulation that an option asks for: its table, or None for a fluid like the sample.

    Parameters
    ----------
    simulation
        Path of a table, or `FLUID`.
    shape
        Shape of the sample's window in voxels, which that of a fluid is.

    Raises
    ------
    ColloidsError
        If the table cannot be read, or the window of a fluid is unknown.
    """
    from napari_colloids.io import read_particles

    if simulation != FLUID:
        return read_particles(Path(simulation))
    if shape is None:
        raise ColloidsError("--degrade fluid needs the shape of the window: give it (--shape).")
    return None


def comparison_of(
    simulation: "pd.DataFrame | None",
    sample: "Structure",
    *,
    shape: "Sequence[float] | None",
    voxel_size: "Sequence[float] | None",
    **settings: "Unpack[MeasurementChanges]",
) -> "Generator[Progress, None, SimulationComparison]":
    """Measure a simulation as `simulation_of` returns it beside a sample, in steps.

    Parameters
    ----------
    simulation
        A table has a window of its own.
    sample, shape, voxel_size, settings
        Structure of the sample, its window, and how it was measured.

    Raises
    ------
    ColloidsError
        If a fluid would need what is not known, or the errors of the sample are not.
    """
    from napari_colloids.structure import iter_simulation_comparison
    from napari_colloids.structure.frames import searched_shape

    if simulation is not None:
        shape = searched_shape(simulation)
    elif shape is not None:
        simulation = _fluid(sample, shape)
    else:
        raise ColloidsError("A fluid like the sample needs the shape of its window: give it.")
    return iter_simulation_comparison(sample, simulation, shape=shape, voxel_size=voxel_size, **settings)


def _fluid(sample: "Structure", shape: "Sequence[float]") -> "pd.DataFrame":
    """Return hard spheres of the volume fraction and the sizes of a sample, in its window."""
    from napari_colloids.simulation import hard_sphere_fluid
    from napari_colloids.structure.scaling import scaling_of

    if sample.volume_fraction is None:
        raise ColloidsError("--degrade fluid needs the volume fraction, for which radii are missing: give --diameter.")
    scaling = scaling_of(sample.particles)
    radii = sample.particles["radius"].dropna() if "radius" in sample.particles else None
    return hard_sphere_fluid(
        shape,
        volume_fraction=sample.volume_fraction.value,
        radius=sample.diameter / 2 / scaling.lateral,
        polydispersity=0.0 if radii is None or len(radii) < 2 else float(radii.std() / radii.mean()),
        voxel_aspect=float(scaling.aspect[0]),
    )
