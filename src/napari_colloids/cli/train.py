"""``napari-colloids train``: make the network's weights anew, from simulation."""

from pathlib import Path
from typing import Annotated

import typer


def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="What to train on, for how long, where to.")],
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
) -> None:
    """Train the detector on simulated stacks."""
    from napari_colloids import training

    training.train(config, resume=resume)
