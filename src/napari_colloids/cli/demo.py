"""``napari-colloids demo``: simulation, detection and score of one stack, to see or to check an installation."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_colloids.cli.groups import OUTPUT
from napari_colloids.cli.output import made_folder, progress_bar, summary
from napari_colloids.cli.score import score_table
from napari_colloids.errors import ColloidsError

if TYPE_CHECKING:
    import pandas as pd

    from napari_colloids.simulation import Simulation

#: The same stack every time, so that the screenshots in the documentation can be compared with one's own.
SEED = 1
#: Large enough for a screenshot, small enough to be searched in seconds.
SHAPE_VOXELS = (64, 112, 112)


def demo(
    output: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the results.", rich_help_panel=OUTPUT)] = Path(
        "demo"
    ),
    gui: Annotated[
        bool | None,
        typer.Option(
            "--gui/--no-gui",
            help="Open napari, or only take a screenshot of it.  [default: open where there is a display]",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
) -> None:
    """Simulate a dense stack, find its particles, score them and show it all in napari."""
    from dataclasses import replace

    from napari_colloids import detection, scoring, simulation
    from napari_colloids.io import atomic_write, write_challenge, write_particles

    if gui and not _has_display():
        raise ColloidsError("There is no display to open napari on; leave out --gui.")
    folder = made_folder(output)
    simulated = simulation.simulate(replace(simulation.PRESETS["dense"], shape=SHAPE_VOXELS, seed=SEED))
    write_challenge(folder / "stack.h5", [simulated])
    typer.echo(f"Simulated {len(simulated.particles)} particles: {folder / 'stack.h5'}", err=True)

    # The window gets all candidates, which its threshold hides or shows; the table holds those above the default one.
    with progress_bar("detect", unit="tile") as show:
        candidates = detection.detect(simulated.stack, threshold=detection.FLOOR, progress=show)
    record = detection.Record.from_attrs(candidates.attrs)
    record = replace(record, threshold=detection.DEFAULT_THRESHOLD[record.method])
    particles = candidates[candidates["confidence"] >= record.threshold].reset_index(drop=True)
    write_particles(folder / "points.csv", particles, metadata=record.to_attrs())
    typer.echo(f"{folder / 'points.csv'}: {summary(len(particles), record)}", err=True)

    result = scoring.score(
        simulated.particles, particles, diameter=2 * simulated.parameters.radius, shape=simulated.stack.shape
    )
    with atomic_write(folder / "scores.json") as scores:
        scores.write_text(result.to_json() + "\n", encoding="utf-8")
    typer.echo(score_table(result))

    candidates.attrs.update(record.to_attrs())
    _show(simulated, candidates, folder / "screenshot.png", gui)


def _show(simulated: "Simulation", particles: "pd.DataFrame", screenshot: Path, gui: bool | None) -> None:
    if not _has_display():
        typer.echo("No display, so no screenshot (xvfb-run -a napari-colloids demo --no-gui takes one).", err=True)
        return
    interactive = gui is None or gui
    try:
        from napari_colloids.widgets.demo import show_demo

        show_demo(simulated.stack, simulated.particles, particles, screenshot=None if interactive else screenshot)
    except ImportError as error:
        message = f"napari has no window here ({error}); install one with: pip install 'napari-colloids[gui]'"
        if gui:
            raise ColloidsError(message) from error
        typer.echo(message, err=True)
    else:
        if not interactive:
            typer.echo(f"Screenshot of the napari window: {screenshot}", err=True)


def _has_display() -> bool:
    return sys.platform in ("darwin", "win32") or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
