"""Stacks in a folder, in the files that match a pattern, or in a list of files."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING

from napari_colloids.errors import ColloidsError
from napari_colloids.io.file_names import Grid, families_of, grids_of
from napari_colloids.io.files import AnyPath, checked_path
from napari_colloids.io.formats.registry import STACK_ENDINGS, is_stack_folder, stack_format
from napari_colloids.io.slices import is_flat, readers_of, slices_reader

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_colloids.io.series import SeriesReader

#: What the user gives: a file, a folder, a pattern of names, or several of these.
AnyPaths = AnyPath | list[str] | list[Path] | list[AnyPath] | tuple[AnyPath, ...]

_DIGITS = re.compile(r"([0-9]+)")


@dataclass(frozen=True)
class FileGroup:
    """Files that belong together.

    Attributes
    ----------
    files
        In natural order: all files of a stack of many files or of an OME set, or a single one.
    opened
        The file through which it is opened.
    grid
        What the names of a stack of many files mean; None for others.
    """

    files: tuple[Path, ...]
    opened: Path
    grid: Grid | None = None

    @property
    def label(self) -> str:
        """Name for the stack and its tables: what the names of many files have in common, or else their folder."""
        if self.grid is None:
            return self.opened.name
        return self.grid.label or self.opened.absolute().parent.name or "stack"

    def readers(self) -> list[SeriesReader]:
        """Return the series.

        Raises
        ------
        ColloidsError
            If a file cannot be read, or does not fit the others.
        """
        if self.grid is not None:
            return [slices_reader(self.files, self.grid, self.label)]
        file = self.opened
        stem = file.name.removesuffix(file.suffix).removesuffix(".ome")
        return [
            replace(one, title=f"{file.name} {one.name}".strip(), stack_name=f"{stem} {one.name}".strip())
            for one in readers_of(file)
        ]


def several_files(path: AnyPaths) -> list[Path] | None:
    """Return the files that a folder, a pattern or a list stands for, in natural order; None for a single file.

    Of a folder these are the stacks in it, not those in its folders; hidden files, and files of other kinds, are left
    out.

    Raises
    ------
    ColloidsError
        If there are none.
    """
    if isinstance(path, list | tuple):
        if not path:
            raise ColloidsError("The list of files is empty.")
        found = [several_files(one) or [_existing(one)] for one in path]
        return natural_order(dict.fromkeys(file for files in found for file in files))
    one = checked_path(path)
    if is_stack_folder(one) or one.is_file():
        return None
    if one.is_dir():
        files = _stacks_in(one)
        if not files:
            folders = sum(file.is_dir() for file in one.iterdir())
            raise ColloidsError(
                f"'{one}' is a folder without a stack in it: no file ends in {', '.join(STACK_ENDINGS)}."
                + (f" Give one of the {folders} folders in it." if folders else "")
            )
    elif has_wildcard(one):
        files = [file for file in map(Path, glob(str(one), recursive=True)) if _is_stack(file)]
        if not files:
            raise ColloidsError(f"No file matches '{one}'.")
    else:
        return None
    return natural_order(files)


def readers_in(path: AnyPaths, files: Sequence[Path]) -> list[SeriesReader]:
    """Return the series in several files, those of the most files first.

    Parameters
    ----------
    path
        What the user gave: a folder lends its name to the only stack in it.
    files
        In natural order.

    Raises
    ------
    ColloidsError
        If none can be read, or the files of a stack differ.
    """
    groups = groups_of(files, join_volumes=True)
    if len(groups) == 1:
        readers = groups[0].readers()
        if groups[0].grid is None or isinstance(path, list | tuple) or not Path(path).is_dir():
            return readers
        return [replace(one, stack_name=place_of(path).name) for one in readers]
    readers, failed = [], []
    for group in groups:
        try:
            # Of several, the name in a list is that of the files.
            readers += [replace(one, name=one.title) for one in group.readers()]
        except ColloidsError as error:
            if group.grid is not None:
                raise
            failed.append(error)
    if not readers:
        raise failed[0]
    notices = tuple(f"Left out: {error}" for error in failed)
    return [replace(one, notices=one.notices + notices) for one in readers]


def place_of(path: AnyPaths) -> Path:
    """Return the path that names in messages what the user gave: of a list the folder of its first file."""
    return Path(path[0]).absolute().parent if isinstance(path, list | tuple) else Path(path).absolute()


def stack_around(file: Path) -> FileGroup | None:
    """Return the stack of many files that a file is a part of, with the others in its folder; None for other files."""
    whole = _set_in(file, _stacks_in(file.parent)) if ".ome" in file.name.lower() else None
    if whole is not None:
        return whole if len(whole.files) > 1 else None
    return slices_like(file) if _is_flat([file]) else None


def slices_like(file: Path) -> FileGroup | None:
    """Return the stack that a file with a single 2D image makes with others in its folder, by their names."""
    files = _stacks_in(file.parent)
    for places in families_of([one.name for one in files]):
        family = [files[place] for place in places]
        if file not in family:
            continue
        for members, grid in grids_of([one.name for one in family], flat=True):
            together = tuple(family[member] for member in members)
            if file in together:
                return FileGroup(together, together[0], grid)
    return None


def _stacks_in(folder: Path) -> list[Path]:
    return natural_order(file for file in folder.iterdir() if _is_stack(file))


def shown(path: AnyPaths) -> str:
    """Return what the user gave as a message shows it."""
    return f"The list of {len(path)} files" if isinstance(path, list | tuple) else f"'{path}'"


def has_wildcard(path: AnyPath) -> bool:
    """Return whether a path is a pattern of names."""
    return any(letter in str(path) for letter in "*?[")


def natural_order(files: Iterable[Path]) -> list[Path]:
    """Return files in the order of the numbers in their names: z2 before z10."""

    def key(file: Path) -> list[int | str]:
        return [int(part) if k % 2 else part for k, part in enumerate(_DIGITS.split(str(file)))]

    return sorted(files, key=key)


def groups_of(files: Sequence[Path], *, join_volumes: bool) -> list[FileGroup]:
    """Return which files belong together, those of the most files first.

    2D images that are alike but for the numbers in their names are one stack, and so are the files of an OME set;
    others are stacks of their own.

    Parameters
    ----------
    files
        In natural order.
    join_volumes
        Whether volumes whose names count frames or channels are one series too.

    Raises
    ------
    ColloidsError
        If two files have the same place in a stack by their names.
    """
    by_folder: dict[Path, list[Path]] = {}
    for file in files:
        by_folder.setdefault(file.parent, []).append(file)
    groups = [group for some in by_folder.values() for group in _groups_in(some, join_volumes=join_volumes)]
    return sorted(groups, key=lambda group: -len(group.files))


def _groups_in(files: Sequence[Path], *, join_volumes: bool) -> list[FileGroup]:
    """Return which files of one folder belong together."""
    groups: list[FileGroup] = []
    taken: set[Path] = set()

    def add(group: FileGroup) -> None:
        groups.append(group)
        taken.update(group.files)

    for places in families_of([file.name for file in files]):
        rest = [files[place] for place in places if files[place] not in taken]
        while rest and (len(rest) > 1 or ".ome" in rest[0].name.lower()):
            found = _set_in(rest[0], files)
            if found is None:
                break
            add(found)
            rest = [file for file in rest if file not in taken]
        flat = _is_flat(rest) if len(rest) > 1 else None
        if flat or (flat is False and join_volumes):
            for members, grid in grids_of([file.name for file in rest], flat=flat):
                together = tuple(rest[member] for member in members)
                add(FileGroup(together, together[0], grid))
    return [*groups, *(FileGroup((file,), file) for file in files if file not in taken)]


def _set_in(file: Path, files: Sequence[Path]) -> FileGroup | None:
    """Return the OME set that a file belongs to, as far as it is among these files; None where there is none."""
    form = stack_format(file)
    if form is None or form.folder or form.module != "tiff":
        return None
    from napari_colloids.io.formats.tiff_ome import set_of

    opened, names = set_of(file)
    members = tuple(one for one in files if one.name in names)
    return FileGroup(members, opened) if len(names) > 1 and file in members else None


def _is_flat(files: Sequence[Path]) -> bool | None:
    """Return whether the first file that can be read is a single 2D image; None where there is none of one series."""
    for file in files:
        try:
            readers = readers_of(file)
        except ColloidsError:
            continue
        return is_flat(readers[0]) if len(readers) == 1 else None
    return None


def _existing(path: AnyPath) -> Path:
    file = checked_path(path)
    if not file.exists():
        raise ColloidsError(f"There is no file '{file}'.")
    return file


def _is_stack(file: Path) -> bool:
    """Return whether a file in a folder may hold a stack, by its name.

    Hidden files ("._a.tif" of macOS) do not, and a table in HDF5 has its notes beside it.
    """
    if file.name.startswith(".") or stack_format(file) is None or file.with_name(f"{file.name}.json").exists():
        return False
    return file.is_file() or is_stack_folder(file)
