"""Connection to the workers of dask.distributed, on this machine or on a cluster."""

from __future__ import annotations

import logging
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from napari_colloids.detection.options import COMPUTING
from napari_colloids.errors import ColloidsError
from napari_colloids.settings import Setting, check_settings, documented

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Client, SpecCluster

#: How long a scheduler may take to answer.
_MAX_SECONDS_TO_ANSWER = 10
#: Environment of local workers: one thread each, and a heap of glibc that keeps the memory of a tile for the next one.
#: What distributed sets instead gives it back after every layer of the network, and costs a third of the speed.
_WORKER_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**34),
}


@documented
@dataclass(frozen=True)
class Cluster:
    """Which workers search: so many processes of this machine, or those of a scheduler.

    Attributes
    ----------
    {settings}

    Raises
    ------
    ColloidsError
        If both are given, or one is out of range.
    """

    workers: Annotated[
        int | None,
        Setting(
            label="Workers",
            help="Search in N processes of this machine, each on one core or GPU.",
            low=1,
            metavar="N",
            group=COMPUTING,
            more="None takes one per GPU or, without any, one per core.",
        ),
    ] = None
    scheduler: Annotated[
        str | None,
        Setting(
            label="Scheduler",
            help="Search on the cluster of the dask scheduler at this address (tcp://HOST:8786).",
            metavar="ADDRESS",
            group=COMPUTING,
        ),
    ] = None

    def __post_init__(self) -> None:
        check_settings(self)
        if self.workers is not None and self.scheduler is not None:
            raise ColloidsError("Workers are of this machine and a scheduler of a cluster: give one of them.")


@contextmanager
def connected(cluster: Cluster) -> Iterator[Client]:
    """Yield a client of a scheduler, or of workers started here for the time being.

    Local workers have one thread each; where there are NVIDIA GPUs each worker sees one of them.

    Parameters
    ----------
    cluster
        Which workers.

    Raises
    ------
    ColloidsError
        If the package is not installed or the scheduler does not answer.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise ColloidsError('A cluster needs one more package: pip install "napari-colloids[cluster]".') from error
    if cluster.scheduler is None:
        with _local_cluster(cluster.workers) as local, Client(local) as client:
            yield client
        return
    try:
        client = Client(cluster.scheduler, timeout=_MAX_SECONDS_TO_ANSWER)
    except (OSError, ValueError) as error:
        message = f"The scheduler at '{cluster.scheduler}' does not answer: is the address right?"
        raise ColloidsError(message) from error
    with client:
        yield client


def _local_cluster(workers: int | None) -> SpecCluster:
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
    with dask.config.set({"distributed.nanny.pre-spawn-environ": _WORKER_ENVIRONMENT}):
        return SpecCluster(workers=specs, scheduler=scheduler, silence_logs=logging.ERROR)


def _count_gpus() -> int:
    """Return the number of NVIDIA GPUs; torch, which takes seconds to load, is only asked where there may be one."""
    if shutil.which("nvidia-smi") is None:
        return 0
    import torch

    return torch.cuda.device_count()
