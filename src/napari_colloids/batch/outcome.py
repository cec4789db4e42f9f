"""How jobs ended: the outcome of each, a log file per input, and a table of all."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pandas as pd

from napari_colloids.batch.job import SUMMARY, Job
from napari_colloids.detection.record import Record
from napari_colloids.detection.unusable import unusable_notices
from napari_colloids.errors import shown
from napari_colloids.formatting import voxel_size_words
from napari_colloids.io import atomic_write
from napari_colloids.table_limits import csv_names

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from napari_colloids.batch.sidecar import Sidecar

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
        Numbers of particles found and of volumes asked for.
    record
        How they were found; None where the job failed.
    refined
        Number of particles that were refined; None without refinement.
    message
        What went wrong.
    index
        Number of the series that was searched; None where the job failed.
    """

    job: Job
    state: Literal["done", "skipped", "failed"]
    particles: int = 0
    volumes: int = 0
    record: Record | None = None
    refined: int | None = None
    message: str = ""
    index: int | None = None

    @classmethod
    def skipped(cls, job: Job, written: Sidecar) -> Outcome:
        """Return the outcome of a job whose table exists, from the file beside it."""
        record, refined = Record.from_attrs(written), written.get("refined")
        index = written["options"].get("index")
        return cls(job, "skipped", written["particles"], len(written["volumes"]), record, refined, index=index)


class Log:
    """A text file with one line per event of a job; without a path nothing is written.

    Parameters
    ----------
    path
        The file, to which lines are added.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def __call__(self, text: str) -> None:
        """Add a line, with the time; a log that cannot be written does not stop the job."""
        if self._path is not None:
            with suppress(OSError), self._path.open("a", encoding="utf-8") as file:
                file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {shown(text)}\n")


def write_summary(folder: Path, outcomes: Iterable[Outcome]) -> Path:
    """Write a row per job to ``summary.csv`` in a folder and return its path.

    Rows of an earlier summary are kept if they are of other tables that still exist.
    """
    rows = [
        {
            "input": shown(outcome.job.name),
            "index": "" if outcome.index is None else outcome.index,
            "channels": " ".join(map(str, outcome.job.selection.channels)),
            "table": shown(outcome.job.target.name),
            "state": outcome.state,
            "particles": outcome.particles,
            "volumes": outcome.volumes,
            "refined": outcome.refined,
            **{name: getattr(outcome.record, name, None) for name in _RECORD_COLUMNS},
            **_voxel_columns(outcome.record),
            "unusable": "; ".join(_unusable(outcome)),
            "message": outcome.message,
        }
        for outcome in outcomes
    ]
    path = folder / SUMMARY
    new = pd.DataFrame(rows)
    table = pd.concat([_rows_of_other_tables(path, new), new], ignore_index=True)
    with atomic_write(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
    return path


def _voxel_columns(record: Record | None) -> dict[str, str]:
    """Return the voxel size and what of it was assumed, as the summary has them."""
    if record is None:
        return {"voxel_size": "", "assumed": ""}
    if record.voxel_size is None:
        return {"voxel_size": "unknown", "assumed": "cubic"}
    return {"voxel_size": voxel_size_words(record.voxel_size), "assumed": record.assumed}


def _unusable(outcome: Outcome) -> list[str]:
    """Return the volumes that were not searched, and why."""
    unusable = () if outcome.record is None else outcome.record.unusable
    return unusable_notices(unusable, several_channels=len(outcome.job.selection.channels) > 1)


def _rows_of_other_tables(path: Path, new: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of an earlier summary that are of other tables than the `new` ones."""
    try:
        csv_names(path)
        before = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError):
        return new.iloc[:0]
    if list(before.columns) != list(new.columns):
        return new.iloc[:0]
    there = {shown(file.name) for file in path.parent.iterdir() if file.is_file()}
    others = [name in there - set(new["table"]) for name in before["table"]]
    return before[others]
