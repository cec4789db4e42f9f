"""``napari-colloids detect``: stacks in, particle tables out."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from napari_colloids.batch.connection import Cluster
from napari_colloids.batch.selection import WHERE, Selection
from napari_colloids.batch.stack_file import StackFile
from napari_colloids.cli.groups import OUTPUT
from napari_colloids.cli.output import check_table_can_be_written, made_folder
from napari_colloids.cli.settings import takes_settings
from napari_colloids.detection.options import Options
from napari_colloids.settings import HOW, INPUT, changed


@takes_settings(StackFile, "reading", but=["index"])
@takes_settings(Options, "how", but=["psf"])
@takes_settings(Selection, "where")
@takes_settings(Cluster, "computing")
def detect(
    *,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Stacks (TIFF, HDF5, Leica, Nikon, Zeiss, ...), patterns of their names, or folders.",
            rich_help_panel=INPUT,
        ),
    ],
    index: Annotated[
        str | None,
        typer.Option(
            metavar="K",
            help="Which series of a file that holds several, from 0, or 'all'.  [default: the first 3D stack]",
            rich_help_panel=INPUT,
        ),
    ] = None,
    reading: Mapping[str, object],
    how: Mapping[str, object],
    psf: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Stack of one small bead, on which the PSF is measured for --refine.",
            rich_help_panel=HOW,
        ),
    ] = None,
    channel: Annotated[
        list[int] | None,
        typer.Option(
            metavar="C", help="Which channel, from 0; can be given several times.  [default: 0]", rich_help_panel=WHERE
        ),
    ] = None,
    where: Mapping[str, object],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="Table (.csv .xyz .h5 .parquet), or a folder for one CSV per input.",
            rich_help_panel=OUTPUT,
        ),
    ],
    redo: Annotated[
        bool,
        typer.Option("--redo", help="Search again what is done already.", rich_help_panel=OUTPUT),
    ] = False,
    quality: Annotated[
        bool,
        typer.Option(
            "--quality",
            help="Measure optics, noise, sizes and steadiness of each image, too, and write them beside the table.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    computing: Mapping[str, object],
) -> int:
    """Find the particles of one or several stacks.

    An interrupted run is continued by the same command, and frames that are done are not searched again where only
    --frames is changed.
    """
    from napari_colloids.batch import jobs_of
    from napari_colloids.cli import jobs as running
    from napari_colloids.cli.inputs import measured_psf, stack_files
    from napari_colloids.detection.weights import network_of

    cluster = changed(Cluster(), computing, "option")
    bead = {} if psf is None else {"psf": measured_psf(psf, reading)}
    options = changed(Options(), {**how, **bead}, "option")
    if options.weights is not None:  # once, and not for every input
        network_of(options.weights)
    target = Path(output)
    into_folder = target.is_dir() or not target.suffix or output.endswith(("/", os.sep))
    jobs = jobs_of(
        stack_files(inputs, index, reading),
        target,
        into_folder=into_folder,
        options=options,
        selection=changed(Selection(tuple(dict.fromkeys(channel or [0]))), where, "option"),
        quality=quality,
    )
    if into_folder:
        made_folder(target)
    for job in jobs:
        check_table_can_be_written(job.target)
    how_often = {"skip_done": into_folder and not redo, "redo": redo}
    if computing:
        outcomes = running.run_on(cluster, jobs, log_files=into_folder, **how_often)
    else:
        outcomes = running.run_here(jobs, log_files=into_folder, **how_often)
    try:
        return running.report(outcomes, jobs, target if into_folder else None)
    except KeyboardInterrupt:
        if any(job.target.with_name(f"{job.target.name}.parts").exists() for job in jobs):
            typer.echo("Finished volumes are kept; the same command continues from there.", err=True)
        raise
