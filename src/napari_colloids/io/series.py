"""The series (also called volumes, scenes, images) in a file: their description, and the access to their pixels."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_colloids.errors import ColloidsError
from napari_colloids.io.axes import Layout, layout_of
from napari_colloids.io.damaged import damage_notice, read_volumes
from napari_colloids.io.lazy import LAZY_ABOVE_BYTES, FileArray
from napari_colloids.io.recorded import Extent, extent_of, sparse_extent
from napari_colloids.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_colloids.stack import VoxelSize


@dataclass(frozen=True)
class Series:
    """Description of one of the images in a file.

    Attributes
    ----------
    name
        Its name in the file; empty where it has none.
    axes
        One letter per dimension, as in the file: T, C, Z, Y, X; others have other meanings (λ, Λ: wavelengths), "?" is
        unknown.
    shape
        Length of each dimension.
    voxel_size
        Edges of a voxel ``(z, y, x)`` in micrometres, or None.
    channel_names
        One name per channel; empty where there are none.
    frame_interval
        Seconds between frames, or None.
    problem
        Why it cannot be read as a 3D stack as it is; empty if it can.
    gaps
        What was not recorded, so that it is read with ``allow_missing`` only; empty where nothing is missing.
    notices
        What the user has to know of how it is read, such as what the names of many files mean.

    See Also
    --------
    list_series : Lists the series in a file.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_colloids import list_series
    >>> np.save("image.npy", np.zeros((64, 64)))
    >>> (series,) = list_series("image.npy")
    >>> series.axes, series.shape
    ('YX', (64, 64))
    >>> series.problem
    "'image.npy' is a single 2D image of shape (64, 64); a 3D stack (z, y, x) is needed."
    """

    name: str
    axes: str
    shape: tuple[int, ...]
    voxel_size: VoxelSize | None = None
    channel_names: tuple[str, ...] = ()
    frame_interval: float | None = None
    problem: str = ""
    gaps: str = ""
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class SeriesReader:
    """A series with access to its pixels: what the module of a format returns for each series of a file.

    Attributes
    ----------
    name, axes, voxel_size, channel_names, frame_interval
        As in `Series`; a voxel size that is not three positive numbers counts as unknown.
    array
        The pixels.
    obstacle
        Why the axes in the file cannot be relied on; the user may still give them.
    unreadable
        Why it cannot be read in any way.
    path
        Its path inside a file that is a hierarchy of its own (HDF5, Zarr).
    mapped
        Whether the opened array is a memory map of the pixels, which needs no reading.
    metadata
        Returns further metadata of the stack.
    assumed
        Axes whose edge in `voxel_size` the file does not say: letters of ``"zyx"``.
    recorded
        Where pixels were recorded: an array of as many dimensions as the pixels, of length 1 along y and x; None for
        everywhere.
    sparse
        Whether the format leaves out what has one certain value, so that what is missing is no damage.
    missing_files
        Names of files that hold a part of the pixels and do not exist.
    notices
        What the user has to know of how it is read.
    title, stack_name
        Its name in messages, and that of the stack; empty where the names of file and series make them.
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
    metadata: Callable[[], Mapping[str, object]] = field(default=dict)
    assumed: str = ""
    recorded: NDArray[np.bool_] | None = None
    sparse: bool = False
    missing_files: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    title: str = ""
    stack_name: str = ""

    def describe(self, path: Path) -> Series:
        """Return the description of the series; `path` is the file, for messages."""
        problem, gaps = self.problem(path), ""
        if not problem:
            try:
                self._extent(path, self._layout(path, None), allow_missing=False)
            except ColloidsError as error:
                gaps = str(error)
        return Series(
            self.name,
            self.axes,
            self.array.shape,
            self._valid_voxel_size(),
            self._valid_channel_names(self._length("c")),
            self._valid_frame_interval(),
            problem,
            gaps,
            self.notices,
        )

    def problem(self, path: Path, axes: str | None = None) -> str:
        """Return why it is no 3D stack, or none with the axes that the user gave; empty where it is one."""
        try:
            self._layout(path, axes)
        except ColloidsError as error:
            return str(error)
        return ""

    def read(self, path: Path, axes: str | None, lazy: bool | None, *, allow_missing: bool = False) -> Stack:
        """Read it, or leave it in the file.

        Parameters
        ----------
        path
            The file.
        axes
            Meaning of the dimensions, where the user gives it.
        lazy, allow_missing
            As in `read_stack`.

        Raises
        ------
        ColloidsError
            If it is no 3D stack, a part of it is missing, or the file is damaged.
        """
        layout = self._layout(path, axes)
        extent = self._extent(path, layout, allow_missing=allow_missing)
        stem = path.name.removesuffix(path.suffix).removesuffix(".ome")
        lengths = {} if extent is None else {"t": extent.frames, "z": extent.slices}
        shape = tuple(lengths.get(axis, n) for axis, n in zip(layout.stored, self.array.shape, strict=True))
        pixels, readable = self._pixels(layout.stored, lazy, shape)
        data = layout(pixels)
        recorded = None if extent is None else extent.recorded
        notices = self.notices + ((extent.notice,) if extent is not None and extent.notice else ())
        if readable is not None:
            there = layout(np.broadcast_to(readable, shape))[..., 0, 0]
            recorded = there.copy() if recorded is None else recorded & there
            notices += (damage_notice(there[..., 0], layout.axes, path.name),)
        voxel_size = self._valid_voxel_size()
        channels = np.shape(data)[layout.axes.index("c")] if "c" in layout.axes else 1
        return Stack(
            data,
            axes=layout.axes,
            voxel_size=voxel_size,
            name=self.stack_name or f"{stem} {self.name}".strip(),
            channel_names=self._valid_channel_names(channels),
            metadata=self.metadata(),
            frame_interval=self._valid_frame_interval(),
            assumed=self.assumed if voxel_size is not None else "",
            recorded=recorded,
            notices=notices,
        )

    def _extent(self, path: Path, layout: Layout, *, allow_missing: bool) -> Extent | None:
        """Return the part to read; None for all of it."""
        if self.recorded is None and not self.missing_files:
            return None
        recorded = np.ones((1,) * self.array.ndim, bool) if self.recorded is None else self.recorded
        by_slice = layout(np.broadcast_to(recorded, self.array.shape))[..., 0, 0]
        name = self.title or f"{path.name} {self.name}".strip()
        if self.sparse:
            return sparse_extent(by_slice, layout.axes, name)
        return extent_of(by_slice, layout.axes, name, self.missing_files, allow_missing=allow_missing)

    def _layout(self, path: Path, axes: str | None) -> Layout:
        if self.unreadable or (self.obstacle and axes is None):
            raise ColloidsError(self.unreadable or self.obstacle)
        name = self.title or f"{path.name} {self.name}".strip()
        return layout_of(self.axes, self.array.shape, name, axes)

    def _pixels(self, axes: str, lazy: bool | None, shape: tuple[int, ...]) -> tuple[Any, NDArray[np.bool_] | None]:
        """Return the pixels, or of an acquisition that was stopped the first ones, of this shape.

        Also which volumes of them could be read; None for all, as far as is known.
        """
        array = self.array if shape == self.array.shape else replace(self.array, shape=shape)
        if lazy is None and self.mapped:
            mapped: Any = array.open()
            return (mapped if array is self.array else mapped[tuple(slice(n) for n in shape)]), None
        if lazy or (lazy is None and array.nbytes > LAZY_ABOVE_BYTES):
            return array.dask(axes), None
        return read_volumes(array, axes)

    def _valid_voxel_size(self) -> VoxelSize | None:
        size = self.voxel_size
        if size is None or len(size) != 3 or not all(0 < length < float("inf") for length in size):
            return None
        return (float(size[0]), float(size[1]), float(size[2]))

    def _valid_frame_interval(self) -> float | None:
        seconds = self.frame_interval
        return float(seconds) if seconds is not None and 0 < seconds < float("inf") else None

    def _valid_channel_names(self, channels: int) -> tuple[str, ...]:
        """Return the names of the channels, unless their number differs or one is empty."""
        return self.channel_names if len(self.channel_names) == channels and all(self.channel_names) else ()

    def _length(self, axis: str) -> int:
        letters = self.axes.lower()
        return self.array.shape[letters.index(axis)] if letters.count(axis) == 1 else 1
