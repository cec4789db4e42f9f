"""How jobs ended, and the two records of it: a log per input and a table of all."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from napari_colloids.batch.job import SUMMARY, Job
from napari_colloids.detection.record import Record
from napari_colloids.io import atomic_write

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from napari_colloids.stack import VoxelSize

#: Columns of the summary that come from the record of the run.
_RECORD_COLUMNS = ("diameter", "diameter_certain", "seconds", "mvoxel_per_s")


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes
    ----------
    job
        The job.
    state
        ``done``, ``skipped`` (the table was there) or ``failed``.
    particles, volumes
        How many were found and searched.
    record
        How they were found.
    refined
        How many were refined; None where that was not asked for.
    voxel_size
        Of the stack, in micrometres ``(z, y, x)``.
    message
        What went wrong.
    """

    job: Job
    state: Literal["done", "skipped", "failed"]
    particles: int = 0
    volumes: int = 0
    record: Record | None = None
    refined: int | None = None
    voxel_size: VoxelSize | None = None
    message: str = ""

    @classmethod
    def skipped(cls, job: Job, written: dict[str, Any]) -> Outcome:
        """Return the outcome of a job whose table is there, from what was written beside it."""
        first, end = written["options"]["frames"]
        volumes = (end - first) * len(written["options"]["channels"])
        record, refined = Record.from_attrs(written), written.get("refined")
        return cls(job, "skipped", written["particles"], volumes, record, refined, written["voxel_size"])


class Log:
    """A text file of what happened to an input, a line an event; a log without a path keeps nothing.

    Parameters
    ----------
    path
        The file, to which lines are added.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def __call__(self, text: str) -> None:
        """Add a line, with the time; a log that cannot be written is no reason to stop."""
        if self._path is not None:
            with suppress(OSError), self._path.open("a", encoding="utf-8") as file:
                file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {text}\n")


def write_summary(folder: Path, outcomes: Iterable[Outcome]) -> Path:
    """Write a row per job to ``summary.csv`` in a folder and return its path.

    The rows of an earlier summary stay if they are of other tables, and these are still there.
    """
    rows = [
        {
            "input": outcome.job.name,
            "index": outcome.job.source.index,
            "table": outcome.job.target.name,
            "state": outcome.state,
            "particles": outcome.particles,
            "volumes": outcome.volumes,
            "refined": outcome.refined,
            **{name: getattr(outcome.record, name, None) for name in _RECORD_COLUMNS},
            "message": outcome.message,
        }
        for outcome in outcomes
    ]
    path = folder / SUMMARY
    now = pd.DataFrame(rows)
    table = pd.concat([_of_others(path, now), now], ignore_index=True)
    with atomic_write(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
    return path


def _of_others(path: Path, now: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of an earlier summary that are of other tables than those `now`."""
    try:
        before = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError):
        return now.iloc[:0]
    if list(before.columns) != list(now.columns):
        return now.iloc[:0]
    others = [name not in set(now["table"]) and (path.parent / name).is_file() for name in before["table"]]
    return before[others]
