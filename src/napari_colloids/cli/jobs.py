"""Jobs of a command line: run here or on a cluster, and reported line by line."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

from napari_colloids.cli.failures import message_of
from napari_colloids.cli.hints import with_hint
from napari_colloids.cli.output import progress_bar, summary
from napari_colloids.errors import ColloidsError, shown
from napari_colloids.formatting import verdict_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from napari_colloids.batch import Cluster, Job, Outcome
    from napari_colloids.batch.outcome import Log

#: Exit status where a job has failed.
SOME_FAILED = 2


def run_here(jobs: "Sequence[Job]", *, log_files: bool, skip_done: bool, redo: bool) -> "Iterable[Outcome]":
    """Do jobs one after the other on this machine; one that fails does not stop the others.

    Parameters
    ----------
    jobs
        What to do.
    log_files
        Whether to write a log beside each table.
    skip_done, redo
        As in `run_job`.
    """
    from napari_colloids.batch import Outcome, run_job

    log_of = _log_of(log_files)
    for job in jobs:
        log = log_of(job)
        try:
            with progress_bar(job.name, unit="step") as show:
                outcome = run_job(job, show, log, skip_done=skip_done, redo=redo)
        except Exception as error:  # of any library: it does not concern the other jobs
            message = str(error) if isinstance(error, ColloidsError) else message_of(error)
            log(f"failed: {message}")
            if len(jobs) == 1 and not isinstance(error, ColloidsError | OSError):
                raise
            outcome = Outcome(job, "failed", message=message)
        yield outcome


def run_on(
    cluster: "Cluster", jobs: "Sequence[Job]", *, log_files: bool, skip_done: bool, redo: bool
) -> "Iterable[Outcome]":
    """Do jobs on a cluster; the other parameters are those of `run_here`."""
    from napari_colloids.batch.cluster import run_jobs
    from napari_colloids.batch.connection import connected

    with connected(cluster) as client, progress_bar(f"{len(jobs)} inputs", unit="volume") as show:
        yield from run_jobs(jobs, client, show, _log_of(log_files), skip_done=skip_done, redo=redo)


def report(outcomes: "Iterable[Outcome]", jobs: "Sequence[Job]", folder: Path | None) -> int:
    """Say how each job ended, as it ends, and keep the summary of a folder; return the exit status.

    Raises
    ------
    ColloidsError
        If the only job has failed.
    """
    from napari_colloids.batch import write_summary

    ended: list[Outcome] = []
    for outcome in outcomes:
        ended.append(outcome)
        if folder is not None:
            write_summary(folder, sorted(ended, key=lambda one: jobs.index(one.job)))
        if outcome.state == "failed" and len(jobs) == 1:
            raise ColloidsError(outcome.message)
        for line in _lines(outcome):
            typer.echo(shown(line), err=True)
    return SOME_FAILED if any(outcome.state == "failed" for outcome in ended) else 0


def _log_of(log_files: bool) -> "Callable[[Job], Log]":
    from napari_colloids.batch.outcome import Log

    return lambda job: Log(job.target.with_suffix(".log") if log_files else None)


def _lines(outcome: "Outcome") -> list[str]:
    name, target, record = outcome.job.name, outcome.job.target, outcome.record
    if outcome.state == "failed" or record is None:
        return [f"Error: {outcome.job.source.path}: {with_hint(outcome.message)}"]
    if outcome.state == "skipped":
        return [f"{target}: is there already, from the same input and settings (--redo searches again)."]
    lines = [f"{name}: {with_hint(notice)}" for notice in record.notices]
    if record.negative_certain:
        lines.append(f"{name}: run again {'without --dark' if record.dark else 'with --dark'} to find those.")
    if not record.diameter_certain:
        lines.append(f"{name}: to be sure, measure one particle and run again with --diameter PX.")
    lines.append(f"{target}: {summary(outcome.particles, record, outcome.refined, outcome.volumes)}")
    return [*lines, *verdict_lines(cast("Mapping[str, str]", record.quality.get("verdicts", {})))]
