"""Options of the commands that read particle tables: which columns are which, and what was understood."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_colloids.errors import ColloidsError
from napari_colloids.settings import INPUT

if TYPE_CHECKING:
    import pandas as pd

COLUMNS_METAVAR = "z=NAME,..."

Columns = Annotated[
    str | None,
    typer.Option(
        metavar=COLUMNS_METAVAR,
        help="Which columns of a table of another program are which: z=POSITION_Z,y=POSITION_Y,... (z_um=... for "
        "micrometres; numbers from 0 without a header).  [default: detected]",
        rich_help_panel=INPUT,
    ),
]

VoxelSize = Annotated[
    tuple[float, float, float] | None,
    typer.Option(
        metavar="Z Y X",
        help="Voxel size in micrometres: of tables in micrometres, and for distances where voxels are anisotropic.  "
        "[default: from the table]",
        rich_help_panel=INPUT,
    ),
]


def column_map(text: str | None) -> dict[str, str] | None:
    """Return the column map that an option gives as ``z=NAME,y=NAME``.

    Raises
    ------
    ColloidsError
        If it is written otherwise.
    """
    if text is None:
        return None
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(name.strip() and sign and column.strip() for name, sign, column in pairs):
        raise ColloidsError(f"--columns takes pairs such as z=POSITION_Z,y=POSITION_Y,x=POSITION_X, not '{text}'.")
    return {name.strip(): column.strip() for name, _, column in pairs}


def say_how_read(path: Path, table: "pd.DataFrame") -> None:
    """Print on stderr what was detected or assumed when a table was read."""
    sentences = table.attrs.get("reading", [])
    if sentences:
        typer.echo(f"{path}: {'; '.join(sentences)}", err=True)
