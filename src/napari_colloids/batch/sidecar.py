"""The JSON file beside a table, as far as a later run reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping


class Volume(TypedDict):
    """A volume of a finished table.

    ``digest`` is that of its rows, ``record`` what differs from the record of the whole.
    """

    frame: int
    channel: int
    particles: int
    digest: str
    record: dict[str, object]


class Sidecar(TypedDict, total=False):
    """Entries of the file beside a table, which also holds the record of the run.

    ``fingerprint`` is that of the job, ``chosen`` the frames as they were asked for, ``estimates`` the fields of a
    `DiameterEstimate` by channel.
    """

    fingerprint: str
    chosen: str | None
    particles: int
    refined: int
    volumes: list[Volume]
    estimates: Mapping[str, dict[str, object]]


#: Entries without which the file is of no use.
_NEEDED = {"fingerprint", "chosen", "particles", "volumes", "estimates"}


def sidecar_of(target: Path, fingerprint: str) -> Sidecar | None:
    """Return what the file beside a table holds if a job with this fingerprint has written both, else None."""
    try:
        beside = json.loads(Path(f"{target}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    complete = isinstance(beside, dict) and beside.keys() >= _NEEDED
    found: Sidecar | None = beside if complete and beside["fingerprint"] == fingerprint else None
    return found if target.is_file() else None


def written_before(target: Path, fingerprint: str, chosen: str | None) -> Sidecar | None:
    """Return what the file beside a table holds if the same job with the same choice of frames has written both."""
    found = sidecar_of(target, fingerprint)
    return found if found is not None and found["chosen"] == chosen else None
