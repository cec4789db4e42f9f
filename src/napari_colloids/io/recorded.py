"""What of a series was recorded: stopped acquisitions are cut where they stopped, gaps are refused or known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.errors import ColloidsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Largest number of names in a message.
_MAX_NAMES = 3


@dataclass(frozen=True)
class Extent:
    """The part of a series to read.

    Attributes
    ----------
    frames, slices
        Numbers of frames and of slices, counted from the first, that are read.
    recorded
        Which of their slices were recorded, shape of the axes before y and x; None for all.
    notice
        What the user has to know of it; empty where everything was recorded.
    """

    frames: int
    slices: int
    recorded: NDArray[np.bool_] | None = None
    notice: str = ""


def extent_of(
    recorded: NDArray[np.bool_], axes: str, name: str, missing_files: Sequence[str] = (), *, allow_missing: bool = False
) -> Extent:
    """Return the part of a series that was recorded.

    An acquisition that was stopped ends with its last complete frame, or with its last slice where no frame is
    complete. Everything else that is missing is a gap.

    Parameters
    ----------
    recorded
        Whether each slice was recorded; its axes are `axes` without y and x.
    axes
        Out of ``"tczyx"`` and in that order.
    name
        Of the series, in messages.
    missing_files
        Names of files that hold a part of it and do not exist.
    allow_missing
        Whether to read what is there in spite of gaps and missing files.

    Raises
    ------
    ColloidsError
        If there are gaps or missing files that are not allowed, or nothing was recorded.
    """
    by_frame, ended = _by_frame(recorded, axes)
    if recorded.all() and not missing_files:
        return Extent(len(by_frame), by_frame.shape[-1])
    if not by_frame.any():
        raise ColloidsError(f"'{name}' is empty: no slice of it was recorded.")
    if not missing_files and _stops(by_frame[ended:]):
        stopped = _stopped(by_frame, ended, name)
        if stopped is not None:
            return stopped
    what = _lacking(recorded, axes, missing_files)
    if not allow_missing:
        raise ColloidsError(f"'{name}' lacks {what}. Find what is missing, or allow it, to search what is there.")
    last = int(np.flatnonzero(by_frame.any(axis=(1, 2)))[-1]) + 1
    deepest = int(np.flatnonzero(by_frame.any(axis=(0, 1)))[-1]) + 1
    index = tuple({"t": slice(last), "z": slice(deepest)}.get(axis, slice(None)) for axis in axes[:-2])
    rest = recorded[index]
    return Extent(last, deepest, None if rest.all() else rest, f"'{name}' lacks {what}: nothing is searched there.")


def sparse_extent(recorded: NDArray[np.bool_], axes: str, name: str) -> Extent:
    """Return all of a series in a format that leaves out what is all of one value, with a notice where it did.

    Whether the slices that are left out were dark or never recorded cannot be known; in neither case are particles
    there. The parameters are those of `extent_of`.
    """
    frames, _, slices = _by_frame(recorded, axes)[0].shape
    if recorded.all():
        return Extent(frames, slices)
    what = f"'{name}' has no pixels in {_lacking(recorded, axes, ())}, which were dark or never recorded"
    return Extent(frames, slices, recorded, f"{what}: nothing is searched there.")


def _stopped(by_frame: NDArray[np.bool_], ended: int, name: str) -> Extent | None:
    """Return what there is of an acquisition that was stopped; None where only some channels of it are a stack."""
    frames, _, slices = by_frame.shape
    if ended:
        completely = " completely" if by_frame[ended].any() else ""
        notice = f"'{name}' promises {frames} frames, but {_were(ended)} written{completely}: only that is read."
        return Extent(ended, slices, None, notice)
    there = int(by_frame[0].all(axis=0).sum())
    if there < 2 <= slices:
        if (by_frame[0].sum(axis=1) > 1).any():
            return None
        raise ColloidsError(
            f"'{name}' promises {slices} slices, but only {'one was' if there else 'a part of one was'} written; a 3D "
            "stack is needed."
        )
    if frames == 1:
        notice = f"'{name}' promises {slices} slices, but {_were(there)} written: only that is read."
    else:
        notice = (
            f"'{name}' promises {frames} frames of {slices} slices, but {there} slices of the first were "
            "written: these are read."
        )
    return Extent(1, there, None, notice)


def stopped(recorded: NDArray[np.bool_], axes: str) -> bool:
    """Return whether everything that is missing lies behind the last slice, as of a stopped acquisition.

    The parameters are those of `extent_of`.
    """
    by_frame, ended = _by_frame(recorded, axes)
    return _stops(by_frame[ended:])


def _by_frame(recorded: NDArray[np.bool_], axes: str) -> tuple[NDArray[np.bool_], int]:
    """Return which slices were recorded, shape ``(t, c, z)``, and the number of complete frames at the beginning."""
    frames, slices = (recorded.shape[axes.index(axis)] if axis in axes else 1 for axis in "tz")
    by_frame = recorded.reshape(frames, -1, slices)
    return by_frame, int(np.append(by_frame.all(axis=(1, 2)), False).argmin())


def _were(count: int) -> str:
    return f"{count} {'was' if count == 1 else 'were'}"


def _stops(by_frame: NDArray[np.bool_]) -> bool:
    """Whether recording stopped: after some slices of the first of these frames there is nothing more."""
    if len(by_frame) == 0:
        return True
    if by_frame[1:].any():
        return False
    first = by_frame[0]
    there = first.all(axis=0)
    slices = int(there.sum())
    # Of the slice at which it stopped, the first channels may be there; or whole channels came one after the other.
    slice_by_slice = there[:slices].all() and not first[:, slices + 1 :].any()
    return bool(slice_by_slice or not first.ravel()[int(first.sum()) :].any())


def _lacking(recorded: NDArray[np.bool_], axes: str, missing_files: Sequence[str]) -> str:
    """Return how many slices are missing and which is the first, and which files."""
    several = "files" if len(missing_files) > 1 else "file"
    more = len(missing_files) - _MAX_NAMES
    names = ", ".join(f"'{one}'" for one in missing_files[:_MAX_NAMES]) + (f" and {more} more" if more > 0 else "")
    count = int(recorded.size - recorded.sum())
    if not count:
        return f"the {several} {names}"
    words = {"t": "frame", "c": "channel", "z": "slice"}
    place = ", ".join(f"{words[axis]} {number}" for axis, number in zip(axes, np.argwhere(~recorded)[0], strict=False))
    what = f"{count} of {recorded.size} slices (the first is {place})"
    verb = "are" if len(missing_files) > 1 else "is"
    return f"{what}, as the {several} {names} {verb} missing" if missing_files else what
