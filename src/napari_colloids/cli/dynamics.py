"""``napari-colloids dynamics``: how a suspension relaxes, from the trajectories of its particles."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_colloids.cli.groups import OUTPUT
from napari_colloids.cli.settings import takes_settings
from napari_colloids.cli.tables import Columns, VoxelSize, column_map, say_how_read
from napari_colloids.dynamics.link_settings import Timing
from napari_colloids.dynamics.relaxation_settings import RelaxationSettings
from napari_colloids.errors import ColloidsError
from napari_colloids.formatting import voxel_words
from napari_colloids.settings import HOW, INPUT, changed

if TYPE_CHECKING:
    from napari_colloids.dynamics import CoherentScattering, Relaxation

#: Curves of the table in words, with their headings; the lag comes first.
_SHOWN = {
    "msd": "MSD",
    "fs": "F_s",
    "overlap": "overlap",
    "chi4": "chi_4",
    "alpha2": "alpha_2",
    "survivors": "survivors",
}
#: Width of a column of that table.
_WIDTH = 12


@takes_settings(Timing, "timing")
@takes_settings(RelaxationSettings, "how")
def dynamics(
    *,
    tracks: Annotated[
        Path,
        typer.Argument(metavar="TRACKS", help="Linked particles, as 'link' writes them.", rich_help_panel=INPUT),
    ],
    timing: Mapping[str, object],
    voxel_size: VoxelSize = None,
    columns: Columns = None,
    how: Mapping[str, object],
    coherent: Annotated[
        bool,
        typer.Option(
            "--coherent",
            help="Evaluate the coherent scattering function F(q, t) / S(q), too.",
            rich_help_panel=HOW,
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="OUT", help="Table to write (.csv), one row a lag.", rich_help_panel=OUTPUT
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of words.", rich_help_panel=OUTPUT)
    ] = False,
) -> None:
    """Evaluate trajectories: MSD, F_s, overlap, chi_4 and alpha_2, corrected for the localisation errors."""
    from napari_colloids.dynamics import relaxation
    from napari_colloids.dynamics.coherent_beside import coherent_beside, curves_of
    from napari_colloids.io import atomic_write, read_particles
    from napari_colloids.jsonable import jsonable
    from napari_colloids.particles import implied_voxel_size, with_micrometres
    from napari_colloids.stack import checked_frame_interval, checked_voxel_size

    if output is not None and output.suffix.lower() != ".csv":
        raise ColloidsError(f"'{output}' has another ending than .csv, in which the curves are written.")
    if output is not None and output.resolve() == tracks.resolve():
        raise ColloidsError(f"The output {output} is also the input; choose another name.")
    settings = changed(RelaxationSettings(), how, "option")
    particles = read_particles(tracks, columns=column_map(columns), voxel_size=voxel_size)
    source = dict(particles.attrs)
    interval = changed(Timing(), timing, "option").frame_interval
    interval = checked_frame_interval(source.get("frame_interval") if interval is None else interval)

    table = with_micrometres(particles, voxel_size)

    def computed() -> "tuple[Relaxation, CoherentScattering | None]":
        found = relaxation(table, frame_interval=interval, voxel_size=voxel_size, **asdict(settings))
        if not coherent:
            return found, None
        return found, coherent_beside(found, table, settings, frame_interval=interval, voxel_size=voxel_size)

    if output is None:
        found, waves = computed()
    else:
        with atomic_write(output) as path:  # which finds out before the long work whether it can be written
            found, waves = computed()
            curves_of(found, waves).to_csv(path, index=False)
    say_how_read(tracks, particles)
    if as_json:
        typer.echo(json.dumps(jsonable(found.as_dict() | coherent_figures(found, waves))))
        return
    for notice in all_notices(found, waves):
        typer.echo(f"{tracks.name}: {notice}", err=True)
    size = checked_voxel_size(voxel_size) or implied_voxel_size(particles)
    assumed = str(source.get("assumed", "")) if voxel_size is None else ""
    typer.echo(f"{relaxation_table(found, waves)}\n{voxel_words(size, assumed, remedy='--voxel-size')}")


def all_notices(found: "Relaxation", waves: "CoherentScattering | None") -> list[str]:
    """Return what the user should know of both, each once."""
    return list(dict.fromkeys(found.notices + (waves.notices if waves is not None else [])))


def coherent_figures(found: "Relaxation", waves: "CoherentScattering | None") -> dict[str, object]:
    """Return what the JSON object says of the coherent function; nothing where it was not asked for."""
    if waves is None:
        return {}
    from napari_colloids.dynamics.coherent_beside import COHERENT_COLUMNS, curves_of

    table = curves_of(found, waves)
    return {
        **{name: table[name].to_numpy() for name in COHERENT_COLUMNS},
        "structure_factor": waves.structure_factor,
        "structure_factor_raw": waves.structure_factor_raw,
        "notices": all_notices(found, waves),
    }


def relaxation_table(found: "Relaxation", waves: "CoherentScattering | None" = None) -> str:
    """Return the curves of a relaxation as a table of text, and the relaxation time."""
    from napari_colloids.dynamics.coherent_beside import curves_of

    unit, table = found.unit, curves_of(found, waves)
    time = found.lag if found.lag_s is None else found.lag_s
    shown = _SHOWN if waves is None else {**_SHOWN, "f_coherent": "F/S"}
    headings = [f"lag [{'frames' if found.lag_s is None else 's'}]", f"MSD [{unit}^2]", *list(shown.values())[1:]]
    lines = ["".join(f"{heading:>{max(_WIDTH, len(heading) + 2)}}" for heading in headings)]
    widths = [max(_WIDTH, len(heading) + 2) for heading in headings]
    for values in zip(time, *(table[name] for name in shown), strict=True):
        lines.append("".join(f"{value:>{width}.4g}" for value, width in zip(values, widths, strict=True)))
    tau = "not reached"
    if found.tau_alpha is not None:
        tau = f"{found.tau_alpha:.3g} frames" if found.tau_alpha_s is None else f"{found.tau_alpha_s:.3g} s"
    lines.append(
        f"F_s falls to 1/e (tau_alpha): {tau}; q = {found.q:.4g} /{unit}, overlap within "
        f"{found.overlap_distance:.3g} {unit}, axes {found.axes}"
    )
    return "\n".join(lines)
