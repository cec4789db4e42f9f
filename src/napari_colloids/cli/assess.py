"""``napari-colloids assess``: what a detection is worth on a stack without ground truth."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_colloids.batch.selection import WHERE
from napari_colloids.batch.stack_file import StackFile
from napari_colloids.cli.groups import OUTPUT
from napari_colloids.cli.output import made_folder, progress_bar
from napari_colloids.cli.settings import takes_settings
from napari_colloids.detection.options import COMPUTING, Options
from napari_colloids.formatting import verdict_lines, voxel_words
from napari_colloids.settings import INPUT, changed

if TYPE_CHECKING:
    from napari_colloids.assessment import Assessment

#: Files in the output folder.
REPORT, FIGURES = "report.html", "assessment.json"


@takes_settings(StackFile, "reading")
@takes_settings(Options, "how", but=["psf", "refine", "intensity", "border"])
def assess(
    *,
    stack: Annotated[str, typer.Argument(metavar="STACK", help="The stack.", rich_help_panel=INPUT)],
    reading: Mapping[str, object],
    how: Mapping[str, object],
    frame: Annotated[int, typer.Option(metavar="T", min=0, help="Which frame, from 0.", rich_help_panel=WHERE)] = 0,
    channel: Annotated[int, typer.Option(metavar="C", min=0, help="Which channel, from 0.", rich_help_panel=WHERE)] = 0,
    twins: Annotated[
        int | None,
        typer.Option(metavar="N", min=2, help="Number of simulated stacks.", rich_help_panel=COMPUTING),
    ] = None,
    seed: Annotated[
        int, typer.Option(metavar="S", min=0, help="Seed of the simulated stacks.", rich_help_panel=COMPUTING)
    ] = 0,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help=f"Folder for {REPORT} and {FIGURES}.", rich_help_panel=OUTPUT
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of words.", rich_help_panel=OUTPUT)
    ] = False,
) -> None:
    """Predict precision, recall and localisation error on a stack of your own, from simulations in its image.

    Where no simulation describes the stack there is no prediction, and the reasons are given.
    """
    from napari_colloids.assessment import N_TWINS, iter_assess
    from napari_colloids.assessment.report import report
    from napari_colloids.detection import Part
    from napari_colloids.detection.inputs import input_stack
    from napari_colloids.io import atomic_write

    options = changed(Options(), how, "option")
    opened = input_stack(changed(StackFile(stack), reading, "option").open())
    if output is not None:
        made_folder(output)
    steps = iter_assess(opened, options, Part(frame, channel), twins=twins or N_TWINS, seed=seed)
    with progress_bar("assess", unit="stack") as show:
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                found: Assessment = end.value
                break
            show(*step)
    if output is not None:
        for name, text in ((REPORT, report(found, opened.name)), (FIGURES, found.to_json() + "\n")):
            with atomic_write(output / name) as path:
                path.write_text(text, encoding="utf-8")
    words = found.to_json() if as_json else assessment_words(found)
    typer.echo(words)
    if not as_json:
        typer.echo(voxel_words(opened.voxel_size, opened.assumed, remedy="--voxel-size"))


def assessment_words(found: "Assessment") -> str:
    """Return an assessment as lines of text."""
    lines = [f"{len(found.particles)} particles in the part assessed, threshold {found.threshold:.2f}"]
    if found.quality is not None:
        lines += verdict_lines(found.quality.verdicts())
    if found.arranged_as_found:
        lines.append("Not a random packing of one kind: the simulated stacks are arranged as what was found.")
    checked = [*(f"{name}: {words}" for name, words in found.checks.words().items()), *found.checks.disagreements]
    predicted = found.prediction
    if predicted is None:
        reasons = [f"  {reason}" for reason in found.reasons]
        lines += ["No prediction: no model here describes this stack.", *reasons, *checked]
        return "\n".join(lines)
    errors = ", ".join(f"{axis} {value:.2f}" for axis, value in predicted.rmse.items())
    lowest = found.threshold_for_95
    lines += [
        f"Predicted precision: {predicted.precision!r}",
        f"Predicted recall:    {predicted.recall!r}",
        f"Localisation error (RMSE, voxels): {errors}",
        *checked,
        "No threshold has a predicted precision of 95 %."
        if lowest is None
        else f"Lowest threshold with a predicted precision of 95 %: {lowest:.2f}",
    ]
    return "\n".join(lines)
