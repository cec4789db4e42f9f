"""The command ``napari-colloids``: a thin layer over the library, one module a command.

Torch, h5py and the rest are imported inside the commands, so that ``--help`` answers at once.
"""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from napari_colloids.cli.assess import assess
from napari_colloids.cli.benchmark import benchmark
from napari_colloids.cli.demo import demo
from napari_colloids.cli.detect import detect
from napari_colloids.cli.dynamics import dynamics
from napari_colloids.cli.failures import TRACEBACK_OPTION, tell, wants_traceback
from napari_colloids.cli.groups import MAX_WIDTH, GroupedCommand
from napari_colloids.cli.labels import labels
from napari_colloids.cli.link import link
from napari_colloids.cli.score import score
from napari_colloids.cli.simulate import simulate
from napari_colloids.cli.stopping import stopping
from napari_colloids.cli.structure import structure
from napari_colloids.cli.train import train
from napari_colloids.errors import ColloidsError

#: Exit status after Ctrl-C, as typer has it.
STOPPED = 130

app = typer.Typer(
    name="napari-colloids",
    help="Find every colloid in dense 3D microscope stacks.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": MAX_WIDTH},
)
for command in (demo, simulate, detect, link, structure, dynamics, labels, score, assess, train, benchmark):
    app.command(cls=GroupedCommand)(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        from napari_colloids import __version__

        typer.echo(f"napari-colloids {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    traceback: Annotated[  # taken out of the words before they come here
        bool, typer.Option(TRACEBACK_OPTION, help="With an error, print where it comes from.")
    ] = False,
) -> None:
    """Find every colloid in dense 3D microscope stacks."""


def _refuse_empty(words: Sequence[str]) -> None:
    """Refuse a command with an empty argument: an output of no name would be the current folder.

    Raises
    ------
    ColloidsError
        If there is one; the message names its option.
    """
    for before, word in zip(("", *words), words, strict=False):
        option = word.removesuffix("=") if word.startswith("--") and word.endswith("=") else before
        if word == "" or option != before:
            name = f" ({option})" if option.startswith("-") else ""
            raise ColloidsError(f"An argument of the command is empty{name}: was a variable of the shell not set?")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Parameters
    ----------
    arguments
        Words after ``napari-colloids``; None takes those of the process.

    Returns
    -------
    int
        0 when all went well, 2 for bad input, 1 for any other error (each said in one line on stderr), 130 after
        Ctrl-C or where the process was asked to end.
    """
    if sys.stderr is None:  # it was closed: messages are lost, results are not
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    status = None
    given = list(sys.argv[1:] if arguments is None else arguments)
    with_traceback = wants_traceback(given)
    try:
        _refuse_empty(given)
        with stopping():
            status = app(args=given or ["--help"], standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        status = STOPPED
    except Exception as error:  # of any library
        return tell(error, with_traceback=with_traceback)
    if status == STOPPED:
        typer.echo("Stopped.", err=True)
    return status if isinstance(status, int) else 0
