"""``napari-colloids score``: compare a particle table with the truth."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from napari_colloids.scoring import Score


def score(
    truth: Annotated[Path, typer.Argument(metavar="TRUTH", help="Table of the true particles.")],
    prediction: Annotated[Path, typer.Argument(metavar="PREDICTION", help="Table of the particles found.")],
    diameter: Annotated[float, typer.Option(metavar="PX", help="Particle diameter in lateral voxels.")],
    shape: Annotated[tuple[int, int, int], typer.Option(metavar="Z Y X", help="Shape of the stack in voxels.")],
    voxel_size: Annotated[
        tuple[float, float, float] | None,
        typer.Option(
            metavar="Z Y X",
            help="Voxel size, so that distances are right where voxels are no cubes  [default: from the tables]",
        ),
    ] = None,
    index: Annotated[int, typer.Option(metavar="K", help="Which volume, of files of the challenge.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Score found particles against the truth."""
    from napari_colloids import scoring
    from napari_colloids.io import read_particles

    true, found = (read_particles(path, index=index) for path in (truth, prediction))
    result = scoring.score(true, found, diameter=diameter, shape=shape, voxel_size=voxel_size)
    typer.echo(result.to_json() if as_json else score_table(result))


def score_table(result: "Score") -> str:
    """Return the figures of a score as lines for a person to read."""
    rows = [
        ("challenge AP", f"{result.challenge_ap:.4f}"),
        ("AP (ranked by confidence)", f"{result.ap:.4f}"),
        ("precision (at half a diameter)", f"{result.precision:.4f}"),
        ("recall", f"{result.recall:.4f}"),
        ("F1", f"{result.f1:.4f}"),
        ("true positives", f"{result.true_positives}"),
        ("false positives", f"{result.false_positives}"),
        ("missed", f"{result.false_negatives}"),
        *((f"RMSE {axis} [voxels]", f"{result.rmse[axis]:.3f}") for axis in "zyx"),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value:>8}" for name, value in rows)
