"""Stacks of many files: a slice, or a volume, in each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.errors import ColloidsError
from napari_colloids.io.formats.registry import STACK_ENDINGS, stack_format
from napari_colloids.io.lazy import Assembled, FileArray
from napari_colloids.io.recorded import stopped

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_colloids.io.file_names import Grid
    from napari_colloids.io.lazy import Sliceable
    from napari_colloids.io.series import SeriesReader


@dataclass(frozen=True, eq=False, repr=False)
class _Cells:
    """The arrays of the files of a stack, with which a process opens them.

    Attributes
    ----------
    arrays
        In the order of the grid; None for a file that is missing.
    grid
        Shape of the grid of files.
    versions
        Times at which they were written.
    """

    arrays: tuple[FileArray | None, ...]
    grid: tuple[int, ...]
    versions: tuple[int, ...]

    def __repr__(self) -> str:
        """Return a text by which the tasks of dask are told apart."""
        return f"{self.arrays}{self.versions}"


def readers_of(file: Path) -> list[SeriesReader]:
    """Return the series of a file, which is opened once as long as it stays the same.

    Raises
    ------
    ColloidsError
        If it is missing, empty, damaged or of no known format.
    """
    try:
        stat = file.stat()
    except OSError as error:
        raise ColloidsError(f"There is no file '{file}'.") from error
    return _readers_of(file, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=4096)
def _readers_of(file: Path, _modified: int, _size: int) -> list[SeriesReader]:
    form = stack_format(file)
    if form is None:
        raise ColloidsError(f"'{file}' has no known ending; stacks are read from {', '.join(STACK_ENDINGS)} files.")
    return form.series_readers(file)


def is_flat(reader: SeriesReader) -> bool:
    """Return whether a series is a single 2D image."""
    return sum(n > 1 for n in reader.array.shape) <= len("yx")


def slices_reader(files: Sequence[Path], grid: Grid, label: str) -> SeriesReader:
    """Return the reader of a stack of many files, each of which is opened once.

    Parameters
    ----------
    files
        The files that there are.
    grid
        What their names mean.
    label
        Name of the stack.

    Raises
    ------
    ColloidsError
        If a file is empty, damaged, holds several series, or differs from the others in its shape or type.
    """
    readers = [_only_series(file) for file in files]
    first = readers[0]
    for file, reader in zip(files, readers, strict=True):
        if _kind(reader) != _kind(first):
            raise ColloidsError(
                f"The files '{grid.pattern}' differ: '{files[0].name}' is {_in_words(first)}, '{file.name}' is "
                f"{_in_words(reader)}. A stack needs images of one shape and type."
            )
    shape = first.array.shape
    # An axis of length 1 in the file that is one of many files is theirs.
    own = "".join(
        "?" if n == 1 and letter.lower() in grid.axes else letter for letter, n in zip(first.axes, shape, strict=True)
    )
    if clash := set(own.lower()) & set(grid.axes):
        raise ColloidsError(
            f"The names '{grid.pattern}' count {' and '.join(sorted(clash))}, and so does each file ('{own}'): give "
            "one of the files."
        )
    arrays = tuple(None if cell is None else readers[cell].array for cell in grid.cells)
    cells = _Cells(arrays, grid.shape, tuple(file.stat().st_mtime_ns for file in files))
    there = np.array([cell is not None for cell in grid.cells]).reshape(grid.shape)
    # What is missing at the end because the acquisition was stopped never was a file.
    gaps = bool(grid.missing) and not ("z" in grid.axes and stopped(there, f"{grid.axes}yx"))
    return replace(
        first,
        name="",
        title=grid.pattern,
        stack_name=label,
        axes=grid.axes.upper() + own,
        array=FileArray(
            _assembled,
            str(files[0].parent.absolute()),
            cells,
            grid.shape + shape,
            first.array.dtype,
            (1,) * len(grid.shape) + first.array.native,
            "a stack of many files",
            parallel=True,
        ),
        channel_names=_channel_names(grid) or first.channel_names,
        mapped=False,
        recorded=_recorded(readers, grid, own),
        missing_files=grid.missing if gaps else (),
        notices=(*first.notices, f"{grid.words()}."),
    )


def _assembled(path: str, cells: _Cells) -> Sliceable:
    """Return the array of the files; what is missing is 0."""
    first = next(array for array in cells.arrays if array is not None)
    nothing = np.broadcast_to(np.zeros((), first.dtype), first.shape)

    def part(where: tuple[int, ...]) -> Sliceable:
        array = cells.arrays[int(np.ravel_multi_index(where, cells.grid))]
        return nothing if array is None else array

    return Assembled(cells.grid + first.shape, first.dtype, part, len(cells.grid))


def _only_series(file: Path) -> SeriesReader:
    readers = readers_of(file)
    if len(readers) > 1:
        raise ColloidsError(f"'{file}' holds {len(readers)} images, so that it is no part of a stack of many files.")
    return readers[0]


def _kind(reader: SeriesReader) -> tuple[object, ...]:
    return reader.array.shape, reader.array.dtype, reader.axes


def _in_words(reader: SeriesReader) -> str:
    return f"{' x '.join(map(str, reader.array.shape))} {reader.array.dtype} ({reader.axes})"


def _channel_names(grid: Grid) -> tuple[str, ...]:
    """Return the names of channels where the files have words for them."""
    values = grid.values[grid.axes.index("c")] if "c" in grid.axes else ()
    return tuple(value for value in values if isinstance(value, str))


def _recorded(readers: Sequence[SeriesReader], grid: Grid, own: str) -> NDArray[np.bool_] | None:
    """Return where pixels were recorded, in files that are there and in each of them; None for everywhere."""
    if not grid.missing and all(reader.recorded is None for reader in readers):
        return None
    shape = tuple(1 if letter in "YX" else n for letter, n in zip(own, readers[0].array.shape, strict=True))
    nothing, everything = np.zeros((), bool), np.ones((), bool)
    found = [nothing if cell is None else readers[cell].recorded for cell in grid.cells]
    parts = [np.broadcast_to(everything if part is None else part, shape) for part in found]
    return np.stack(parts).reshape(grid.shape + shape)
