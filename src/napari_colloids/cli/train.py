"""``napari-colloids train``: weights of the network from simulated stacks, of all kinds or in the image of one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from napari_colloids.batch.selection import WHERE
from napari_colloids.batch.stack_file import StackFile
from napari_colloids.cli.groups import OUTPUT
from napari_colloids.cli.output import progress_bar
from napari_colloids.cli.settings import takes_settings
from napari_colloids.detection.options import Options
from napari_colloids.errors import ColloidsError
from napari_colloids.settings import HOW, INPUT, changed
from napari_colloids.training.tuning import Tuning


@takes_settings(StackFile, "reading")
@takes_settings(Options, "how", but=["method", "psf", "refine", "intensity", "border"])
@takes_settings(Tuning, "tuning")
def train(
    *,
    config: Annotated[
        Path | None,
        typer.Argument(
            metavar="CONFIG.toml",
            help="Scenes, length of the training and output folder.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    match: Annotated[
        str | None,
        typer.Option(
            metavar="STACK",
            help="Fine-tune on scenes like this stack instead, and say what that has gained.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    reading: Mapping[str, object],
    how: Mapping[str, object],
    frame: Annotated[
        int | None, typer.Option(metavar="T", min=0, help="Which frame, from 0.", rich_help_panel=WHERE)
    ] = None,
    channel: Annotated[
        int | None, typer.Option(metavar="C", min=0, help="Which channel, from 0.", rich_help_panel=WHERE)
    ] = None,
    tuning: Mapping[str, object],
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the last checkpoint.", rich_help_panel=HOW)
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder for the weights of --match.  [default: runs/NAME of the stack]",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
) -> None:
    """Train the network on simulated stacks: from a configuration, or fine-tuned for stacks like one of yours.

    All options but --resume are for --match; a configuration file has its own settings.
    """
    from napari_colloids import training

    if match is not None and config is not None:
        raise ColloidsError("Give either a configuration file, or --match with a stack, not both.")
    if config is not None:
        places = {"frame": frame, "channel": channel, "output": output}
        given = [*reading, *how, *tuning, *(name for name, value in places.items() if value is not None)]
        if given:
            raise ColloidsError(
                f"--{given[0].replace('_', '-')} is for --match only: a configuration file has its own settings."
            )
        training.train(config, resume=resume)
        return
    if match is None:
        raise ColloidsError("Give a configuration file, or --match with a stack to fine-tune the network for.")
    file = changed(StackFile(match), reading, "option")
    options, settings = changed(Options(), how, "option"), changed(Tuning(), tuning, "option")
    with progress_bar("assess", unit="stack") as show:
        result = training.train_matched(
            file.open(),
            output or Path("runs") / Path(file.path).stem,
            options,
            settings,
            frame=frame or 0,
            channel=channel or 0,
            resume=resume,
            progress=show,
        )
    typer.echo(f"{result.verdict}\n{result.weights}")
