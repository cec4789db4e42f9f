"""``napari-colloids structure``: a particle table in, its structure out."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from napari_colloids.cli.clusters import Tcc, TccInputFolder, check_cluster_options
from napari_colloids.cli.comparisons import Degrade, Directions, Partial, partial_of, simulation_of
from napari_colloids.cli.groups import OUTPUT
from napari_colloids.cli.hints import with_hint
from napari_colloids.cli.output import check_table_can_be_written, progress_bar
from napari_colloids.cli.settings import takes_settings
from napari_colloids.cli.tables import Columns, VoxelSize, column_map, say_how_read
from napari_colloids.errors import ColloidsError
from napari_colloids.formatting import voxel_words
from napari_colloids.settings import INPUT, changed
from napari_colloids.structure.settings import MeasurementSettings
from napari_colloids.structure.tcc_settings import TccSettings


@takes_settings(TccSettings, "clusters")
@takes_settings(MeasurementSettings, "how")
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
    how: Mapping[str, object],
    partial: Partial = None,
    directions: Directions = None,
    degrade: Degrade = None,
    tcc: Tcc = None,
    tcc_input: TccInputFolder = None,
    clusters: Mapping[str, object],
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
    from napari_colloids.assessment.fluid_like import fluid_like
    from napari_colloids.io import read_particles, write_particles
    from napari_colloids.particles import implied_voxel_size, with_micrometres
    from napari_colloids.progress import result_of
    from napari_colloids.stack import checked_voxel_size
    from napari_colloids.structure import (
        directional_pair_correlation,
        iter_simulation_comparison,
        iter_structure,
        iter_topological_clusters,
        write_tcc_input,
    )
    from napari_colloids.structure.frames import searched_shape

    settings = asdict(changed(MeasurementSettings(), how, "option"))
    check_cluster_options(tcc, tcc_input, clusters, other_output=output is not None or as_json)
    particles = read_particles(table, columns=column_map(columns), voxel_size=voxel_size)
    if output is not None:
        if output.resolve() == table.resolve():
            raise ColloidsError(f"The output {output} is also the input; choose another name.")
        check_table_can_be_written(output)
    source = dict(particles.attrs)
    measured = with_micrometres(particles, voxel_size)
    diameter = settings["diameter"]
    how_clusters = asdict(changed(TccSettings(), clusters, "option"))
    if tcc_input is not None:
        write_tcc_input(tcc_input, measured, shape=shape, voxel_size=voxel_size, diameter=diameter, **how_clusters)
        say_how_read(table, particles)
        typer.echo(f"{tcc_input}: input of TCC, {len(measured)} particles; run TCC there", err=True)
        return
    window = shape or searched_shape(particles)
    curves: dict[str, object] = {}
    if partial is not None:
        curves["partials"] = partial_of(
            partial, measured, shape=window, voxel_size=voxel_size, diameter=diameter
        ).as_dict()
    if directions is not None:
        curves["directions"] = directional_pair_correlation(
            measured, directions=directions, shape=window, voxel_size=voxel_size, diameter=diameter
        ).as_dict()
    simulation, simulated_window = (None, None) if degrade is None else simulation_of(degrade, window)
    found_clusters = None
    if tcc is not None:  # first, as a program that cannot be run is known at once
        searching = iter_topological_clusters(
            measured,
            tcc,
            shape=shape,
            voxel_size=voxel_size,
            diameter=diameter,
            recall=settings["recall"],
            **{name: how_clusters[name] for name in clusters},  # a run that is over takes none
        )
        with progress_bar("topological clusters", unit="frame") as show:
            found_clusters = result_of(searching, show)
        measured = found_clusters.particles
    steps = iter_structure(measured, shape=shape, voxel_size=voxel_size, **settings)
    with progress_bar("structure", unit="step") as show:
        found = result_of(steps, show)
    figures: dict[str, object] = {} if found_clusters is None else {"tcc": found_clusters.as_dict()}
    lines = [] if found_clusters is None else [found_clusters.line()]
    if degrade is not None:
        if simulation is None:
            simulation = fluid_like(found, simulated_window)
        comparing = iter_simulation_comparison(
            found, simulation, shape=simulated_window, voxel_size=voxel_size, **settings
        )
        with progress_bar("simulation", unit="step") as show:
            compared = result_of(comparing, show)
        curves["simulation"], lines = compared.as_dict(), [*lines, *compared.lines()]
    if output is not None:
        given: dict[str, object] = {"shape": shape, "voxel_size": voxel_size}
        geometry = {key: source[key] for key in (*given, "frame_interval") if key in source}
        geometry |= {key: value for key, value in given.items() if value is not None}
        provenance = {
            **geometry,
            "program": f"napari-colloids {__version__}",
            "input": table.name,
            "options": settings,
            "structure": found.record(),
            **figures,
            "particles": source,
        }
        write_particles(output, found.particles, metadata=provenance)
    say_how_read(table, particles)
    for notice in dict.fromkeys((*found.notices, *(found_clusters.notices if found_clusters is not None else ()))):
        typer.echo(f"{table.name}: {with_hint(notice)}", err=True)
    if as_json:
        typer.echo(json.dumps({**found.as_dict(), **figures, **curves}))
        return
    size = checked_voxel_size(voxel_size) or implied_voxel_size(particles)
    assumed = str(source.get("assumed", "")) if voxel_size is None else ""
    typer.echo("\n".join([*found.lines(), *lines, voxel_words(size, assumed, remedy="--voxel-size")]))
