"""``napari-colloids score``: compare a particle table with the truth."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from napari_colloids.scoring import Score


def score(
    truth: Annotated[Path, typer.Argument(metavar="TRUTH", help="Table of the true particles.")],
    prediction: Annotated[Path, typer.Argument(metavar="PREDICTION", help="Table of the particles found.")],
    diameter: Annotated[float, typer.Option(metavar="PX", help="Particle diameter in voxels.")],
    shape: Annotated[tuple[int, int, int], typer.Option(metavar="Z Y X", help="Shape of the stack in voxels.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Score found particles against the truth."""
    from napari_colloids import scoring
    from napari_colloids.io import read_particles

    result = scoring.score(read_particles(truth), read_particles(prediction), diameter=diameter, shape=shape)
    typer.echo(result.to_json() if as_json else score_table(result))


def score_table(result: "Score") -> str:
    """Return the figures of a score as lines for a person to read."""
    figures = json.loads(result.to_json())
    rows = [
        ("challenge AP", _figure(figures["challenge_ap"])),
        ("precision (at half a diameter)", _figure(figures["precision"])),
        ("recall", _figure(figures["recall"])),
        ("F1", _figure(figures["f1"])),
        ("AP (ranked by confidence)", _figure(figures["ap"])),
        ("true positives", str(figures["true_positives"])),
        ("false positives", str(figures["false_positives"])),
        ("missed", str(figures["false_negatives"])),
        *((f"RMSE {axis} [voxels]", _figure(figures["rmse"][axis])) for axis in "zyx"),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value:>8}" for name, value in rows)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
