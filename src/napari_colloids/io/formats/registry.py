"""All formats of stacks.

A new one is a module in this folder with a function ``series_readers(path)``, which returns a
`napari_colloids.io.series.SeriesReader` for each series of a file, and its line in `STACK_FORMATS`; napari's manifest
lists its endings too.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_colloids.io.files import HDF5_ENDINGS, AnyPath, existing_file, existing_folder
from napari_colloids.io.format import FileFormat, endings_of, format_of
from napari_colloids.io.isolated.array import IsolatedArray
from napari_colloids.io.isolated.process import run_isolated

if TYPE_CHECKING:
    from napari_colloids.io.series import SeriesReader


@dataclass(frozen=True)
class StackFormat(FileFormat):
    """A format of image stacks.

    Attributes
    ----------
    folder
        Whether a stack is a folder.
    companions
        Whether pixels lie in other files, which a function ``companion_files(path)`` of the module lists.
    isolated
        Whether files are read in a process of their own, as the library behind the module may not survive a damaged
        one. Nothing else differs.
    marks
        Names of files by which a folder is known that has another ending or none: one of them is in it.
    """

    folder: bool = False
    companions: bool = False
    isolated: bool = False
    marks: tuple[str, ...] = ()

    package = __name__.rpartition(".")[0]

    def series_readers(self, path: AnyPath) -> list[SeriesReader]:
        """Return the series of a file, without reading pixels.

        Raises
        ------
        ColloidsError
            If the file is missing or damaged, or a package that its format needs is not installed.
        """
        file = existing_folder(path) if self.folder else existing_file(path)
        with warnings.catch_warnings():
            # Libraries raise what matters; their warnings are about details of the metadata.
            warnings.simplefilter("ignore")
            if self.isolated:
                return run_isolated(file, _isolated_readers, self, file)
            readers: list[SeriesReader] = self.load().series_readers(file)
        return readers


def _isolated_readers(form: StackFormat, file: Path) -> list[SeriesReader]:
    readers: list[SeriesReader] = form.load().series_readers(file)
    return [replace(reader, array=IsolatedArray.of(reader.array)) for reader in readers]


#: Formats that `napari_colloids.read_stack` reads.
STACK_FORMATS = (
    StackFormat("TIFF", (".tif", ".tiff", ".btf", ".tf2", ".tf8", ".lsm", ".stk", ".ome"), "tiff", companions=True),
    StackFormat("HDF5", HDF5_ENDINGS, "hdf5", isolated=True),
    StackFormat("NumPy", (".npy",), "npy"),
    StackFormat("Leica", (".lif", ".lof"), "leica"),
    StackFormat("Leica project", (".xlef",), "leica", companions=True),
    StackFormat("Nikon", (".nd2",), "nikon"),
    StackFormat("Zeiss", (".czi",), "czi"),
    StackFormat("Olympus", (".oib", ".oif"), "olympus", companions=True),
    StackFormat("Imaris", (".ims",), "imaris", isolated=True),
    StackFormat(
        "OME-Zarr",
        (".zarr",),
        "ome_zarr",
        folder=True,
        isolated=True,
        marks=("zarr.json", ".zarray", ".zgroup", ".zattrs"),
    ),
)
#: Endings of the files (and folders: ``.zarr``) that `napari_colloids.read_stack` reads.
STACK_ENDINGS = endings_of(STACK_FORMATS)


def stack_format(path: AnyPath) -> StackFormat | None:
    """Return the format that the ending of a path names, or the files in a folder; None for an unknown one."""
    named = format_of(path, STACK_FORMATS)
    if (named is not None and named.folder) or not os.path.isdir(path):
        return named
    marked = (one for one in STACK_FORMATS if any(os.path.isfile(os.path.join(path, mark)) for mark in one.marks))
    return next(marked, named)


def is_stack_folder(path: AnyPath) -> bool:
    """Return whether a path is a folder that is a stack."""
    form = stack_format(path)
    return form is not None and form.folder and Path(path).is_dir()


def companion_files(path: Path) -> list[Path]:
    """Return the other files that hold pixels of a stack, as far as they exist.

    Raises
    ------
    ColloidsError
        If the file is damaged, or a package that its format needs is not installed.
    """
    form = stack_format(path)
    if form is None or not form.companions:
        return []
    files: list[Path] = form.load().companion_files(path)
    return files
