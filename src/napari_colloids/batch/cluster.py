"""Jobs on many processes or machines, through dask.distributed: a task looks at, searches, or finishes a volume.

Volumes of more than one tile are cut into boxes, which are searched apart; as tiles see a halo beyond their own box,
and overlaps are only thinned when all boxes of a volume are together, the result is that of one machine.
"""

from __future__ import annotations

import logging
import shutil
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from napari_colloids.batch import tasks
from napari_colloids.batch.outcome import Log, Outcome
from napari_colloids.batch.run import finish
from napari_colloids.batch.store import PartStore, written_before
from napari_colloids.detection.estimate import DiameterEstimate
from napari_colloids.detection.record import Record
from napari_colloids.detection.series import of_volume
from napari_colloids.errors import ColloidsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from napari_colloids.batch.job import Job
    from napari_colloids.detection.series import Part

#: Volumes under way per worker: enough that none waits, few enough that what they found does not pile up.
_AHEAD = 2
#: What local workers start with: one thread each, and a heap of glibc that keeps the memory of a tile for the next one.
#: What distributed sets instead gives it back after every layer of the network, and costs a third of the speed.
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**34),
}
#: How often a task that raises is tried again, as on a file that could not be read for a moment. Workers that are lost
#: do not count here, but for the scheduler: `distributed.scheduler.allowed-failures`.
_RETRIES = 2


@contextmanager
def connected(scheduler: str | None, workers: int | None) -> Iterator[Any]:
    """Yield a client of a scheduler's address, or of workers started here for the time being.

    Local workers have one thread each; where there are NVIDIA GPUs each worker sees one of them.

    Parameters
    ----------
    scheduler
        Address, as ``tcp://host:8786``.
    workers
        How many to start where there is no scheduler; None for one per GPU or, without any, one per core.

    Raises
    ------
    ColloidsError
        If the package is not installed or the scheduler does not answer.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise ColloidsError('A cluster needs one more package: pip install "napari-colloids[cluster]".') from error
    if scheduler is None:
        with _local_cluster(workers) as cluster, Client(cluster) as client:
            yield client
        return
    try:
        client = Client(scheduler, timeout="10s")
    except (OSError, ValueError) as error:
        raise ColloidsError(f"The scheduler at '{scheduler}' does not answer: is the address right?") from error
    with client:
        yield client


def _local_cluster(workers: int | None) -> Any:
    import dask
    import psutil
    from distributed import Nanny, Scheduler, SpecCluster

    gpus = _count_gpus()
    count = workers or gpus or psutil.cpu_count(logical=False) or 1
    specs = {}
    for number in range(count):
        environment = {"CUDA_VISIBLE_DEVICES": str(number % gpus)} if gpus else {}
        options = {"nthreads": 1, "env": environment, "host": "127.0.0.1", "silence_logs": logging.CRITICAL}
        specs[number] = {"cls": Nanny, "options": options}
    scheduler = {"cls": Scheduler, "options": {"host": "127.0.0.1", "dashboard_address": ":0"}}
    with dask.config.set({"distributed.nanny.pre-spawn-environ": _ENVIRONMENT}):
        return SpecCluster(workers=specs, scheduler=scheduler, silence_logs=logging.ERROR)


def _count_gpus() -> int:
    """Return the number of NVIDIA GPUs; torch, which takes seconds to load, is only asked where there may be one."""
    if shutil.which("nvidia-smi") is None:
        return 0
    import torch

    return torch.cuda.device_count()


def run_jobs(
    jobs: Sequence[Job],
    client: Any,
    show: Callable[[int, int, str], None],
    log_of: Callable[[Job], Log],
    *,
    skip_done: bool = False,
) -> Iterator[Outcome]:
    """Do the jobs on a cluster; yields how each ended, in the order in which they end.

    The results are kept here, volume by volume, so that a run that was stopped is gone on with.

    Parameters
    ----------
    jobs
        What to do. The workers must see the files under the same paths.
    client
        Of dask.distributed.
    show
        Told of the progress, in volumes.
    log_of
        Returns the log of a job.
    skip_done
        Leave tables as they are that these very jobs have written.
    """
    from distributed import as_completed

    running: dict[Any, _Volume] = {}
    waiting = as_completed()
    with closing(_Queue(jobs, log_of, skip_done)) as queue:
        while True:
            yield from queue.ended()
            while len(running) < _AHEAD * max(len(client.scheduler_info(n_workers=-1)["workers"]), 1):
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


class _Work:
    """A job under way."""

    def __init__(self, job: Job, log: Log, fingerprint: str) -> None:
        self.job, self.log = job, log
        self.parts = job.parts(job.source.open())
        self.store = PartStore(job.target, fingerprint)
        done = set(self.store.done())
        self.left = [part for part in self.parts if part not in done]
        self.open = len(self.left)
        #: Channels whose diameter is being estimated; their other volumes wait for it.
        self.estimating: set[int] = set()
        self.failure: str | None = None
        log(f"{len(self.parts)} volumes" + (f", {len(done)} of them done before" if done else ""))

    def next(self) -> Part | None:
        """Return a volume that can be started now."""
        for part in self.left:
            if part.channel not in self.estimating:
                self.left.remove(part)
                if self.estimate(part) is None and self._to_be_estimated():
                    self.estimating.add(part.channel)
                return part
        return None

    def estimate(self, part: Part) -> DiameterEstimate | None:
        return self.store.estimates.get(part.channel)

    def fail(self, message: str) -> None:
        self.failure = self.failure or message
        self.open -= len(self.left) + 1
        self.left = []

    def keep(self, part: Part, table: Any) -> None:
        try:
            self.store.keep(part, table)
        except (ColloidsError, OSError) as error:  # the other jobs may write where they want to
            self.fail(str(error))
            return
        self.open -= 1
        self.log(f"frame {part.frame}, channel {part.channel}: {len(table)} particles, {table.attrs['seconds']:.1f} s")

    def outcome(self) -> Outcome:
        with closing(self.store):
            if self.failure is None:
                try:
                    return finish(self.job, self.store, self.log)
                except (ColloidsError, OSError) as error:
                    self.failure = str(error)
        self.log(f"failed: {self.failure}")
        return Outcome(self.job, "failed", message=self.failure)

    def _to_be_estimated(self) -> bool:
        return self.job.options.diameter is None and self.job.options.diameter_um is None


class _Volume:
    """A volume under way: it is looked at and, if it is small, searched at once; otherwise box by box."""

    def __init__(self, work: _Work, part: Part) -> None:
        self.work, self.part = work, part
        self._job = work.job.absolute()  # the workers may be in another folder

    def start(self, client: Any) -> Any:
        estimate = self.work.estimate(self.part)
        return client.submit(tasks.start_volume, self._job, self.part, estimate, retries=_RETRIES, pure=False)

    def advance(self, client: Any, future: Any) -> Any:
        """Take what a task gave, and return the next one; None when the volume is done or has failed."""
        if future.status != "finished":
            self.work.fail(f"A worker failed: {future.exception()}")
            return None
        result = future.result()
        if isinstance(result, tasks.Failure):
            self.work.fail(of_volume(result.message, self.part, self.work.parts))
            return None
        if not isinstance(result, tasks.Planned):
            self._learn(DiameterEstimate.of_record(Record.from_attrs(result.attrs)))
            self.work.keep(self.part, result)
            return None
        self._learn(result.plan.estimate)
        found = [
            client.submit(tasks.search_box, self._job, result, box, retries=_RETRIES, pure=False)
            for box in result.boxes
        ]
        return client.submit(tasks.finish_volume, self._job, self.part, result, found, retries=_RETRIES, pure=False)

    def _learn(self, estimate: DiameterEstimate) -> None:
        """Keep the diameter if the other volumes of the channel wait for it."""
        if self.part.channel in self.work.estimating:
            self.work.store.estimates[self.part.channel] = estimate
            self.work.estimating.remove(self.part.channel)


class _Queue:
    """The jobs, opened one after the other as there is room for their volumes."""

    def __init__(self, jobs: Sequence[Job], log_of: Callable[[Job], Log], skip_done: bool) -> None:
        self._jobs = list(jobs)
        self._log_of, self._skip_done = log_of, skip_done
        self._works: list[_Work] = []
        self._outcomes: list[Outcome] = []
        self._closed = 0

    @property
    def total(self) -> int:
        """Volumes of the jobs that were opened, and one for each that was not."""
        return self._closed + sum(len(work.parts) for work in self._works) + len(self._jobs)

    @property
    def done(self) -> int:
        """Volumes that are done."""
        return self._closed + sum(len(work.parts) - work.open for work in self._works)

    def next(self) -> _Volume | None:
        """Return a volume to start; None if there is none that can be started now."""
        while True:
            for work in self._works:
                part = work.next()
                if part is not None:
                    return _Volume(work, part)
            if not self._jobs:
                return None
            self._open(self._jobs.pop(0))

    def ended(self) -> Iterator[Outcome]:
        """Return the jobs that have ended since the last call."""
        for work in [work for work in self._works if work.open == 0]:
            self._works.remove(work)
            self._closed += len(work.parts)
            self._outcomes.append(work.outcome())
        ended, self._outcomes = self._outcomes, []
        yield from ended

    def close(self) -> None:
        """Let other runs go on with the jobs that have not ended."""
        for work in self._works:
            work.store.close()

    def _open(self, job: Job) -> None:
        log = self._log_of(job)
        try:
            fingerprint = job.fingerprint()
            if self._skip_done and (facts := written_before(job.target, fingerprint)) is not None:
                log("skipped: the table is there")
                self._outcomes.append(Outcome.skipped(job, facts))
            else:
                self._works.append(_Work(job, log, fingerprint))
        except (ColloidsError, OSError) as error:
            log(f"failed: {error}")
            self._outcomes.append(Outcome(job, "failed", message=str(error)))
