"""``napari-colloids structure``: a particle table in, its structure out."""

from pathlib import Path
from typing import Annotated

import typer

from napari_colloids.cli.groups import OUTPUT
from napari_colloids.cli.hints import with_hint
from napari_colloids.cli.output import check_table_can_be_written, progress_bar
from napari_colloids.cli.tables import Columns, VoxelSize, column_map, say_how_read
from napari_colloids.errors import ColloidsError
from napari_colloids.formatting import voxel_words
from napari_colloids.settings import HOW, INPUT


def structure(
    *,
    table: Annotated[
        Path, typer.Argument(metavar="TABLE", help="Particles of one or several stacks.", rich_help_panel=INPUT)
    ],
    shape: Annotated[
        tuple[float, float, float] | None,
        typer.Option(
            metavar="Z Y X",
            help="Shape of the stack in voxels.  [default: from the table, else the box that the particles fill]",
            rich_help_panel=INPUT,
        ),
    ] = None,
    voxel_size: VoxelSize = None,
    columns: Columns = None,
    diameter: Annotated[
        float | None,
        typer.Option(metavar="PX", help="Diameter in lateral voxels.  [default: from the radii]", rich_help_panel=HOW),
    ] = None,
    neighbours: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="How many nearest particles are neighbours.  [default: those that share a face of a Voronoi cell]",
            rich_help_panel=HOW,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="Table to write, with order and cell of each particle (.csv .xyz .h5 .parquet).",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of words.", rich_help_panel=OUTPUT)
    ] = False,
) -> None:
    """Measure the structure: g(r), S(q), volume fraction; bond order and Voronoi cell of each particle."""
    from napari_colloids import __version__
    from napari_colloids.io import read_particles, write_particles
    from napari_colloids.particles import implied_voxel_size, with_micrometres
    from napari_colloids.progress import result_of
    from napari_colloids.stack import checked_voxel_size
    from napari_colloids.structure import iter_structure

    particles = read_particles(table, columns=column_map(columns), voxel_size=voxel_size)
    if output is not None:
        if output.resolve() == table.resolve():
            raise ColloidsError(f"The output {output} is also the input; choose another name.")
        check_table_can_be_written(output)
    source = dict(particles.attrs)
    steps = iter_structure(
        with_micrometres(particles, voxel_size),
        shape=shape,
        voxel_size=voxel_size,
        diameter=diameter,
        neighbours=neighbours,
    )
    with progress_bar("structure", unit="step") as show:
        found = result_of(steps, show)
    if output is not None:
        given: dict[str, object] = {"shape": shape, "voxel_size": voxel_size}
        geometry = {key: source[key] for key in (*given, "frame_interval") if key in source}
        geometry |= {key: value for key, value in given.items() if value is not None}
        provenance = {
            **geometry,
            "program": f"napari-colloids {__version__}",
            "input": table.name,
            "options": {"diameter": diameter, "neighbours": neighbours},
            "structure": {**found.as_dict(), "g": None, "s": None},
            "particles": source,
        }
        write_particles(output, found.particles, metadata=provenance)
    say_how_read(table, particles)
    for notice in found.notices:
        typer.echo(f"{table.name}: {with_hint(notice)}", err=True)
    if as_json:
        typer.echo(found.to_json())
        return
    size = checked_voxel_size(voxel_size) or implied_voxel_size(particles)
    assumed = str(source.get("assumed", "")) if voxel_size is None else ""
    typer.echo("\n".join([*found.lines(), voxel_words(size, assumed, remedy="--voxel-size")]))
