"""``napari-colloids labels``: particles in, an image of their labels out."""

from pathlib import Path
from typing import Annotated

import typer

from napari_colloids.cli.groups import OUTPUT
from napari_colloids.cli.tables import Columns, VoxelSize, column_map, say_how_read
from napari_colloids.errors import ColloidsError
from napari_colloids.settings import INPUT


def labels(
    *,
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="Particles with their radii.", rich_help_panel=INPUT)],
    shape: Annotated[
        tuple[int, int, int] | None,
        typer.Option(
            metavar="Z Y X",
            help="Shape of the stack in voxels.  [default: from the file beside the table]",
            rich_help_panel=INPUT,
        ),
    ] = None,
    voxel_size: VoxelSize = None,
    diameter: Annotated[
        float | None,
        typer.Option(
            metavar="PX", help="Diameter in lateral voxels, where the table has no radius.", rich_help_panel=INPUT
        ),
    ] = None,
    frame: Annotated[
        int | None,
        typer.Option(metavar="K", help="Only this frame of a time series.  [default: all]", rich_help_panel=INPUT),
    ] = None,
    columns: Columns = None,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="OUT.tif", help="Label image to write.", rich_help_panel=OUTPUT),
    ],
) -> None:
    """Write an image in which every particle is a ball with its number."""
    from napari_colloids.io import read_particles, write_labels

    particles = read_particles(table, columns=column_map(columns), voxel_size=voxel_size)
    beside = particles.attrs.get("shape")
    extent = shape or (tuple(beside) if isinstance(beside, list) and len(beside) == 3 else None)
    if extent is None:
        raise ColloidsError(f"The shape of the stack of '{table}' is not known; give --shape Z Y X.")
    if frame is not None:
        if "frame" not in particles:
            raise ColloidsError(f"'{table}' has no column 'frame'.")
        particles = particles[particles["frame"] == frame]
        if particles.empty:
            raise ColloidsError(f"'{table}' has no particles in frame {frame}.")
    size = voxel_size or particles.attrs.get("voxel_size")
    write_labels(output, particles, extent, voxel_size=size, diameter=diameter)
    say_how_read(table, particles)
    typer.echo(f"{output}: {len(particles)} particles", err=True)
