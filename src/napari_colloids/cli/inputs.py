"""The stacks that the words of a command line name: files, patterns, series of a file."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from napari_colloids.batch.stack_file import StackFile
from napari_colloids.errors import ColloidsError
from napari_colloids.settings import changed

if TYPE_CHECKING:
    from napari_colloids.refinement import PSF

#: Word for every series of a file, in place of a number.
ALL_SERIES = "all"


def stack_files(inputs: Sequence[str], index: str | None, reading: Mapping[str, object]) -> list[StackFile]:
    """Return the stacks to search.

    Parameters
    ----------
    inputs
        Files, or patterns of their names.
    index
        Number of a series, from 0, or `ALL_SERIES`; None for the first 3D stack.
    reading
        Settings of `StackFile` that all have in common.

    Raises
    ------
    ColloidsError
        If there is no such file, or a setting is refused.
    """
    return [
        file for path in _matching(inputs) for file in _series_in(changed(StackFile(path), reading, "option"), index)
    ]


def measured_psf(path: str, reading: Mapping[str, object]) -> "PSF":
    """Return the PSF measured on the stack of a bead.

    Parameters
    ----------
    path
        The stack.
    reading
        Settings of the stacks in which particles are searched; it shares their correction along z.

    Raises
    ------
    ColloidsError
        If the stack cannot be read, or shows no single bead.
    """
    from napari_colloids.io import read_stack
    from napari_colloids.refinement import PSF

    z_scale = changed(StackFile(path), reading, "option").z_scale
    stack = read_stack(path)
    # Without a voxel size of its own it has that of the stacks, which is corrected already.
    return PSF.measured(stack if z_scale == 1 or stack.voxel_size is None else stack.scaled_along_z(z_scale))


def _matching(inputs: Sequence[str]) -> list[str]:
    """Return the inputs with patterns replaced by the files that they match."""
    files: dict[str, str] = {}  # by their absolute path, so that none is searched twice
    for given in inputs:
        found = [given] if Path(given).exists() else sorted(glob(given, recursive=True))
        if not found:
            what = "No file matches" if any(letter in given for letter in "*?[") else "There is no file"
            raise ColloidsError(f"{what} '{given}'.")
        for file in found:
            files.setdefault(os.path.abspath(file), file)
    return list(files.values())


def _series_in(file: StackFile, index: str | None) -> list[StackFile]:
    """Return one series of a file or, with a line on stderr for each that is left out, all that can be searched."""
    from napari_colloids.io import list_series

    if index is None:
        return [file]
    if index != ALL_SERIES:
        if not index.isdecimal():
            raise ColloidsError(f"--index takes the number of a series, from 0, or '{ALL_SERIES}', not '{index}'.")
        return [replace(file, index=int(index))]
    try:
        every = list_series(file.path) if file.dataset is None else []
    except ColloidsError:
        every = []
    usable, left_out = [], []
    for number, series in enumerate(every):
        if not series.problem or (file.axes is not None and len(file.axes) == len(series.shape)):
            usable.append(replace(file, index=number))
        else:
            left_out.append(f"{file.path}: series {number} is left out: {series.problem}")
    if not usable:
        return [file]  # which says what is wrong when its turn comes
    for line in left_out:
        typer.echo(line, err=True)
    return usable
