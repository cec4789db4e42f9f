"""``napari-colloids score``: comparison of a particle table with the truth, or with another one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_colloids.cli.groups import OUTPUT
from napari_colloids.cli.tables import COLUMNS_METAVAR, Columns, VoxelSize, column_map, say_how_read
from napari_colloids.errors import ColloidsError
from napari_colloids.formatting import voxel_words
from napari_colloids.settings import INPUT

if TYPE_CHECKING:
    from napari_colloids.scoring import Comparison, Score


def score(
    *,
    truth: Annotated[Path, typer.Argument(metavar="TRUTH", help="Table of the true particles.", rich_help_panel=INPUT)],
    prediction: Annotated[
        Path, typer.Argument(metavar="PREDICTION", help="Table of the particles found.", rich_help_panel=INPUT)
    ],
    diameter: Annotated[
        float, typer.Option(metavar="PX", help="Diameter of a particle in lateral voxels.", rich_help_panel=INPUT)
    ],
    shape: Annotated[
        tuple[int, int, int] | None,
        typer.Option(
            metavar="Z Y X", help="Shape of the stack in voxels; --compare needs none.", rich_help_panel=INPUT
        ),
    ] = None,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare",
            help="TRUTH is no truth but another detection (method, threshold, half of the light): what both have, "
            "what one alone has, and how far apart they are.",
            rich_help_panel=INPUT,
        ),
    ] = False,
    voxel_size: VoxelSize = None,
    columns: Columns = None,
    truth_columns: Annotated[
        str | None,
        typer.Option(metavar=COLUMNS_METAVAR, help="Columns of TRUTH, in the same way.", rich_help_panel=INPUT),
    ] = None,
    index: Annotated[
        int,
        typer.Option(metavar="K", help="Which volume, from 0, of files of the challenge.", rich_help_panel=INPUT),
    ] = 0,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON object instead of a table.", rich_help_panel=OUTPUT),
    ] = False,
) -> None:
    """Score found particles against the truth, or compare two detections."""
    from napari_colloids import scoring
    from napari_colloids.io import read_particles
    from napari_colloids.particles import implied_voxel_size
    from napari_colloids.stack import checked_voxel_size

    if shape is None and not compare:
        raise ColloidsError("To score, the shape of the stack is needed: --shape Z Y X; --compare needs none.")
    true, found = (
        read_particles(path, index=index, columns=column_map(columns_of), voxel_size=voxel_size)
        for path, columns_of in ((truth, truth_columns), (prediction, columns))
    )
    result: Score | Comparison
    if shape is None or compare:
        result = scoring.compare(true, found, diameter=diameter, voxel_size=voxel_size)
    else:
        result = scoring.score(true, found, diameter=diameter, shape=shape, voxel_size=voxel_size)
    say_how_read(truth, true)
    say_how_read(prediction, found)
    if as_json:
        typer.echo(result.to_json())
        return
    size = checked_voxel_size(voxel_size) or implied_voxel_size(true) or implied_voxel_size(found)
    assumed = str(found.attrs.get("assumed", "")) if voxel_size is None else ""
    text = score_table(result) if isinstance(result, scoring.Score) else comparison_table(result)
    typer.echo(f"{text}\n{voxel_words(size, assumed, remedy='--voxel-size')}")


def score_table(result: "Score") -> str:
    """Return the figures of a score as a table of text."""
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
    return _aligned(rows)


def comparison_table(result: "Comparison") -> str:
    """Return the figures of a comparison as a table of text."""
    return _aligned(
        [
            ("in both", f"{result.common}"),
            ("only in the first", f"{result.only_first.sum()}"),
            ("only in the second", f"{result.only_second.sum()}"),
            ("of the first in the second", f"{result.share_of_first:.4f}"),
            ("of the second in the first", f"{result.share_of_second:.4f}"),
            *((f"offset {axis} [voxels]", f"{result.offset[axis]:.3f}") for axis in "zyx"),
            *((f"spread {axis} [voxels]", f"{result.spread[axis]:.3f}") for axis in "zyx"),
        ]
    )


def _aligned(rows: list[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value:>8}" for name, value in rows)
