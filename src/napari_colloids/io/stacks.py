"""`read_stack`: an image file becomes a `Stack`, whatever its format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_colloids.errors import ColloidsError
from napari_colloids.io.axes import checked_axes
from napari_colloids.io.files import AnyPath, ending, existing_file
from napari_colloids.io.hdf5 import count_hdf5, read_hdf5
from napari_colloids.io.npy import read_npy
from napari_colloids.io.tiff import read_tiff
from napari_colloids.io.truth import HDF5

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_colloids.stack import Stack

_TIFF = (".tif", ".tiff")
_NPY = (".npy",)
#: Endings of the files that `read_stack` reads.
STACK_ENDINGS = (*_TIFF, *HDF5, *_NPY)


def read_stack(
    path: AnyPath,
    *,
    index: int = 0,
    series: int = 0,
    voxel_size: Sequence[float] | None = None,
    axes: str | None = None,
) -> Stack:
    """Read a 3D stack, or a series of them in time and channel.

    Large uncompressed TIFF and ``.npy`` files are mapped into memory, not read.

    Parameters
    ----------
    path
        A TIFF (``.tif``, ``.tiff``), HDF5 (``.h5``, ``.hdf5``) or NumPy (``.npy``) file.
    index
        Which volume of an HDF5 file with several, from 0.
    series
        Which series of a TIFF file with several, from 0.
    voxel_size
        Micrometres ``(z, y, x)``; replaces what the file says.
    axes
        What the dimensions are, letters of ``"tczyx"`` in any order; replaces what the file says.

    Returns
    -------
    Stack
        With the voxel size in micrometres where the file says it.

    Raises
    ------
    ColloidsError
        If the file is missing, damaged, of another kind, or does not hold a 3D stack of real numbers.
    """
    kind = ending(path)
    if kind not in STACK_ENDINGS:
        existing_file(path)
        raise ColloidsError(f"'{path}' is not of a known kind; stacks are read from {', '.join(STACK_ENDINGS)} files.")
    file = existing_file(path)
    axes = checked_axes(axes)
    if kind in HDF5:
        stack = read_hdf5(file, index=index, axes=axes)
    elif index != 0:
        raise ColloidsError(f"'{path}' holds 1 volume; there is no volume {index} (the first one is 0).")
    elif kind in _NPY:
        stack = read_npy(file, axes=axes)
    else:
        stack = read_tiff(file, series=series, axes=axes)
    return stack if voxel_size is None else stack.with_voxel_size(voxel_size)


def count_volumes(path: AnyPath) -> int:
    """Return how many volumes a file holds: those of an HDF5 file, 1 for all others.

    Raises
    ------
    ColloidsError
        If the file is missing or damaged.
    """
    file = existing_file(path)
    return count_hdf5(file) if ending(file) in HDF5 else 1
