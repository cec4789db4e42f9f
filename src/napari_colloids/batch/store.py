"""The finished volumes of a job, kept on disk until all are finished, so that an interrupted run can be continued."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from napari_colloids.batch.lock import Lock
from napari_colloids.detection.estimate import DiameterEstimate
from napari_colloids.detection.record import Record
from napari_colloids.detection.series import Part
from napari_colloids.errors import ColloidsError
from napari_colloids.io import atomic_write, particle_writer
from napari_colloids.io.files import to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

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

    Raises
    ------
    ColloidsError
        If another run is writing the table, or nothing can be written there.
    """

    def __init__(self, target: Path, fingerprint: str) -> None:
        self.target = target
        self.folder = target.with_name(f"{target.name}.parts")
        self.fingerprint = fingerprint
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
        estimates = {str(channel): asdict(estimate) for channel, estimate in self.estimates.items()}
        about = to_json({"fingerprint": self.fingerprint, "estimates": estimates})
        if about != self._about:
            with atomic_write(self.folder / _ABOUT) as file:
                file.write_text(about, encoding="utf-8")
            self._about = about
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
        """Write the table of all volumes, with one of them in memory at a time, and remove their files."""
        count = 0
        records = []
        refined: int | None = None
        with particle_writer(self.target, metadata=provenance) as writer:
            for part in parts:
                table = self.load(part)
                records.append(Record.from_attrs(table.attrs))
                table.attrs = {}
                writer.append(table)
                count += len(table)
                if "refined" in table:
                    refined = (refined or 0) + int(table["refined"].sum())
            record = Record.merged(records)
            writer.metadata.update(record.to_attrs(), particles=count)
            if refined is not None:
                writer.metadata["refined"] = refined
        self.clear()
        return Joined(count, record, refined)

    def clear(self) -> None:
        """Remove the finished volumes, and no other files."""
        for pattern in _REMOVABLE:
            for file in self.folder.glob(pattern):
                file.unlink(missing_ok=True)
        self._about = ""

    def _file(self, part: Part) -> Path:
        return self.folder / f"frame{part.frame:06d}_channel{part.channel:03d}.npz"

    def _continues_same_job(self) -> bool:
        """Read the diameters that an interrupted run of the same job has estimated; return whether there was one."""
        try:
            about = json.loads((self.folder / _ABOUT).read_text(encoding="utf-8"))
            estimates = {int(channel): DiameterEstimate(**given) for channel, given in about["estimates"].items()}
        except (OSError, ValueError, KeyError, TypeError):
            return False
        if about.get("fingerprint") != self.fingerprint:
            return False
        self.estimates = estimates
        return True
