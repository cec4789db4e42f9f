"""``napari-colloids simulate``: stacks with their true particles, in the challenge's file layouts."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from napari_colloids.cli.output import made_folder, progress_bar
from napari_colloids.cli.settings import takes_settings
from napari_colloids.errors import ColloidsError
from napari_colloids.simulation.parameters import PRESETS, Parameters

if TYPE_CHECKING:
    from napari_colloids.simulation import Simulation


@takes_settings(Parameters)
def simulate(
    output: Annotated[
        Path, typer.Argument(metavar="OUT.h5", help="File to write (website layout: a folder, or a file).")
    ],
    settings: dict[str, Any],
    count: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Number of volumes, with the seeds S, S+1, ...  [default: 1, or one per metadata row]",
        ),
    ] = None,
    preset: Annotated[
        str | None, typer.Option(metavar="NAME", help=f"Start from: {', '.join(map(repr, PRESETS))}.")
    ] = None,
    metadata: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Take the parameters from a metadata table of the challenge.")
    ] = None,
    layout: Annotated[
        Literal["challenge", "website"], typer.Option(help="One HDF5 file with everything, or the website's files.")
    ] = "challenge",
) -> None:
    """Simulate stacks of colloids whose true positions are known."""
    from napari_colloids import io

    seed = settings.pop("seed", None)
    parameters = _parameters(preset, metadata, settings, count, seed)
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


def _parameters(
    preset: str | None, metadata: Path | None, changes: dict[str, Any], count: int | None, seed: int | None
) -> list[Parameters]:
    """Return the parameters of every volume; the rows of a metadata table are used again when there are too few."""
    if preset is not None and metadata is not None:
        raise ColloidsError("Give either --preset or --metadata, not both.")
    if metadata is not None:
        from napari_colloids.simulation import challenge_parameters

        rows = challenge_parameters(metadata)
    elif preset is not None:
        if preset not in PRESETS:
            raise ColloidsError(f"There is no preset '{preset}'; the presets are: {', '.join(PRESETS)}.")
        rows = [PRESETS[preset]]
    else:
        rows = [Parameters()]
    return [
        replace(rows[number % len(rows)], **changes, seed=_seed_of(number, rows, seed))
        for number in range(len(rows) if count is None else count)
    ]


def _seed_of(number: int, rows: list[Parameters], seed: int | None) -> int | None:
    """Return a seed that no other volume has: also where the same row is used again."""
    if seed is not None:
        return seed + number
    row = rows[number % len(rows)]
    return None if row.seed is None else row.seed + number - number % len(rows)


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
