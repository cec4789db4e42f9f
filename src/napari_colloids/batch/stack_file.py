"""A stack in a file, and how it is to be read."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from napari_colloids.settings import INPUT, Setting, check_settings, documented

if TYPE_CHECKING:
    from napari_colloids.stack import Stack


@documented
@dataclass(frozen=True)
class StackFile:
    """A stack in a file; small, so that it can be sent to another machine, which opens the file itself.

    Readers are imported when a file is opened, as the command line's help needs the settings alone.

    Attributes
    ----------
    path : str
        The file; or a folder or a pattern of many files that are one stack; or a name for `files`, in their folder.
    {settings}
    files : tuple[str, ...]
        The files of a stack of many; empty for what `path` says.

    Raises
    ------
    ColloidsError
        If a value is of a wrong type.
    """

    path: str
    index: Annotated[
        int | None,
        Setting(
            label="Series",
            help="Which series of a file that holds several, from 0.",
            unset="the first 3D stack",
            metavar="K",
            group=INPUT,
        ),
    ] = None
    dataset: Annotated[
        str | None,
        Setting(
            label="Dataset",
            help="Dataset in an HDF5 file, or image in a Zarr folder.",
            metavar="PATH",
            group=INPUT,
        ),
    ] = None
    axes: Annotated[
        str | None,
        Setting(
            label="Axes",
            help="Meaning of the dimensions, one letter each.",
            unset="from the file",
            metavar="TCZYX",
            group=INPUT,
        ),
    ] = None
    voxel_size: Annotated[
        tuple[float, float, float] | None,
        Setting(
            label="Voxel size",
            help="Voxel size in micrometres.",
            unit="µm",
            unset="from the file",
            metavar="Z Y X",
            group=INPUT,
        ),
    ] = None
    allow_missing: Annotated[
        bool,
        Setting(
            label="Allow missing",
            help="Search what is there where slices or files of a stack are missing.",
            group=INPUT,
        ),
    ] = False
    z_scale: Annotated[
        float,
        Setting(
            label="Depth factor",
            help="Factor for the voxel size along z, which corrects a mismatch of refractive indices.",
            metavar="F",
            group=INPUT,
        ),
    ] = 1.0
    files: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_settings(self)

    def open(self) -> Stack:
        """Open the file; its pixels stay there where they are many. The two that were opened last are kept open.

        Raises
        ------
        ColloidsError
            If it cannot be read.
        """
        # Of a Zarr folder its own time has to do: to look at the files of a large one takes too long for every volume.
        times = tuple(file.stat().st_mtime_ns for file in self._pixel_files(every=False))
        return _opened(self, str(Path(self.path).absolute()), times)

    def absolute(self) -> StackFile:
        """Return the same stack for a process in another folder."""
        files = tuple(str(Path(file).absolute()) for file in self.files)
        return replace(self, path=str(Path(self.path).absolute()), files=files)

    def state(self) -> dict[str, object]:
        """Return what would change if the file were another one: its name, sizes and times of its files.

        Raises
        ------
        ColloidsError
            If a file is missing, empty or not readable.
        """
        from napari_colloids.io.files import existing_file
        from napari_colloids.io.formats.registry import is_stack_folder

        path, many = Path(self.path), self._many()
        if many is None and not is_stack_folder(path):  # other folders may be a whole disk, and are refused at once
            existing_file(path)
        files = self._pixel_files(every=True)
        stats = [file.stat() for file in files]
        return {
            **asdict(self),
            "path": path.name,
            "files": [] if many is None else [existing_file(file).name for file in many],
            "bytes": [stat.st_size for stat in stats],
            "modified": [stat.st_mtime_ns for stat in stats],
        }

    def _many(self) -> list[Path] | None:
        """Return the files of a stack of many; None for a single file, and a folder in Zarr."""
        from napari_colloids.io.many_files import several_files

        return several_files(list(self.files) or self.path)

    def _pixel_files(self, *, every: bool) -> list[Path]:
        """Return the files, as far as they exist; those in a folder in Zarr only where `every` file counts."""
        from napari_colloids.io.formats.registry import companion_files, is_stack_folder

        path, many = Path(self.path), self._many()
        if many is not None:
            return many
        if is_stack_folder(path):
            return sorted(file for file in path.rglob("*") if file.is_file()) if every else [path]
        return [path, *companion_files(path)] if path.exists() else []


@lru_cache(maxsize=2)
def _opened(file: StackFile, _absolute: str, _modified: tuple[int, ...]) -> Stack:
    from napari_colloids.io import read_stack

    stack = read_stack(
        list(file.files) or file.path,
        index=file.index,
        dataset=file.dataset,
        axes=file.axes,
        voxel_size=file.voxel_size,
        allow_missing=file.allow_missing,
    )
    return stack if file.z_scale == 1 else stack.scaled_along_z(file.z_scale)
