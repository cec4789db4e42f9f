"""The finished volumes of a job, kept on disk until all are finished, so that an interrupted run can be continued."""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from napari_colloids.batch.lock import Lock
from napari_colloids.batch.sidecar import Volume, estimates_in
from napari_colloids.detection.record import Record
from napari_colloids.detection.series import Part
from napari_colloids.errors import ColloidsError
from napari_colloids.io import atomic_write, particle_writer
from napari_colloids.io.files import json_object, to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_colloids.detection.estimate import DiameterEstimate

#: Names of the files in the folder that are not of a volume.
_ABOUT, _LOCK = "about.json", "lock.json"
#: Names of the arrays in the file of a volume beside its columns: the record as JSON, and the job's fingerprint.
_RECORD, _FINGERPRINT = "record", "fingerprint"
#: Patterns of the files that may be removed, unfinished ones of a killed run included; others in the folder are kept.
_REMOVABLE = (_ABOUT, "frame*.npz", ".napari-colloids-*")


class Joined(NamedTuple):
    """Contents of the table of all volumes: number of particles, record of the run, number of refined particles."""

    particles: int
    record: Record
    refined: int | None


def digest_of(table: pd.DataFrame) -> str:
    """Return a digest of the rows of a volume, by which rows that were changed since are recognised."""
    digest = hashlib.blake2b(digest_size=8)
    if len(table):  # tables without rows may lack columns
        for name in sorted(map(str, table)):
            values = table[name].to_numpy(dtype=float, copy=True)
            values[np.isnan(values)] = np.nan  # which has many patterns of bits
            digest.update(name.encode())
            digest.update(values.tobytes())
    return digest.hexdigest()


class PartStore:
    """A folder beside the table to write, with a file per volume that is done.

    Files of other settings, another input or another version are discarded, and so are those that a power cut has
    truncated. The folder is locked until `close`, as two runs would discard each other's files.

    Parameters
    ----------
    target
        The table to write.
    fingerprint
        Digest that identifies the job.
    redo
        Whether to discard what earlier runs have finished, unless they were to redo it, too, and were interrupted.

    Raises
    ------
    ColloidsError
        If another run is writing the table, or nothing can be written there.
    """

    def __init__(self, target: Path, fingerprint: str, *, redo: bool = False) -> None:
        self.target = target
        self.folder = target.with_name(f"{target.name}.parts")
        self.fingerprint = fingerprint
        self._redo = redo
        self._about = ""
        self.estimates: dict[int, DiameterEstimate] = {}
        self._lock = Lock(self.folder / _LOCK, target)
        try:
            if not self._continues_same_job():
                self.clear()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Unlock the folder; finished volumes are kept for the next run."""
        if not any(self.folder.glob("frame*.npz")):
            with suppress(OSError):
                (self.folder / _ABOUT).unlink()
        self._lock.release()
        with suppress(OSError):  # it is not empty
            self.folder.rmdir()

    def done(self) -> list[Part]:
        """Return the finished volumes, and remove files that cannot be used."""
        found = []
        for file in self.folder.glob("frame*.npz"):
            if match := re.fullmatch(r"frame(\d+)_channel(\d+)\.npz", file.name):
                part = Part(int(match[1]), int(match[2]))
                try:
                    self.load(part)
                except ColloidsError:
                    with suppress(OSError):
                        file.unlink()
                else:
                    found.append(part)
        return sorted(found)

    def keep(self, part: Part, table: pd.DataFrame) -> None:
        """Write the particles of a volume, with the record of how they were found (``table.attrs``)."""
        self._write_about()
        arrays: dict[str, NDArray[np.generic]] = {str(name): table[name].to_numpy() for name in table}
        arrays |= {_RECORD: np.array(to_json(table.attrs)), _FINGERPRINT: np.array(self.fingerprint)}
        with atomic_write(self._file(part)) as file, file.open("wb") as opened:
            np.savez(opened, **arrays)  # type: ignore[arg-type]

    def load(self, part: Part) -> pd.DataFrame:
        """Read the particles of a finished volume.

        Raises
        ------
        ColloidsError
            If its file is missing, damaged, or of another job.
        """
        file = self._file(part)
        try:
            # Opened here, as numpy does not close a file that turns out to be damaged.
            with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
                table = pd.DataFrame({name: arrays[name] for name in arrays if name not in (_RECORD, _FINGERPRINT)})
                table.attrs = json.loads(str(arrays[_RECORD]))
                fingerprint = str(arrays[_FINGERPRINT])
        except MemoryError:
            raise
        except Exception as error:  # numpy and zipfile raise nearly anything on damaged bytes
            raise ColloidsError(f"'{file}' is damaged or gone: run again, and this volume is searched anew.") from error
        if fingerprint != self.fingerprint:
            raise ColloidsError(f"'{file}' is of another input or other settings: run again.")
        return table

    def join(self, parts: Iterable[Part], provenance: Mapping[str, object]) -> Joined:
        """Write the table of these volumes, with one of them in memory at a time, and remove their files.

        Finished volumes of other frames are kept for runs that want them.

        Parameters
        ----------
        parts
            Volumes that are done, in the order of the table.
        provenance
            Where the table comes from, for the file beside it.

        Raises
        ------
        ColloidsError
            If none of the volumes could be searched, or the table cannot be written.
        """
        records: dict[Part, Record] = {}
        volumes: dict[Part, Volume] = {}
        refined: int | None = None
        with particle_writer(self.target, metadata=provenance) as writer:
            for part in parts:
                table = self.load(part)
                records[part] = Record.from_attrs(table.attrs)
                table.attrs = {}
                volumes[part] = Volume(
                    frame=part.frame, channel=part.channel, particles=len(table), digest=digest_of(table), record={}
                )
                if not records[part].searched:  # and so without some of the columns
                    continue
                writer.append(table)
                if "refined" in table:
                    refined = (refined or 0) + int(table["refined"].sum())
            record = self._record_of(records)
            for part, one in records.items():
                volumes[part]["record"] = one.difference(record)
            count = sum(volume["particles"] for volume in volumes.values())
            writer.metadata.update(record.to_attrs(), particles=count, volumes=[*volumes.values()])
            writer.metadata["estimates"] = self._estimates()
            if refined is not None:
                writer.metadata["refined"] = refined
        self._remove(records)
        return Joined(count, record, refined)

    def _record_of(self, records: Mapping[Part, Record]) -> Record:
        """Return the record of all volumes; says where the diameter comes from if it is not the first one's."""
        channels = {part.channel for part in records}
        try:
            record = Record.merged(records.values(), several_channels=len(channels) > 1)
        except ColloidsError:
            self._remove(records)
            raise
        first: dict[int, int] = {}
        for part, one in records.items():
            if one.searched:
                first.setdefault(part.channel, part.frame)
        notices = list(record.notices)
        for channel, frame in first.items():
            estimate = self.estimates.get(channel)
            if record.diameter_estimated and estimate is not None and estimate.frame != frame:
                place = f"frame {estimate.frame}" + f", channel {channel}" * (len(channels) > 1)
                notices.append(
                    f"The diameter, {estimate.diameter:.1f} px, is that of an earlier run, estimated in {place}: "
                    "search all again to have it estimated anew."
                )
        return replace(record, notices=tuple(notices))

    def _remove(self, parts: Iterable[Part]) -> None:
        """Remove the files of these volumes; what is left is no longer of a run that redoes others."""
        for part in parts:
            self._file(part).unlink(missing_ok=True)
        if any(self.folder.glob("frame*.npz")):
            self._redo = False
            self._write_about()
        else:
            self.clear()

    def clear(self) -> None:
        """Remove the finished volumes, and no other files."""
        for pattern in _REMOVABLE:
            for file in self.folder.glob(pattern):
                file.unlink(missing_ok=True)
        self._about = ""

    def _file(self, part: Part) -> Path:
        return self.folder / f"frame{part.frame:06d}_channel{part.channel:03d}.npz"

    def _estimates(self) -> dict[str, dict[str, object]]:
        return {str(channel): asdict(estimate) for channel, estimate in self.estimates.items()}

    def _write_about(self) -> None:
        about = to_json({"fingerprint": self.fingerprint, "redo": self._redo, "estimates": self._estimates()})
        if about != self._about:
            with atomic_write(self.folder / _ABOUT) as file:
                file.write_text(about, encoding="utf-8")
            self._about = about

    def _continues_same_job(self) -> bool:
        """Read the diameters that an interrupted run of the same job has estimated; return whether there was one."""
        try:
            about = json_object(self.folder / _ABOUT) or {}
            estimates = estimates_in(about.get("estimates"))
        except ColloidsError:
            return False
        if about.get("fingerprint") != self.fingerprint or (self._redo and not about.get("redo")):
            return False
        self.estimates = estimates
        return True
