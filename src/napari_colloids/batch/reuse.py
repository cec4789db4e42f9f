"""Volumes of a finished table, which a run with another choice of frames does not search again."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from napari_colloids.batch.sidecar import estimates_in, sidecar_of
from napari_colloids.batch.store import PartStore, digest_of
from napari_colloids.detection.record import Record
from napari_colloids.detection.series import Part
from napari_colloids.errors import ColloidsError
from napari_colloids.io import read_particles

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import pandas as pd

    from napari_colloids.batch.job import Job
    from napari_colloids.batch.sidecar import Sidecar
    from napari_colloids.detection.estimate import DiameterEstimate


def opened_store(job: Job, fingerprint: str, *, redo: bool) -> PartStore:
    """Return the store of a job, with what an interrupted run or one with another choice of frames has finished.

    Parameters
    ----------
    job
        The job.
    fingerprint
        Its digest.
    redo
        Whether to search again what earlier runs have finished.
    """
    store = PartStore(job.target, fingerprint, redo=redo)
    written = None if redo else sidecar_of(job.target, fingerprint)
    if written is not None and written["chosen"] != job.selection.frames:
        try:
            _take_over(store, written)
        except BaseException:
            store.close()
            raise
    return store


def _take_over(store: PartStore, written: Sidecar) -> None:
    """Keep the volumes of the finished table whose rows are as they were written, unless their diameter is another."""
    try:
        estimates = estimates_in(written["estimates"])
        volumes = list(_volumes_in(store.target, written))
    except (ColloidsError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return  # it was damaged or changed, and all volumes are searched again
    if store.estimates and _diameters(store.estimates) != _diameters(estimates):
        return
    store.estimates = estimates
    done = set(store.done())
    for part, table in volumes:
        if part not in done:
            store.keep(part, table)


def _diameters(estimates: Mapping[int, DiameterEstimate]) -> dict[int, float]:
    return {channel: estimate.diameter for channel, estimate in estimates.items()}


def _volumes_in(target: Path, written: Sidecar) -> Iterator[tuple[Part, pd.DataFrame]]:
    table = read_particles(target)
    table.attrs = {}
    record = Record.from_attrs(cast("dict[str, object]", written))
    keys = [table[name].to_numpy() if name in table else np.zeros(len(table), int) for name in ("frame", "channel")]
    rows = table.groupby(keys, sort=False).indices
    several_channels = "channel" in table
    for volume in written["volumes"]:
        part = Part(int(volume["frame"]), int(volume["channel"]))
        # Without a column there is one channel, whatever its number.
        key = (part.frame if "frame" in table else 0, part.channel if several_channels else 0)
        found = table.iloc[rows.get(key, [])].reset_index(drop=True)
        if digest_of(found) == volume["digest"]:
            found.attrs.update(record.with_difference(volume["record"]).to_attrs())
            yield part, found
