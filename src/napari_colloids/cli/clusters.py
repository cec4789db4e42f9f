"""Options of the search for topological clusters, which is the work of a user's own program."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from napari_colloids.errors import ColloidsError
from napari_colloids.structure.tcc_settings import CLUSTERS

Tcc = Annotated[
    str | None,
    typer.Option(
        "--tcc",
        metavar="PROGRAM|FOLDER",
        help="Your own program TCC: tells which topological clusters each particle is in. Or the folder of --tcc-input "
        "in which it was run elsewhere.",
        rich_help_panel=CLUSTERS,
    ),
]

TccInputFolder = Annotated[
    Path | None,
    typer.Option(
        "--tcc-input",
        metavar="FOLDER",
        help="Only write the input files of TCC to this folder, to run it elsewhere.",
        rich_help_panel=CLUSTERS,
    ),
]


def check_cluster_options(
    tcc: str | None, tcc_input: Path | None, clusters: Mapping[str, object], *, other_output: bool
) -> None:
    """Refuse options that do not go together.

    Parameters
    ----------
    tcc, tcc_input
        Program or folder of its results, and folder for its input.
    clusters
        Settings that were given, by name.
    other_output
        Whether the structure is wanted in a table or as JSON.

    Raises
    ------
    ColloidsError
        If they do not.
    """
    if clusters and tcc is None and tcc_input is None:
        option = next(iter(clusters)).replace("_", "-")
        raise ColloidsError(f"--{option} is of use with --tcc or --tcc-input only.")
    if tcc_input is not None and (tcc is not None or other_output):
        raise ColloidsError("--tcc-input only writes the input of TCC: leave out --tcc, --output and --json.")
