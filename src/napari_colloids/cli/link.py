"""``napari-colloids link``: particles of a time series in, trajectories out."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_colloids.cli.groups import OUTPUT
from napari_colloids.cli.output import check_table_can_be_written
from napari_colloids.cli.settings import takes_settings
from napari_colloids.cli.tables import Columns, VoxelSize, column_map, say_how_read
from napari_colloids.dynamics.link_settings import LinkSettings, Timing
from napari_colloids.errors import ColloidsError
from napari_colloids.formatting import voxel_words
from napari_colloids.settings import INPUT, changed

if TYPE_CHECKING:
    import pandas as pd


@takes_settings(Timing, "timing")
@takes_settings(LinkSettings, "how")
def link(
    *,
    table: Annotated[
        Path,
        typer.Argument(
            metavar="TABLE", help="Particles of a time series, with a column 'frame'.", rich_help_panel=INPUT
        ),
    ],
    timing: Mapping[str, object],
    voxel_size: VoxelSize = None,
    columns: Columns = None,
    how: Mapping[str, object],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="TRACKS",
            help="Table to write (.csv .xyz .h5 .parquet).",
            rich_help_panel=OUTPUT,
        ),
    ],
) -> None:
    """Link the particles of a time series into trajectories."""
    from napari_colloids import __version__, dynamics
    from napari_colloids.io import read_particles, write_particles
    from napari_colloids.particles import implied_voxel_size, with_micrometres
    from napari_colloids.stack import checked_frame_interval, checked_voxel_size

    settings = changed(LinkSettings(), how, "option")
    particles = read_particles(table, columns=column_map(columns), voxel_size=voxel_size)
    if output.resolve() == table.resolve():
        raise ColloidsError(f"The output {output} is also the input; choose another name.")
    check_table_can_be_written(output)
    source = dict(particles.attrs)
    interval = changed(Timing(), timing, "option").frame_interval
    interval = checked_frame_interval(source.get("frame_interval") if interval is None else interval)
    tracks = dynamics.link(
        with_micrometres(particles, voxel_size),
        voxel_size=voxel_size,
        search_range=settings.search_range,
        memory=settings.memory,
        subtract_drift=settings.subtract_drift,
        min_length=settings.min_length,
        predict_motion=settings.predict_motion,
    )
    given = {"voxel_size": voxel_size, "frame_interval": interval}
    geometry = {key: source[key] for key in ("shape", *given) if key in source}
    geometry |= {key: value for key, value in given.items() if value is not None}
    provenance = {
        **geometry,
        "program": f"napari-colloids {__version__}",
        "input": table.name,
        "options": {
            "memory": settings.memory,
            "subtract_drift": settings.subtract_drift,
            "min_length": settings.min_length,
            "predict_motion": settings.predict_motion,
            "search_range": tracks.attrs["search_range"],
        },
        "common_motion": tracks.attrs["common_motion"],
        "notices": tracks.attrs["notices"],
        "particles": source,
    }
    write_particles(output, tracks, metadata=provenance)
    say_how_read(table, particles)
    for notice in tracks.attrs["notices"]:
        typer.echo(f"{table.name}: {notice}", err=True)
    size = checked_voxel_size(voxel_size) or implied_voxel_size(particles)
    assumed = str(source.get("assumed", "")) if voxel_size is None else ""
    words = voxel_words(size, assumed, remedy="--voxel-size")
    typer.echo(f"{output}: {summary(tracks, interval)}, {words}", err=True)


def summary(tracks: "pd.DataFrame", frame_interval: float | None) -> str:
    """Return the facts of a linking in one line."""
    from napari_colloids.dynamics import diffusion_coefficient, mean_squared_displacement

    count = int(tracks["particle"].nunique())
    text = f"{count} trajectories, mean length {len(tracks) / max(count, 1):.1f} frames"
    text += f", search range {tracks.attrs['search_range']:.2f} px"
    try:
        diffusion = diffusion_coefficient(mean_squared_displacement(tracks, frame_interval=frame_interval))
    except ColloidsError:  # too few frames
        return text
    return f"{text}, D = {diffusion.coefficient:.4g} {diffusion.unit}"
