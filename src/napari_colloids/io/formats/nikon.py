"""Nikon: ND2 files."""

from __future__ import annotations

import math
import operator
import weakref
from typing import TYPE_CHECKING

import nd2
import numpy as np

from napari_colloids.io.files import reading
from napari_colloids.io.formats.nikon_frames import frames_in
from napari_colloids.io.lazy import Assembled, FileArray
from napari_colloids.io.series import SeriesReader
from napari_colloids.io.voxels import voxel_size_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

_KIND = "a Nikon ND2 file"
#: The axes of a frame, which the file stores as one chunk.
_FRAME = "CYXS"
#: A damaged header promises millions of times the frames that are there; an experiment that was stopped does not.
_MAX_PROMISED = 10_000


def series_readers(path: Path) -> list[SeriesReader]:
    """Return the stack of an ND2 file, or one for each of its stage positions.

    Raises
    ------
    ColloidsError
        If the file is damaged.
    """
    with reading(path, _KIND), nd2.ND2File(path) as file:
        sizes = {axis: operator.index(n) for axis, n in file.sizes.items()}
        recorded = _recorded(path, file, sizes)
        positions = sizes.pop("P", None)
        axes, shape = "".join(sizes), tuple(sizes.values())
        names = _position_names(file) if positions else [""]
        size, unknown = voxel_size_of(_lengths(file), path.name)
        channels = tuple(channel.channel.name for channel in file.metadata.channels or ())
        interval = _frame_interval(file)
        native = tuple(n if letter in "YX" else 1 for letter, n in sizes.items())
        return [
            SeriesReader(
                name,
                axes,
                FileArray(_open, str(path.absolute()), position, shape, file.dtype, native, _KIND),
                voxel_size=size,
                channel_names=channels,
                frame_interval=interval,
                unreadable=f"'{path}' holds colours (RGB); save it in grey values." if "S" in axes else "",
                recorded=None if recorded is None else recorded[position],
                notices=unknown if "Z" in axes else (),
            )
            for position, name in enumerate(names)
        ]


def _open(path: str, position: int) -> Assembled:
    file = nd2.ND2File(path)
    sizes = dict(file.sizes)
    loops = {axis: n for axis, n in sizes.items() if axis not in _FRAME}
    frame_shape = tuple(n for axis, n in sizes.items() if axis in _FRAME)
    here = list(loops).index("P") if "P" in loops else None
    shape = tuple(n for axis, n in loops.items() if axis != "P")

    def frame(where: tuple[int, ...]) -> NDArray[np.generic]:
        full = list(where)
        if here is not None:
            full.insert(here, position)
        number = int(np.ravel_multi_index(full, tuple(loops.values()))) if full else 0
        return file.read_frame(number).reshape(frame_shape)

    array = Assembled((*shape, *frame_shape), file.dtype, frame, len(shape))
    weakref.finalize(array, file.close)
    return array


def _position_names(file: nd2.ND2File) -> list[str]:
    points = next(loop.parameters.points for loop in file.experiment if loop.type == "XYPosLoop")
    return [point.name or f"position {number}" for number, point in enumerate(points)]


def _recorded(path: Path, file: nd2.ND2File, sizes: Mapping[str, int]) -> NDArray[np.bool_] | None:
    """Return which frames of each position are in the file, shape (positions, axes of a stack); None for all.

    An experiment that was stopped has fewer frames than its loops promise.
    """
    about = file.attributes
    frame_bytes = about.heightPx * (about.widthBytes or 0)
    frames = frames_in(path, frame_bytes, compressed=about.compressionType is not None)
    loops = {axis: n for axis, n in sizes.items() if axis not in _FRAME}
    promised = math.prod(loops.values())
    if frames is None or (promised <= len(frames) and all(number in frames for number in range(promised))):
        return None
    if promised > _MAX_PROMISED * max(len(frames), 1):
        raise ValueError(f"{promised} frames are promised and {len(frames)} are there")
    there = np.isin(np.arange(promised), list(frames)).reshape(tuple(loops.values()))
    there = np.moveaxis(there, list(loops).index("P"), 0) if "P" in loops else there[None]
    return there.reshape(*there.shape, *(1 for axis in sizes if axis in _FRAME))


def _lengths(file: nd2.ND2File) -> dict[str, float | None]:
    """Return the micrometres per voxel by axis; nd2 gives 1 where the microscope was not calibrated."""
    channels = file.metadata.channels
    if not channels:
        return {}
    size = file.voxel_size()
    calibrated = dict(zip("XYZ", channels[0].volume.axesCalibrated, strict=True))
    return {axis: length if calibrated[axis] else None for axis, length in zip("XYZ", size, strict=True)}


def _frame_interval(file: nd2.ND2File) -> float | None:
    """Return the measured time between frames, or else the nominal one."""
    for loop in file.experiment:
        if loop.type == "TimeLoop":
            milliseconds = loop.parameters.periodDiff.avg or loop.parameters.periodMs
            return float(milliseconds) / 1000
        if loop.type == "NETimeLoop" and len(loop.parameters.periods) == 1:
            (period,) = loop.parameters.periods
            return float(period.periodDiff.avg or period.periodMs) / 1000
    return None
