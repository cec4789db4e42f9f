"""``napari-colloids train``: weights of the network from simulated stacks."""

from pathlib import Path
from typing import Annotated

import typer

from napari_colloids.settings import HOW, INPUT


def train(
    *,
    config: Annotated[
        Path,
        typer.Argument(
            metavar="CONFIG.toml", help="Scenes, length of the training and output folder.", rich_help_panel=INPUT
        ),
    ],
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the last checkpoint.", rich_help_panel=HOW)
    ] = False,
) -> None:
    """Train the network on simulated stacks."""
    from napari_colloids import training

    training.train(config, resume=resume)
