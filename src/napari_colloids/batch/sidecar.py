"""The JSON file beside a table, as far as a later run reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict, cast, get_type_hints

from napari_colloids.detection.estimate import DiameterEstimate
from napari_colloids.detection.record import Record
from napari_colloids.errors import ColloidsError
from napari_colloids.io.files import json_object
from napari_colloids.io.tables.note import note_path
from napari_colloids.settings import check_value

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    _Entries = Mapping[str, dict[str, object]]


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
    `DiameterEstimate` by channel, ``options`` those of the run, of which the ``index`` is read.
    """

    fingerprint: str
    chosen: str | None
    particles: int
    refined: int
    volumes: list[Volume]
    estimates: Mapping[str, dict[str, object]]
    options: Mapping[str, int | None]


#: Types of the entries that a later run reads.
_TYPES: dict[str, object] = {
    "fingerprint": str,
    "chosen": str | None,
    "particles": int,
    "refined": int | None,
    "volumes": list,
    "estimates": dict,
    "options": dict,
    "diameter": float,
    "diameter_certain": bool,
    "seconds": float,
    "mvoxel_per_s": float,
    "voxel_size": tuple[float, float, float] | None,
    "assumed": str,
    "notices": list,
    "unusable": list,
}


def sidecar_of(target: Path, fingerprint: str) -> Sidecar | None:
    """Return what the file beside a table holds if a job with this fingerprint has written both, else None."""
    try:
        beside = json_object(note_path(target))
        if beside is None or not target.is_file():
            return None
        return _checked(beside) if beside.get("fingerprint") == fingerprint else None
    except ColloidsError:  # it is damaged, or not from here
        return None


def written_before(target: Path, fingerprint: str, chosen: str | None) -> Sidecar | None:
    """Return what the file beside a table holds if the same job with the same choice of frames has written both."""
    found = sidecar_of(target, fingerprint)
    return found if found is not None and found["chosen"] == chosen else None


def estimates_in(content: object) -> dict[int, DiameterEstimate]:
    """Return the estimates of the diameter by channel, of whose fields a file has a mapping each.

    Raises
    ------
    ColloidsError
        If they are anything else.
    """
    check_value("estimates", content, dict)
    try:
        given = cast("_Entries", content).items()
        found = {int(channel): DiameterEstimate(**one) for channel, one in given}  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise ColloidsError("The estimates of the diameter are incomplete.") from error
    for estimate in found.values():
        for name, kind in get_type_hints(DiameterEstimate).items():
            check_value(name, getattr(estimate, name), kind)
    return found


def _checked(beside: dict[str, object]) -> Sidecar:
    """Return the content of the file beside a table.

    Raises
    ------
    ColloidsError
        If an entry is missing or of a wrong type.
    """
    for name, kind in _TYPES.items():
        check_value(name, beside.get(name), kind)
    found = cast("Sidecar", beside)
    for volume in found["volumes"]:
        check_value("volumes", volume, dict)
        for name, kind in get_type_hints(Volume).items():
            check_value(name, volume.get(name), kind)
    for one in Record.from_attrs(beside).unusable:
        check_value("unusable", one, tuple[int, int, str])
    check_value("index", found["options"].get("index"), int | None)
    estimates_in(found["estimates"])
    return found
