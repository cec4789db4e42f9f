"""One job on this machine."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

from napari_colloids.batch.outcome import Log, Outcome
from napari_colloids.batch.sidecar import written_before
from napari_colloids.batch.store import PartStore
from napari_colloids.detection import Part, iter_detect_series
from napari_colloids.errors import ColloidsError
from napari_colloids.formatting import refinement_words

if TYPE_CHECKING:
    import pandas as pd

    from napari_colloids.batch.job import Job

#: Called with steps done, their total, and what is being done.
Show = Callable[[int, int, str], None]


def run_job(job: Job, show: Show, log: Log | None = None, *, skip_done: bool = False) -> Outcome:
    """Detect from file to file.

    Volumes that an earlier, interrupted run of the same job has finished are not searched again.

    Parameters
    ----------
    job
        What to do.
    show
        Called with the progress.
    log
        Called with a line of text for every volume.
    skip_done
        Keep a table that the same job has written before.

    Raises
    ------
    ColloidsError
        If the input cannot be used, the table cannot be written, or another run is writing it.
    """
    log = log or Log(None)
    fingerprint = job.fingerprint()
    if skip_done and (written := written_before(job.target, fingerprint)) is not None:
        log("skipped: the table is there")
        return Outcome.skipped(job, written)
    stack = job.source.open()
    parts = job.parts(stack)
    region = job.region()
    with closing(PartStore(job.target, fingerprint)) as store:
        done = store.done()
        log(f"{len(parts)} volumes of {stack.shape} voxels" + (f", {len(done)} of them done before" if done else ""))

        def keep(part: Part, table: pd.DataFrame) -> None:
            store.keep(part, table)
            log(f"frame {part.frame}, channel {part.channel}: {len(table)} particles, {table.attrs['seconds']:.1f} s")

        steps = iter_detect_series(stack, job.options, parts, keep, done=done, estimates=store.estimates, region=region)
        for step in steps:
            show(step.done, step.total, step.message)
        return finish(job, store, log)


def finish(job: Job, store: PartStore, log: Log) -> Outcome:
    """Join the volumes of a job into its table.

    Raises
    ------
    ColloidsError
        If the input is no longer the one that was searched, or the table cannot be written.
    """
    if job.fingerprint() != store.fingerprint:
        store.clear()  # each may be of another state of the input
        raise ColloidsError(f"'{job.name}', its mask or the weights were changed during the search: run again.")
    stack = job.source.open()
    parts = job.parts(stack)
    count, record, refined = store.join(parts, job.provenance(stack, parts, store.fingerprint))
    for notice in record.notices:
        log(notice)
    words = "" if refined is None else f", {refinement_words(refined, record.optics, stack.voxel_size)}"
    log(f"done: {count} particles, diameter {record.diameter:.2f} px{words}, {record.seconds:.1f} s")
    return Outcome(job, "done", count, len(parts), record, refined, stack.voxel_size)
