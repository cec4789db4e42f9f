"""The JSON file beside a table, as far as a later run reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from napari_colloids.stack import VoxelSize


class SearchedVolumes(TypedDict):
    """Volumes that were searched: the first frame and the one after the last, and the channels."""

    frames: tuple[int, int]
    channels: list[int]


class Sidecar(TypedDict, total=False):
    """Entries of the file beside a table, which also holds the record of the run."""

    fingerprint: str
    particles: int
    refined: int
    voxel_size: VoxelSize | None
    options: SearchedVolumes


def written_before(target: Path, fingerprint: str) -> Sidecar | None:
    """Return what the file beside a table holds if the job with this fingerprint has written both, else None."""
    try:
        beside = json.loads(Path(f"{target}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    complete = isinstance(beside, dict) and {"fingerprint", "options", "particles"} <= beside.keys()
    found: Sidecar | None = beside if complete and beside["fingerprint"] == fingerprint else None
    return found if target.is_file() else None
