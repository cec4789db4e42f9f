"""Reading image files of any format as a `Stack`."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_colloids.errors import ColloidsError
from napari_colloids.io.axes import checked_axes
from napari_colloids.io.choice import first_stack
from napari_colloids.io.files import existing_file
from napari_colloids.io.formats.registry import STACK_ENDINGS, stack_format
from napari_colloids.io.many_files import AnyPaths, place_of, readers_in, several_files, shown, slices_like
from napari_colloids.io.slices import is_flat
from napari_colloids.settings import check_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_colloids.io.series import Series, SeriesReader
    from napari_colloids.stack import Stack


def read_stack(
    path: AnyPaths,
    *,
    index: int | None = None,
    dataset: str | None = None,
    voxel_size: Sequence[float] | None = None,
    axes: str | None = None,
    lazy: bool | None = None,
    allow_missing: bool = False,
) -> Stack:
    """Read a 3D stack, or a series of them in time and channel.

    Parameters
    ----------
    path
        A file that ends in one of `STACK_ENDINGS`, such as TIFF, HDF5, Leica (``.lif``), Nikon (``.nd2``) or Zeiss
        (``.czi``), or a folder in OME-Zarr (``.zarr``). Or many files, as their folder, a pattern (``"beads_z*.tif"``)
        or a list: 2D images that differ by the numbers in their names are one stack. Letters before a number say what
        it counts (``z003``, ``t1``, ``ch00``, ``frame12``, and what Leica, Zeiss, Bruker and Micro-Manager write); a
        single number without a letter counts slices. Volumes whose names count frames or channels are one series.
    index
        Which series (volume, scene) of a file that holds several, from 0; `list_series` lists them in this order.
        None takes the first that is a 3D stack, and `Stack.notices` says which that is and what the others are.
    dataset
        Path of a dataset in an HDF5 file, or of an array or image in a Zarr hierarchy, instead of `index`.
    voxel_size
        Edges of a voxel ``(z, y, x)`` in micrometres; replaces the voxel size in the file.
    axes
        Meaning of the dimensions, letters of ``"tczyx"`` in any order; replaces the axes in the file.
    lazy
        True leaves the pixels in the file, as a dask array that may be sent to other processes; False reads them at
        once. None maps uncompressed TIFF and ``.npy`` files into memory, and of others leaves those in the file that
        have more than `LAZY_ABOVE_BYTES` bytes.
    allow_missing
        Whether to read a stack of which slices or files are missing: `Stack.recorded` then says what is there. An
        acquisition that was stopped is read up to there in any case.

    Returns
    -------
    Stack
        With the voxel size in micrometres, where the file holds it.

    Raises
    ------
    ColloidsError
        If the file is missing, damaged, of another format, or does not hold a 3D stack of real numbers; or if a package
        that its format needs is not installed.

    See Also
    --------
    list_series : Lists the series in a file without reading pixels.
    read_truth : Reads the true particles of a simulated volume.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_colloids import read_stack
    >>> np.save("stack.npy", np.zeros((20, 64, 64), np.uint8))
    >>> stack = read_stack("stack.npy", voxel_size=(0.2, 0.1, 0.1))
    >>> stack.shape, stack.voxel_size
    ((20, 64, 64), (0.2, 0.1, 0.1))

    A part of a large file is read when it is needed:

    >>> lazy = read_stack("stack.npy", lazy=True)
    >>> lazy.data[0, :2, :2].compute()
    array([[0, 0],
           [0, 0]], dtype=uint8)

    Slices in files of their own are one stack:

    >>> for z in range(12):
    ...     np.save(f"slice{z}.npy", np.zeros((64, 64), np.uint8))
    >>> slices = read_stack("slice*.npy")
    >>> slices.shape, slices.notices
    ((12, 64, 64), ("12 files 'slice*.npy': z from 0 to 11.",))
    """
    axes = checked_axes(axes)
    check_value("index", index, int | None)
    check_value("dataset", dataset, str | None)
    check_value("lazy", lazy, bool | None)
    check_value("allow_missing", allow_missing, bool)
    readers, notice = _series_readers(path), ""
    if dataset is not None:
        chosen = _reader_called(path, readers, dataset)
    elif index is not None:
        chosen = _reader_at(path, readers, index)
    else:
        chosen, notice = first_stack(place_of(path), readers, axes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stack = chosen.read(place_of(path), axes, lazy, allow_missing=allow_missing)
    number = next(k for k, reader in enumerate(readers) if reader is chosen)
    stack = replace(stack, index=number, notices=(*([notice] if notice else []), *stack.notices))
    return stack if voxel_size is None else stack.with_voxel_size(voxel_size)


def list_series(path: AnyPaths) -> list[Series]:
    """List the series (volumes, scenes, images) in a file, without reading pixels.

    Parameters
    ----------
    path
        As in `read_stack`.

    Returns
    -------
    list of Series
        In the order of the `index` of `read_stack`; the `problem` of a series says why it is no 3D stack. Of many files
        those of the stack of the most files come first.

    Raises
    ------
    ColloidsError
        If the file is missing, damaged or of another format, or a package that its format needs is not installed.

    See Also
    --------
    read_stack : Reads one of the series.

    Examples
    --------
    >>> import h5py
    >>> import numpy as np
    >>> from napari_colloids import list_series
    >>> with h5py.File("volumes.h5", "w") as file:
    ...     file["0"] = np.zeros((16, 32, 32), np.uint8)
    ...     file["1"] = np.zeros((20, 32, 32), np.uint8)
    >>> for series in list_series("volumes.h5"):
    ...     print(series.name, series.axes, series.shape)
    0 ZYX (16, 32, 32)
    1 ZYX (20, 32, 32)
    """
    return [reader.describe(place_of(path)) for reader in _series_readers(path)]


def _series_readers(path: AnyPaths) -> list[SeriesReader]:
    files = several_files(path)
    if files is not None or isinstance(path, list | tuple):
        return readers_in(path, files or [])
    form = stack_format(path)
    if form is None:
        existing_file(path)
        raise ColloidsError(f"'{path}' has no known ending; stacks are read from {', '.join(STACK_ENDINGS)} files.")
    readers = form.series_readers(path)
    alone = len(readers) == 1 and is_flat(readers[0])
    return [_told_to_be_a_slice(Path(path), readers[0])] if alone else readers


def _told_to_be_a_slice(file: Path, reader: SeriesReader) -> SeriesReader:
    """Return the reader of a 2D image; where it is one slice of many its obstacle says how these are read."""
    stack = slices_like(file)
    if stack is None or stack.grid is None or reader.obstacle or reader.unreadable:
        return reader
    obstacle = (
        f"'{file}' is a single 2D image, one of {len(stack.files)} in its folder: give the folder, or the pattern "
        f"'{stack.grid.pattern}', to read them as a stack."
    )
    return replace(reader, obstacle=obstacle)


def _reader_called(path: AnyPaths, readers: list[SeriesReader], dataset: str) -> SeriesReader:
    wanted = dataset.strip("/")
    chosen = next((reader for reader in readers if wanted and wanted in (reader.path, reader.name)), None)
    if chosen is None:
        names = ", ".join(filter(None, (reader.path or reader.name for reader in readers[:8])))
        raise ColloidsError(f"{shown(path)} holds no stack called '{dataset}'; it holds {names or 'a nameless one'}.")
    return chosen


def _reader_at(path: AnyPaths, readers: list[SeriesReader], index: int) -> SeriesReader:
    if not 0 <= index < len(readers):
        number = f"{len(readers)} volume{'s' if len(readers) > 1 else ''}"
        raise ColloidsError(f"{shown(path)} holds {number}; there is no volume {index} (the first one is 0).")
    return readers[index]
