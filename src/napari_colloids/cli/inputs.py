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
        Files, folders, or patterns of their names.
    index
        Number of a series, from 0, or `ALL_SERIES`; None for the first 3D stack.
    reading
        Settings of `StackFile` that all have in common.

    Raises
    ------
    ColloidsError
        If there is no such file, or a setting is refused.
    """
    return [file for found in _matching(inputs) for file in _series_in(changed(found, reading, "option"), index)]


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


def _matching(inputs: Sequence[str]) -> list[StackFile]:
    """Return the stacks in the inputs, with patterns and folders replaced by the files that they stand for.

    2D images that differ by the numbers in their names are one stack, and so is an OME set; volumes that count frames
    or channels in their names are one in a folder only: those given by name are searched one by one.
    """
    from napari_colloids.io.formats.registry import is_stack_folder
    from napari_colloids.io.many_files import natural_order

    files: dict[str, str] = {}  # by their absolute path, so that none is searched twice
    stacks: list[StackFile] = []
    for given in inputs:
        found = [given] if Path(given).exists() else glob(given, recursive=True)
        if not found:
            what = "No file matches" if any(letter in given for letter in "*?[") else "There is no file"
            raise ColloidsError(f"{what} '{given}'.")
        for file in map(str, natural_order(map(Path, found))):
            if os.path.isdir(file) and not is_stack_folder(file):
                stacks += _stacks_in_folder(Path(file))
            else:
                files.setdefault(os.path.abspath(file), file)
    return stacks + _stacks_of([Path(file) for file in files.values()], join_volumes=False)


def _stacks_in_folder(folder: Path) -> list[StackFile]:
    from napari_colloids.io.many_files import several_files

    stacks = _stacks_of(several_files(folder) or [], join_volumes=True)
    return [StackFile(str(folder))] if len(stacks) == 1 and stacks[0].files else stacks


def _stacks_of(files: Sequence[Path], *, join_volumes: bool) -> list[StackFile]:
    """Return the stacks of many files, and the other files, in the order in which they were given."""
    from napari_colloids.io.many_files import groups_of

    groups = groups_of(files, join_volumes=join_volumes)
    return [
        StackFile(str(group.opened))
        if len(group.files) == 1
        else StackFile(str(group.opened.with_name(group.label)), files=tuple(map(str, group.files)))
        for group in sorted(groups, key=lambda group: files.index(group.files[0]))
    ]


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
        every = list_series(list(file.files) or file.path) if file.dataset is None else []
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
