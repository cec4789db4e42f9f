"""``napari-colloids demo``: the whole path on a simulated stack, to look at or to check an installation."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from napari_colloids.cli.output import made_folder, progress_bar
from napari_colloids.cli.score import score_table

#: The same stack every time, so that the pictures in the documentation can be compared with one's own.
SEED = 1


def demo(
    output: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the results.")] = Path("demo"),
    gui: Annotated[
        bool | None,
        typer.Option("--gui/--no-gui", help="Open napari, or only take its picture  [default: open on a display]"),
    ] = None,
) -> None:
    """Simulate a dense stack, find its particles, score them and show it all in napari."""
    from dataclasses import replace

    from napari_colloids import detection, scoring, simulation
    from napari_colloids.io import write_challenge, write_particles
    from napari_colloids.io.atomic import replacing

    folder = made_folder(output)
    simulated = simulation.simulate(replace(simulation.PRESETS["dense"], seed=SEED))
    write_challenge(folder / "stack.h5", [simulated])
    typer.echo(f"Simulated {len(simulated.particles)} particles: {folder / 'stack.h5'}", err=True)

    with progress_bar("detect", unit="tile") as show:
        particles = detection.detect(simulated.stack, progress=show)
    facts = dict(particles.attrs)
    write_particles(folder / "points.csv", particles, metadata=facts)
    typer.echo(
        f"Found {len(particles)} in {facts['seconds']:.1f} s on {facts['device']}, diameter "
        f"{facts['diameter']:.1f} px: {folder / 'points.csv'}",
        err=True,
    )

    result = scoring.score(
        simulated.particles, particles, diameter=2 * simulated.parameters.radius, shape=simulated.stack.shape
    )
    with replacing(folder / "scores.json") as scores:
        scores.write_text(result.to_json() + "\n")
    typer.echo(score_table(result))
    _show(folder, gui)


def _show(folder: Path, gui: bool | None) -> None: ...


def _has_display() -> bool:
    return sys.platform in ("darwin", "win32") or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
