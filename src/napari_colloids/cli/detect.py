"""``napari-colloids detect``: stacks in, particle tables out."""

import os
from collections.abc import Callable, Iterable, Sequence
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_colloids.cli.output import check_table_can_be_written, made_folder, progress_bar, summary
from napari_colloids.cli.settings import takes_settings
from napari_colloids.detection.options import HOW, Options
from napari_colloids.errors import ColloidsError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from napari_colloids.batch import Job, Outcome, Source
    from napari_colloids.refinement import PSF

#: Headings of the help, beside those of the settings.
INPUT, WHERE, OUTPUT, COMPUTING = "Input", "Where to look", "Output", "Computing"


@takes_settings(Options, but=["psf"])
def detect(
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT", help="Stacks (TIFF, HDF5, Leica, Nikon, Zeiss, ...) or patterns.")
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            help="Table (.csv .xyz .h5 .parquet), or a folder for one CSV per input.",
            rich_help_panel=OUTPUT,
        ),
    ],
    settings: dict[str, Any],
    psf: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Stack of one small bead: the measured PSF, for --refine.", rich_help_panel=HOW
        ),
    ] = None,
    voxel_size: Annotated[
        tuple[float, float, float] | None,
        typer.Option(
            metavar="Z Y X", help="Voxel size in micrometres  [default: from the file]", rich_help_panel=INPUT
        ),
    ] = None,
    z_scale: Annotated[
        float,
        typer.Option(
            metavar="F",
            help="Multiply the voxel size along z (mismatch of refractive indices).",
            rich_help_panel=INPUT,
        ),
    ] = 1.0,
    index: Annotated[
        str,
        typer.Option(
            metavar="K", help="Which series of a file that holds several, or 'all' of them.", rich_help_panel=INPUT
        ),
    ] = "0",
    dataset: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Dataset in an HDF5 file or image in a Zarr folder.", rich_help_panel=INPUT),
    ] = None,
    axes: Annotated[
        str | None,
        typer.Option(
            metavar="TCZYX", help="What the dimensions are, where the file does not say.", rich_help_panel=INPUT
        ),
    ] = None,
    channel: Annotated[
        list[int] | None,
        typer.Option(
            metavar="C", help="Which channel; can be given several times  [default: 0]", rich_help_panel=WHERE
        ),
    ] = None,
    frames: Annotated[
        str | None,
        typer.Option(metavar="A:B", help="Frames A to B-1 of a time series  [default: all]", rich_help_panel=WHERE),
    ] = None,
    z_range: Annotated[
        tuple[int, int] | None, typer.Option(metavar="A B", help="Search slices A to B-1 only.", rich_help_panel=WHERE)
    ] = None,
    rectangle: Annotated[
        tuple[float, float, float, float] | None,
        typer.Option(
            metavar="Y0 X0 Y1 X1", help="Search this rectangle of the slices only (voxels).", rich_help_panel=WHERE
        ),
    ] = None,
    mask: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Search only where this stack of the same shape is not 0.", rich_help_panel=WHERE
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Search in N processes, each on one core or GPU.", rich_help_panel=COMPUTING
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Search on the cluster of this dask scheduler.", rich_help_panel=COMPUTING
        ),
    ] = None,
    redo: Annotated[
        bool,
        typer.Option("--redo", help="Search again the inputs whose tables are there already.", rich_help_panel=OUTPUT),
    ] = False,
) -> int:
    """Find the particles of one or several stacks; a run that was stopped goes on where it was."""
    from napari_colloids.batch import jobs_of
    from napari_colloids.detection.weights import network_of

    if workers is not None and scheduler is not None:
        raise ColloidsError("--workers is for this machine and --scheduler for a cluster: give one of them.")
    if psf is not None:
        settings["psf"] = _measured_psf(psf, z_scale)
    options = Options(**settings)
    if options.weights is not None:  # once, and not for every input
        network_of(options.weights)
    common = {"dataset": dataset, "axes": axes, "voxel_size": voxel_size, "z_scale": z_scale}
    sources = [source for path in _files(inputs) for source in _series_of(path, index, common)]
    target = Path(output)
    into_folder = target.is_dir() or not target.suffix or output.endswith(("/", os.sep))
    jobs = jobs_of(
        sources,
        target,
        into_folder=into_folder,
        options=options,
        frames=frames,
        channels=tuple(dict.fromkeys(channel or [0])),
        z_range=z_range,
        rectangles=() if rectangle is None else (rectangle,),
        mask=mask,
    )
    if into_folder:
        made_folder(target)
    for job in jobs:
        check_table_can_be_written(job.target)
    batch = {"skip_done": into_folder and not redo}
    if workers is not None or scheduler is not None:
        outcomes = _on_a_cluster(jobs, scheduler, workers, into_folder, batch)
    else:
        outcomes = _here(jobs, into_folder, batch)
    try:
        return _report(outcomes, jobs, target if into_folder else None)
    except KeyboardInterrupt:
        if any(job.target.with_name(f"{job.target.name}.parts").exists() for job in jobs):
            typer.echo("What is done is kept; the same command goes on from there.", err=True)
        raise


def _measured_psf(path: str, z_scale: float) -> "PSF":
    from napari_colloids.io import read_stack
    from napari_colloids.refinement import PSF

    stack = read_stack(path)
    # Without a voxel size of its own it has that of the stacks, whose correction it shares.
    return PSF.measured(stack if z_scale == 1 or stack.voxel_size is None else stack.scaled_along_z(z_scale))


def _files(inputs: Sequence[str]) -> list[str]:
    """Return the inputs with patterns replaced by the files that they match."""
    files: dict[str, str] = {}  # by their absolute path, so that none is searched twice
    for given in inputs:
        found = [given] if Path(given).exists() else sorted(glob(given, recursive=True))
        if not found:
            what = "No file matches" if any(letter in given for letter in "*?[") else "There is no file"
            raise ColloidsError(f"{what} '{given}'.")
        for file in found:
            files.setdefault(os.path.abspath(file), file)
    return list(files.values())


def _series_of(path: str, index: str, common: dict[str, Any]) -> "list[Source]":
    from napari_colloids.batch import Source
    from napari_colloids.io import list_series

    if index == "all":
        try:
            every = list_series(path) if common["dataset"] is None else []
        except ColloidsError:
            every = []
        usable, left_out = [], []
        for number, series in enumerate(every):
            if not series.problem or (common["axes"] is not None and len(common["axes"]) == len(series.shape)):
                usable.append(Source(path, number, **common))
            else:
                left_out.append(f"{path}: series {number} is left out: {series.problem}")
        if not usable:
            return [Source(path, 0, **common)]  # which says what is wrong when its turn comes
        for line in left_out:
            typer.echo(line, err=True)
        return usable
    if not index.isdecimal():
        raise ColloidsError(f"--index takes the number of a series, from 0, or 'all', not '{index}'.")
    return [Source(path, int(index), **common)]


def _log_of(into_folder: bool) -> Callable[..., Any]:
    from napari_colloids.batch.outcome import Log

    return lambda job: Log(job.target.with_suffix(".log") if into_folder else None)


def _here(jobs: "Sequence[Job]", into_folder: bool, settings: dict[str, Any]) -> "Iterable[Outcome]":
    """Do the jobs one after the other on this machine."""
    from napari_colloids.batch import Outcome, run_job

    for job in jobs:
        log = _log_of(into_folder)(job)
        try:
            with progress_bar(job.name, unit="step") as show:
                outcome = run_job(job, show, log, **settings)
        except (ColloidsError, OSError) as error:  # the others are to be searched all the same
            log(f"failed: {error}")
            outcome = Outcome(job, "failed", message=str(error))
        yield outcome


def _on_a_cluster(
    jobs: "Sequence[Job]", scheduler: str | None, workers: int | None, into_folder: bool, settings: dict[str, Any]
) -> "Iterable[Outcome]":
    from napari_colloids.batch.cluster import connected, run_jobs

    cluster: AbstractContextManager[Any] = connected(scheduler, workers)
    with cluster as client, progress_bar(f"{len(jobs)} inputs", unit="volume") as show:
        yield from run_jobs(jobs, client, show, _log_of(into_folder), **settings)


def _report(outcomes: "Iterable[Outcome]", jobs: "Sequence[Job]", folder: Path | None) -> int:
    """Say how each job ended, as it ends; return the exit status."""
    from napari_colloids.batch import write_summary

    ended: list[Outcome] = []
    for outcome in outcomes:
        ended.append(outcome)
        if folder is not None:
            write_summary(folder, sorted(ended, key=lambda one: jobs.index(one.job)))
        if outcome.state == "failed" and len(jobs) == 1:
            raise ColloidsError(outcome.message)
        for line in _lines(outcome):
            typer.echo(line, err=True)
    return 2 if any(outcome.state == "failed" for outcome in ended) else 0


def _lines(outcome: "Outcome") -> list[str]:
    name, target, record = outcome.job.name, outcome.job.target, outcome.record
    if outcome.state == "failed" or record is None:
        return [f"Error: {outcome.job.source.path}: {outcome.message}"]
    if outcome.state == "skipped":
        return [f"{target}: is there already, from the same input and settings (--redo searches again)."]
    lines = [f"{name}: {notice}" for notice in record.notices]
    if record.negative_certain:
        lines.append(f"{name}: run again {'without --dark' if record.dark else 'with --dark'} to find those.")
    if not record.diameter_certain:
        lines.append(f"{name}: to be sure, measure one particle and run again with --diameter PX.")
    return [*lines, f"{target}: {summary(outcome.particles, record, outcome.refined, outcome.voxel_size)}"]
