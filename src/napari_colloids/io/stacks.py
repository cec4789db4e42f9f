"""`read_stack`: an image file becomes a `Stack`, whatever its format."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from napari_colloids.errors import ColloidsError
from napari_colloids.io.axes import checked_axes
from napari_colloids.io.files import AnyPath, ending, existing_file, existing_folder
from napari_colloids.io.formats.challenge_truth import HDF5
from napari_colloids.io.formats.czi import czi_sources
from napari_colloids.io.formats.hdf5 import hdf5_sources
from napari_colloids.io.formats.imaris import imaris_sources
from napari_colloids.io.formats.leica import leica_sources
from napari_colloids.io.formats.nikon import nd2_sources
from napari_colloids.io.formats.npy import npy_sources
from napari_colloids.io.formats.ome_zarr import zarr_sources
from napari_colloids.io.formats.tiff import tiff_sources

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari_colloids.io.series import Series, Source
    from napari_colloids.stack import Stack

#: Endings of folders that are stacks.
FOLDERS = (".zarr",)
#: What reads the files of an ending.
_READERS: dict[str, Callable[[Path], list[Source]]] = {
    **dict.fromkeys((".tif", ".tiff"), tiff_sources),
    **dict.fromkeys(HDF5, hdf5_sources),
    ".npy": npy_sources,
    **dict.fromkeys((".lif", ".lof", ".xlef"), leica_sources),
    ".nd2": nd2_sources,
    ".czi": czi_sources,
    ".ims": imaris_sources,
    **dict.fromkeys(FOLDERS, zarr_sources),
}
#: Endings of the files (and folders: ``.zarr``) that `read_stack` reads.
STACK_ENDINGS = tuple(_READERS)


def read_stack(
    path: AnyPath,
    *,
    index: int = 0,
    dataset: str | None = None,
    voxel_size: Sequence[float] | None = None,
    axes: str | None = None,
    lazy: bool | None = None,
) -> Stack:
    """Read a 3D stack, or a series of them in time and channel.

    Parameters
    ----------
    path
        A file that ends in one of `STACK_ENDINGS`: TIFF, HDF5, NumPy, Leica (``.lif``, ``.lof``, ``.xlef``), Nikon
        (``.nd2``), Zeiss (``.czi``), Imaris (``.ims``), or a folder in OME-Zarr (``.zarr``).
    index
        Which series (volume, scene) of a file that holds several, from 0; `list_series` lists them in this order.
    dataset
        Path of a dataset in an HDF5 file, or of an array or image in a Zarr hierarchy, instead of `index`.
    voxel_size
        Micrometres ``(z, y, x)``; replaces what the file says.
    axes
        What the dimensions are, letters of ``"tczyx"`` in any order; replaces what the file says.
    lazy
        True leaves the pixels in the file, as a dask array that may be sent to other processes; False reads them at
        once. None maps uncompressed TIFF and ``.npy`` files into memory, and of others leaves those in the file that
        have more than `LAZY_ABOVE` bytes.

    Returns
    -------
    Stack
        With the voxel size in micrometres where the file says it.

    Raises
    ------
    ColloidsError
        If the file is missing, damaged, of another kind, or does not hold a 3D stack of real numbers; or if a package
        that its format needs is not installed.
    """
    axes = checked_axes(axes)
    file, sources = _sources(path)
    if dataset is not None:
        wanted = dataset.strip("/")
        chosen = next((source for source in sources if wanted and wanted in (source.path, source.name)), None)
        if chosen is None:
            names = ", ".join(filter(None, (source.path or source.name for source in sources[:8])))
            raise ColloidsError(f"'{path}' holds no stack called '{dataset}'; it holds {names or 'a nameless one'}.")
    else:
        chosen = _at(path, sources, index)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stack = chosen.stack(file, axes, lazy)
    return stack if voxel_size is None else stack.with_voxel_size(voxel_size)


def list_series(path: AnyPath) -> list[Series]:
    """List what a file holds, without reading pixels.

    Parameters
    ----------
    path
        As in `read_stack`.

    Returns
    -------
    list of Series
        In the order of the `index` of `read_stack`; those that are no 3D stacks say so.

    Raises
    ------
    ColloidsError
        If the file is missing, damaged or of another kind, or a package that its format needs is not installed.
    """
    file, sources = _sources(path)
    return [source.series(file) for source in sources]


def _sources(path: AnyPath) -> tuple[Path, list[Source]]:
    kind = ending(path)
    if kind not in _READERS:
        existing_file(path)
        raise ColloidsError(f"'{path}' is not of a known kind; stacks are read from {', '.join(STACK_ENDINGS)} files.")
    file = existing_folder(path) if kind in FOLDERS else existing_file(path)
    with warnings.catch_warnings():
        # What a library has to say about a file, it says by raising.
        warnings.simplefilter("ignore")
        return file, _READERS[kind](file)


def _at(path: AnyPath, sources: list[Source], index: int) -> Source:
    if not 0 <= index < len(sources):
        number = f"{len(sources)} volume{'s' if len(sources) > 1 else ''}"
        raise ColloidsError(f"'{path}' holds {number}; there is no volume {index} (the first one is 0).")
    return sources[index]
