"""The command ``napari-colloids``: a thin layer over the library, one module a command.

Torch, h5py and the rest are imported inside the commands, so that ``--help`` answers at once.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Annotated

import typer

from napari_colloids.cli.benchmark import benchmark
from napari_colloids.cli.demo import demo
from napari_colloids.cli.detect import detect
from napari_colloids.cli.groups import MAX_WIDTH, GroupedCommand
from napari_colloids.cli.hints import with_hint
from napari_colloids.cli.labels import labels
from napari_colloids.cli.link import link
from napari_colloids.cli.score import score
from napari_colloids.cli.simulate import simulate
from napari_colloids.cli.train import train
from napari_colloids.errors import ColloidsError

#: Exit status of errors that the user can correct.
BAD_INPUT = 2
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
for command in (demo, simulate, detect, link, labels, score, train, benchmark):
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
) -> None:
    """Find every colloid in dense 3D microscope stacks."""


class _Stopped(KeyboardInterrupt):
    """The process was asked to end, which is handled as Ctrl-C is."""


@contextmanager
def _stopping() -> Iterator[None]:
    """Turn the signals of batch systems and closed terminals into exceptions."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _Stopped

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread gets signals
        return
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    handled = [number for number in numbers if signal.getsignal(number) == signal.SIG_DFL]  # nohup ignores one
    for number in handled:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, signal.SIG_DFL)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Parameters
    ----------
    arguments
        Words after ``napari-colloids``; None takes those of the process.

    Returns
    -------
    int
        0 when all went well, 2 for bad input (said in one line on stderr), 130 after Ctrl-C or where the process was
        asked to end.
    """
    if sys.stderr is None:  # it was closed: messages are lost, results are not
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    status, message = None, ""
    try:
        given = sys.argv[1:] if arguments is None else list(arguments)
        with _stopping():
            status = app(args=given or ["--help"], standalone_mode=False)
    except ColloidsError as error:
        message = with_hint(str(error))
    except typer.TyperException as error:  # unknown options, missing arguments, ...
        message = error.format_message()
    except OSError as error:
        message = f"{error.filename}: {error.strerror}." if error.filename and error.strerror else str(error)
    except (KeyboardInterrupt, typer.Abort):
        status = STOPPED
    if message:
        typer.echo(f"Error: {' '.join(message.split())}", err=True)
        return BAD_INPUT
    if status == STOPPED:
        typer.echo("Stopped.", err=True)
    return status if isinstance(status, int) else 0
