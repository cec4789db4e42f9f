"""One job on this machine."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_colloids.batch.outcome import Log, Outcome
from napari_colloids.batch.reuse import opened_store
from napari_colloids.batch.sidecar import written_before
from napari_colloids.detection import Part, Record, iter_detect_series
from napari_colloids.errors import ColloidsError
from napari_colloids.formatting import refinement_words, voxel_words

if TYPE_CHECKING:
    import pandas as pd

    from napari_colloids.batch.job import Job
    from napari_colloids.batch.store import PartStore

#: Called with steps done, their total, and what is being done.
Show = Callable[[int, int, str], None]


def run_job(job: Job, show: Show, log: Log | None = None, *, skip_done: bool = False, redo: bool = False) -> Outcome:
    """Detect from file to file.

    Volumes that an earlier run of the same job has finished are not searched again: those of an interrupted run, and
    those of the table of a run with another choice of frames.

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
    redo
        Search all volumes again, except those of an interrupted run with `redo`.

    Raises
    ------
    ColloidsError
        If the input cannot be used, the table cannot be written, or another run is writing it.
    """
    log = log or Log(None)
    fingerprint = job.fingerprint()
    if skip_done and (written := written_before(job.target, fingerprint, job.selection.frames)) is not None:
        log("skipped: the table is there")
        return Outcome.skipped(job, written)
    stack = job.source.open()
    parts = job.parts(stack)
    region = job.region()
    with closing(opened_store(job, fingerprint, redo=redo)) as store:
        done = set(store.done()).intersection(parts)
        log(f"{len(parts)} volumes of {stack.shape} voxels" + (f", {len(done)} of them done before" if done else ""))

        def keep(part: Part, table: pd.DataFrame) -> None:
            keep_volume(job, store, log, part, table)

        steps = iter_detect_series(
            stack, job.options, parts, keep, done=[*done], estimates=store.estimates, region=region
        )
        for step in steps:
            show(step.done, step.total, step.message)
        return finish(job, store, log)


def keep_volume(job: Job, store: PartStore, log: Log, part: Part, table: pd.DataFrame) -> None:
    """Keep a volume that is done, and log it.

    Raises
    ------
    ColloidsError
        If it cannot be written; or it could not be read, and the input is no longer the one that was searched.
    """
    record = Record.from_attrs(table.attrs)
    if record.unusable:
        _check_unchanged(job, store)  # a file that is gone for a while has no bad frames
    elif job.quality:
        record = _with_quality(job, part, table, record)
        table.attrs.update(record.to_attrs())
    store.keep(part, table)
    reasons = ", ".join(one.reason for one in record.unusable)
    words = f"{reasons}, not searched" if reasons else f"{len(table)} particles, {record.seconds:.1f} s"
    log(f"frame {part.frame}, channel {part.channel}: {words}")


def finish(job: Job, store: PartStore, log: Log) -> Outcome:
    """Join the volumes of a job into its table.

    Raises
    ------
    ColloidsError
        If the input is no longer the one that was searched, no volume of it could be searched, or the table cannot be
        written.
    """
    _check_unchanged(job, store)
    stack = job.source.open()
    parts = job.parts(stack)
    count, record, refined = store.join(parts, job.provenance(stack, parts, store.fingerprint))
    for notice in record.notices:
        log(notice)
    others = len(store.done())
    if others:
        log(f"{others} finished volumes of other frames are kept in {store.folder.name}")
    words = "" if refined is None else f", {refinement_words(refined, record.optics, record.voxel_size)}"
    log(
        f"done: {count} particles, diameter {record.diameter:.2f} px, "
        f"{voxel_words(record.voxel_size, record.assumed)}{words}, {record.seconds:.1f} s"
    )
    return Outcome(job, "done", count, len(parts), record, refined, index=stack.index)


def _with_quality(job: Job, part: Part, table: pd.DataFrame, record: Record) -> Record:
    """Return the record of a volume with the quality of its image, or a notice why it cannot be measured."""
    from napari_colloids.assessment import image_quality

    try:
        quality = image_quality(job.source.open(), table, frame=part.frame, channel=part.channel)
    except ColloidsError as error:
        return replace(record, notices=(*record.notices, str(error)))
    return replace(record, quality=quality.as_dict())


def _check_unchanged(job: Job, store: PartStore) -> None:
    """Refuse an input that is no longer the one that was searched."""
    if job.fingerprint() != store.fingerprint:
        store.clear()  # each volume may be of another state of the input
        raise ColloidsError(f"'{job.name}', its mask or the weights were changed during the search: run again.")
