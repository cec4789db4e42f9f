"""What a file holds: its series (also called volumes, scenes, images), told without reading pixels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_colloids.errors import ColloidsError
from napari_colloids.io.axes import Layout, layout_of
from napari_colloids.io.lazy import LAZY_ABOVE, FileArray
from napari_colloids.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from napari_colloids.stack import VoxelSize


@dataclass(frozen=True)
class Series:
    """One of the images in a file.

    Attributes
    ----------
    name
        What the file calls it; empty where it does not.
    axes
        One letter a dimension, as the file says them: T, C, Z, Y, X; others mean other things (λ, Λ: wavelengths),
        "?" nothing known.
    shape
        Length of each dimension.
    voxel_size
        Micrometres ``(z, y, x)``, or None.
    channel_names
        A name per channel; empty where there are none.
    frame_interval
        Seconds between frames, or None.
    problem
        Why it cannot be read as a 3D stack as it is; empty if it can.
    """

    name: str
    axes: str
    shape: tuple[int, ...]
    voxel_size: VoxelSize | None = None
    channel_names: tuple[str, ...] = ()
    frame_interval: float | None = None
    problem: str = ""


@dataclass(frozen=True)
class Source:
    """A series together with the way to its pixels: what a reader of a format returns for each.

    Attributes
    ----------
    name, axes, voxel_size, channel_names, frame_interval
        As in `Series`; a voxel size that is not three positive numbers counts as unknown.
    array
        The pixels.
    obstacle
        Why the axes that the file says are not to be trusted; the user may still give them.
    unreadable
        Why it cannot be read in any way.
    path
        Where it is in a file that is a hierarchy of its own (HDF5, Zarr).
    mapped
        Whether the opened array is a memory map of the pixels, which needs no reading.
    metadata
        Returns what is worth keeping beside.
    """

    name: str
    axes: str
    array: FileArray
    voxel_size: tuple[float, ...] | None = None
    channel_names: tuple[str, ...] = ()
    frame_interval: float | None = None
    obstacle: str = ""
    unreadable: str = ""
    path: str = ""
    mapped: bool = False
    metadata: Callable[[], Mapping[str, Any]] = field(default=dict)

    def series(self, path: Path) -> Series:
        """Return what there is to say about it."""
        problem = ""
        try:
            self._plan(path, None)
        except ColloidsError as error:
            problem = str(error)
        return Series(
            self.name,
            self.axes,
            self.array.shape,
            self._size(),
            self._names(self._length("c")),
            self._interval(),
            problem,
        )

    def stack(self, path: Path, axes: str | None, lazy: bool | None) -> Stack:
        """Read it, or leave it in the file.

        Parameters
        ----------
        path
            The file.
        axes
            What the dimensions are, where the user says it.
        lazy
            As in `read_stack`.

        Raises
        ------
        ColloidsError
            If it is no 3D stack, or the file is damaged.
        """
        plan = self._plan(path, axes)
        stem = path.name.removesuffix(path.suffix).removesuffix(".ome")
        data = plan(self._pixels(plan.stored, lazy))
        channels = np.shape(data)[plan.axes.index("c")] if "c" in plan.axes else 1
        return Stack(
            data,
            axes=plan.axes,
            voxel_size=self._size(),
            name=f"{stem} {self.name}".strip(),
            channel_names=self._names(channels),
            metadata=self.metadata(),
            frame_interval=self._interval(),
        )

    def _plan(self, path: Path, axes: str | None) -> Layout:
        if self.unreadable or (self.obstacle and axes is None):
            raise ColloidsError(self.unreadable or self.obstacle)
        name = f"{path.name} {self.name}".strip()
        return layout_of(self.axes, self.array.shape, name, axes)

    def _pixels(self, axes: str, lazy: bool | None) -> Any:
        if lazy is None and self.mapped:
            return self.array.opener(self.array.path, self.array.key)
        return self.array.dask(axes) if lazy or (lazy is None and self.array.nbytes > LAZY_ABOVE) else self.array.read()

    def _size(self) -> VoxelSize | None:
        size = self.voxel_size
        if size is None or len(size) != 3 or not all(0 < length < float("inf") for length in size):
            return None
        return (float(size[0]), float(size[1]), float(size[2]))

    def _interval(self) -> float | None:
        seconds = self.frame_interval
        return float(seconds) if seconds is not None and 0 < seconds < float("inf") else None

    def _names(self, channels: int) -> tuple[str, ...]:
        """Return the names of the channels, unless they do not fit or one has none."""
        return self.channel_names if len(self.channel_names) == channels and all(self.channel_names) else ()

    def _length(self, axis: str) -> int:
        letters = self.axes.lower()
        return self.array.shape[letters.index(axis)] if letters.count(axis) == 1 else 1
