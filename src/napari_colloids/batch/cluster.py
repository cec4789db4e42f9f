"""Jobs on many processes or machines, through dask.distributed: a task plans, searches, or finishes a volume.

Volumes of more than one tile are cut into boxes, which are searched independently; as tiles include a halo beyond their
own box, and overlaps are suppressed only when all boxes of a volume are together, the result is that of one machine.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_colloids.batch import tasks
from napari_colloids.batch.outcome import Log, Outcome
from napari_colloids.batch.reuse import opened_store
from napari_colloids.batch.run import finish, keep_volume
from napari_colloids.batch.sidecar import written_before
from napari_colloids.detection.estimate import DiameterEstimate
from napari_colloids.detection.record import Record
from napari_colloids.detection.series import of_volume, unusable_table
from napari_colloids.detection.unusable import Unusable
from napari_colloids.errors import ColloidsError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

    import pandas as pd
    from distributed import Client, Future

    from napari_colloids.batch.job import Job
    from napari_colloids.batch.run import Show
    from napari_colloids.detection.series import Part

#: Volumes in progress per worker: enough that none waits, few enough that their results do not pile up in memory.
_VOLUMES_PER_WORKER = 2
#: Number of times that a task that raises is repeated, as on a file that could not be read for a moment. Lost workers
#: are counted by the scheduler instead: `distributed.scheduler.allowed-failures`.
_RETRIES = 2


def run_jobs(
    jobs: Sequence[Job],
    client: Client,
    show: Show,
    log_of: Callable[[Job], Log],
    *,
    skip_done: bool = False,
    redo: bool = False,
) -> Iterator[Outcome]:
    """Do the jobs on a cluster; yields how each ended, in the order in which they end.

    The results are stored by this process, volume by volume, so that an interrupted run can be continued.

    Parameters
    ----------
    jobs
        What to do. The workers must see the files under the same paths.
    client
        Of dask.distributed.
    show
        Called with the progress, in volumes.
    log_of
        Returns the log of a job.
    skip_done, redo
        As in `run_job`.
    """
    from distributed import as_completed

    running: dict[Hashable, _RunningVolume] = {}
    waiting = as_completed()
    with closing(_Queue(jobs, log_of, skip_done=skip_done, redo=redo)) as queue:
        while True:
            yield from queue.ended()
            while len(running) < _VOLUMES_PER_WORKER * max(len(client.scheduler_info(n_workers=-1)["workers"]), 1):
                volume = queue.next()
                if volume is None:
                    break
                future = volume.start(client)
                running[future.key] = volume
                waiting.add(future)
            yield from queue.ended()
            if not running:
                return
            future = next(waiting)
            volume = running.pop(future.key)
            follow_up = volume.advance(client, future)
            if follow_up is not None:
                running[follow_up.key] = volume
                waiting.add(follow_up)
            show(queue.done, queue.total, volume.work.job.name)


class _RunningJob:
    """A job in progress: the volumes that are left, and the store of those that are done."""

    def __init__(self, job: Job, log: Log, fingerprint: str, *, redo: bool) -> None:
        self.job, self.log = job, log
        self.parts = job.parts(job.source.open())
        self.store = opened_store(job, fingerprint, redo=redo)
        done = set(self.store.done()).intersection(self.parts)
        self.waiting = [part for part in self.parts if part not in done]
        #: Number of volumes that are not done.
        self.unfinished = len(self.waiting)
        #: Channels whose diameter is being estimated, or checked, in a first volume; the others wait for it.
        self.estimating: set[int] = set()
        self.failure: str | None = None
        log(f"{len(self.parts)} volumes" + (f", {len(done)} of them done before" if done else ""))

    def next(self) -> Part | None:
        """Return a volume that can be started now."""
        for part in self.waiting:
            if part.channel not in self.estimating:
                self.waiting.remove(part)
                if self.estimate(part) is None:
                    self.estimating.add(part.channel)
                return part
        return None

    def estimate(self, part: Part) -> DiameterEstimate | None:
        return self.store.estimates.get(part.channel)

    def fail(self, message: str) -> None:
        self.failure = self.failure or message
        self.unfinished -= len(self.waiting) + 1
        self.waiting = []

    def keep(self, part: Part, table: pd.DataFrame) -> None:
        try:
            keep_volume(self.job, self.store, self.log, part, table)
        except (ColloidsError, OSError) as error:  # which does not concern the other jobs
            self.fail(str(error))
            return
        self.unfinished -= 1

    def leave_out(self, part: Part, failure: tasks.Failure) -> None:
        """Keep the empty table of a volume that cannot be searched; where it is the only one, fail."""
        if not failure.reason or len(self.parts) == 1:
            self.fail(of_volume(failure.message, part, self.parts))
            return
        try:
            volume = Unusable(*part, failure.reason)
            table = unusable_table(self.job.source.open(), self.job.options, self.job.region(), volume)
        except (ColloidsError, OSError) as error:
            self.fail(str(error))
            return
        self.keep(part, table)

    def outcome(self) -> Outcome:
        with closing(self.store):
            if self.failure is None:
                try:
                    return finish(self.job, self.store, self.log)
                except (ColloidsError, OSError) as error:
                    self.failure = str(error)
        self.log(f"failed: {self.failure}")
        return Outcome(self.job, "failed", message=self.failure)


class _RunningVolume:
    """A volume in progress: it is planned and, if it is small, searched in the same task; otherwise box by box."""

    def __init__(self, work: _RunningJob, part: Part) -> None:
        self.work, self.part = work, part
        self._job = work.job.absolute()  # the workers may be in another folder

    def start(self, client: Client) -> Future:
        estimate = self.work.estimate(self.part)
        return client.submit(tasks.start_volume, self._job, self.part, estimate, retries=_RETRIES, pure=False)

    def advance(self, client: Client, future: Future) -> Future | None:
        """Take the result of a task, and return the next one; None when the volume is done or has failed."""
        if future.status != "finished":
            self.work.fail(f"A worker failed: {future.exception()}")
            return None
        result = future.result()
        if isinstance(result, tasks.Failure):
            self.work.estimating.discard(self.part.channel)  # the next volume of the channel may be better
            self.work.leave_out(self.part, result)
            return None
        if not isinstance(result, tasks.Planned):
            self._keep_estimate(DiameterEstimate.of_record(Record.from_attrs(result.attrs), self.part.frame))
            self.work.keep(self.part, result)
            return None
        self._keep_estimate(replace(result.plan.estimate, frame=self.part.frame))
        found = [
            client.submit(tasks.search_box, self._job, result, box, retries=_RETRIES, pure=False)
            for box in result.boxes
        ]
        return client.submit(tasks.finish_volume, self._job, self.part, result, found, retries=_RETRIES, pure=False)

    def _keep_estimate(self, estimate: DiameterEstimate) -> None:
        """Keep the diameter if the other volumes of the channel wait for it."""
        if self.part.channel in self.work.estimating:
            self.work.store.estimates[self.part.channel] = estimate
            self.work.estimating.remove(self.part.channel)


class _Queue:
    """The jobs, opened one after the other as workers become free."""

    def __init__(self, jobs: Sequence[Job], log_of: Callable[[Job], Log], *, skip_done: bool, redo: bool) -> None:
        self._jobs = list(jobs)
        self._log_of, self._skip_done, self._redo = log_of, skip_done, redo
        self._running: list[_RunningJob] = []
        self._outcomes: list[Outcome] = []
        self._closed = 0

    @property
    def total(self) -> int:
        """Number of volumes of the jobs that were opened, and one for each that was not."""
        return self._closed + sum(len(work.parts) for work in self._running) + len(self._jobs)

    @property
    def done(self) -> int:
        """Number of volumes that are done."""
        return self._closed + sum(len(work.parts) - work.unfinished for work in self._running)

    def next(self) -> _RunningVolume | None:
        """Return a volume to start; None if there is none that can be started now."""
        while True:
            for work in self._running:
                part = work.next()
                if part is not None:
                    return _RunningVolume(work, part)
            if not self._jobs:
                return None
            self._open(self._jobs.pop(0))

    def ended(self) -> Iterator[Outcome]:
        """Return the jobs that have ended since the last call."""
        for work in [work for work in self._running if work.unfinished == 0]:
            self._running.remove(work)
            self._closed += len(work.parts)
            self._outcomes.append(work.outcome())
        ended, self._outcomes = self._outcomes, []
        yield from ended

    def close(self) -> None:
        """Release the jobs that have not ended, for other runs to continue."""
        for work in self._running:
            work.store.close()

    def _open(self, job: Job) -> None:
        log = self._log_of(job)
        try:
            fingerprint = job.fingerprint()
            written = written_before(job.target, fingerprint, job.selection.frames) if self._skip_done else None
            if written is not None:
                log("skipped: the table is there")
                self._outcomes.append(Outcome.skipped(job, written))
            else:
                self._running.append(_RunningJob(job, log, fingerprint, redo=self._redo))
        except (ColloidsError, OSError) as error:
            log(f"failed: {error}")
            self._outcomes.append(Outcome(job, "failed", message=str(error)))
