"""The volumes of a job that are done, kept on disk until all are: what a crash or a cancel leaves to go on with."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from napari_colloids.detection.plan import DiameterEstimate
from napari_colloids.detection.series import Part, merged_facts
from napari_colloids.errors import ColloidsError
from napari_colloids.io import particle_writer, replacing
from napari_colloids.io.files import to_json

if TYPE_CHECKING:
    from collections.abc import Iterable

_ABOUT = "about.json"
#: Name, beside the columns of a volume, of what says as JSON how it was searched.
_FACTS = "facts"
#: The files of the folder, unfinished ones of a run that was killed included; others are nobody's business.
_OURS = (_ABOUT, "frame*.npz", ".napari-colloids-*")


class PartStore:
    """A folder beside the table to write, with a file per volume that is done.

    Every file is complete or not there. A folder that was made by other settings, another input or another version is
    thrown away.

    Parameters
    ----------
    target
        The table to write.
    fingerprint
        Of the job.
    """

    def __init__(self, target: Path, fingerprint: str) -> None:
        self.target = target
        self.folder = target.with_name(f"{target.name}.parts")
        self._fingerprint = fingerprint
        self._about = ""
        self.estimates: dict[int, DiameterEstimate] = {}
        if not self._take_up():
            self._clear()

    def done(self) -> list[Part]:
        """Return the volumes that are done."""
        found = (re.fullmatch(r"frame(\d+)_channel(\d+)\.npz", file.name) for file in self.folder.glob("frame*.npz"))
        return sorted(Part(int(match[1]), int(match[2])) for match in found if match)

    def keep(self, part: Part, table: pd.DataFrame) -> None:
        """Write the particles of a volume and, with them, how they were found (``table.attrs``)."""
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise ColloidsError(f"The folder {self.folder} cannot be made: {error.strerror}.") from error
        estimates = {str(channel): asdict(estimate) for channel, estimate in self.estimates.items()}
        about = to_json({"fingerprint": self._fingerprint, "estimates": estimates})
        if about != self._about:
            with replacing(self.folder / _ABOUT) as file:
                file.write_text(about, encoding="utf-8")
            self._about = about
        arrays: dict[str, Any] = {str(name): table[name].to_numpy() for name in table}
        arrays[_FACTS] = np.array(to_json(table.attrs))
        with replacing(self._file(part)) as file, file.open("wb") as opened:
            np.savez(opened, **arrays)

    def load(self, part: Part) -> pd.DataFrame:
        """Read the particles of a volume that is done."""
        with np.load(self._file(part), allow_pickle=False) as arrays:
            table = pd.DataFrame({name: arrays[name] for name in arrays if name != _FACTS})
            table.attrs = json.loads(str(arrays[_FACTS]))
        return table

    def join(self, parts: Iterable[Part], provenance: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Write the table of all volumes, with never more than one of them in memory, and remove the folder.

        Returns
        -------
        tuple
            The number of particles and how they were found (see `merged_facts`), with the number of those that were
            ``refined`` where that was asked for.
        """
        count = 0
        facts = []
        refined: dict[str, int] = {}
        with particle_writer(self.target, metadata=provenance) as writer:
            for part in parts:
                table = self.load(part)
                facts.append(dict(table.attrs))
                table.attrs = {}
                writer.append(table)
                count += len(table)
                if "refined" in table:
                    refined["refined"] = refined.get("refined", 0) + int(table["refined"].sum())
            merged = {**merged_facts(facts), **refined}
            writer.metadata.update(merged, particles=count)
        self._clear()
        return count, merged

    def _file(self, part: Part) -> Path:
        return self.folder / f"frame{part.frame:06d}_channel{part.channel:03d}.npz"

    def _clear(self) -> None:
        """Remove the folder, unless there is something in it that is not ours."""
        for pattern in _OURS:
            for file in self.folder.glob(pattern):
                file.unlink(missing_ok=True)
        with suppress(OSError):
            self.folder.rmdir()

    def _take_up(self) -> bool:
        try:
            about = json.loads((self.folder / _ABOUT).read_text(encoding="utf-8"))
            estimates = {int(channel): DiameterEstimate(**given) for channel, given in about["estimates"].items()}
        except (OSError, ValueError, KeyError, TypeError):
            return False
        if about.get("fingerprint") != self._fingerprint:
            return False
        self.estimates = estimates
        return True


def written_before(target: Path, fingerprint: str) -> dict[str, Any] | None:
    """Return what lies beside a table if it is already what a job would write, else None."""
    try:
        beside = json.loads(Path(f"{target}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    ours = isinstance(beside, dict) and {"fingerprint", "options", "particles"} <= beside.keys()
    return beside if ours and target.is_file() and beside["fingerprint"] == fingerprint else None
