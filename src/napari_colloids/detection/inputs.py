"""Inputs of detection: a `Stack`, an array, or the name of a file."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, cast

import numpy as np

from napari_colloids.errors import ColloidsError
from napari_colloids.stack import Stack, as_stack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from napari_colloids.io.many_files import AnyPaths

#: Axes of an array by its number of dimensions.
_AXES = {4: "tzyx", 5: "tczyx"}


def input_stack(
    source: Stack | ArrayLike | str | PathLike[str],
    voxel_size: Sequence[float] | None = None,
    *,
    series: bool = False,
) -> Stack:
    """Return the input of a detection as a `Stack`.

    Parameters
    ----------
    source
        A `Stack`, an array ``(z, y, x)`` (NumPy, memory map or dask) or the name of a file, folder or
        pattern, or a list of file names (see `read_stack`).
    voxel_size
        Micrometres ``(z, y, x)``, in place of that of the stack or file.
    series
        Whether an array may also be ``(t, z, y, x)`` or ``(t, c, z, y, x)``.

    Raises
    ------
    ColloidsError
        If the file cannot be read, or the array is no such stack.
    """
    if isinstance(source, str | PathLike) or _are_paths(source):
        from napari_colloids.io import read_stack

        return read_stack(cast("AnyPaths", source), voxel_size=voxel_size)
    dimensions = 0 if isinstance(source, Stack) else np.ndim(source)
    if dimensions in _AXES and series:
        stack = as_stack(source, _AXES[dimensions])
    elif dimensions in _AXES:
        raise ColloidsError(
            f"An array of {dimensions} dimensions is a series of stacks: search it with detect_series, or one volume "
            "(z, y, x) of it."
        )
    else:
        stack = as_stack(source)
    return stack if voxel_size is None else stack.with_voxel_size(voxel_size)


def _are_paths(source: object) -> bool:
    """Return whether an input is a list of file names."""
    return isinstance(source, list | tuple) and bool(source) and all(isinstance(one, str | PathLike) for one in source)
