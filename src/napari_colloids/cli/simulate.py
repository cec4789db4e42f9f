"""``napari-colloids simulate``: stacks with their true particles, in the challenge's file layouts."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from napari_colloids.cli.groups import OUTPUT
from napari_colloids.cli.output import made_folder, progress_bar
from napari_colloids.cli.settings import takes_settings
from napari_colloids.errors import ColloidsError
from napari_colloids.settings import changed
from napari_colloids.simulation.parameters import PRESETS, SAMPLE, Parameters

if TYPE_CHECKING:
    from napari_colloids.simulation import Simulation


@takes_settings(Parameters, "settings")
def simulate(
    *,
    output: Annotated[
        Path,
        typer.Argument(
            metavar="OUT.h5", help="File to write; in the website's layout, a folder or a file.", rich_help_panel=OUTPUT
        ),
    ],
    preset: Annotated[
        str | None,
        typer.Option(metavar="NAME", help=f"Start from {', '.join(map(repr, PRESETS))}.", rich_help_panel=SAMPLE),
    ] = None,
    metadata: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV", help="Start from the rows of a metadata table of the challenge.", rich_help_panel=SAMPLE
        ),
    ] = None,
    settings: Mapping[str, object],
    count: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Number of volumes, with the seeds S, S+1, ...  [default: 1, or one per metadata row]",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    layout: Annotated[
        Literal["challenge", "website"],
        typer.Option(
            metavar="challenge|website",
            help="One HDF5 file with everything, or the files of the challenge's website.",
            rich_help_panel=OUTPUT,
        ),
    ] = "challenge",
) -> None:
    """Simulate stacks of colloids whose true positions are known."""
    from napari_colloids import io

    parameters = _parameters(_start(preset, metadata), settings, count)
    made: list[tuple[float, float]] = []
    if layout == "website":
        if not output.suffix:
            made_folder(output)
        io.write_challenge_website(output, _volumes(parameters, made))
    else:
        io.write_challenge(output, _volumes(parameters, made))
    fractions, spreads = (_span(values) for values in zip(*made, strict=True))
    number = f"{len(parameters)} volume{'s' * (len(parameters) > 1)}"
    typer.echo(f"{output}: {number}, volume fraction {fractions}, polydispersity {spreads}", err=True)


def _start(preset: str | None, metadata: Path | None) -> list[Parameters]:
    """Return the parameters that the settings change: the rows of a table, a preset or the defaults."""
    if preset is not None and metadata is not None:
        raise ColloidsError("Give either --preset or --metadata, not both.")
    if metadata is not None:
        from napari_colloids.simulation import challenge_parameters

        return challenge_parameters(metadata)
    if preset is None:
        return [Parameters()]
    if preset not in PRESETS:
        raise ColloidsError(f"There is no preset '{preset}'; the presets are: {', '.join(PRESETS)}.")
    return [PRESETS[preset]]


def _parameters(rows: list[Parameters], changes: Mapping[str, object], count: int | None) -> list[Parameters]:
    """Return the parameters of every volume; rows are used again where there are too few, with other seeds."""
    rows = [changed(row, changes, "option") for row in rows]
    return [
        replace(rows[number % len(rows)], seed=_seed_of(number, rows, given="seed" in changes))
        for number in range(len(rows) if count is None else count)
    ]


def _seed_of(number: int, rows: list[Parameters], *, given: bool) -> int | None:
    """Return a seed that no other volume has, also where a row is used again."""
    seed = rows[number % len(rows)].seed
    if seed is None:
        return None
    return seed + number if given else seed + number - number % len(rows)


def _span(values: tuple[float, ...]) -> str:
    """Say between which values all lie."""
    return "-".join(dict.fromkeys(f"{value:.3f}" for value in (min(values), max(values))))


def _volumes(parameters: list[Parameters], made: list[tuple[float, float]]) -> Iterator["Simulation"]:
    """Yield the volumes, and note the volume fraction and polydispersity that each came to."""
    from napari_colloids import simulation

    with progress_bar("simulate", unit="volume") as show:
        for number, row in enumerate(parameters):
            show(number, len(parameters))
            volume = simulation.simulate(row)
            made.append((volume.volume_fraction, volume.polydispersity))
            yield volume
