"""HDF5 files, taken as they come: which datasets there are, and whether their values were ever written.

Nothing in a file makes us read another one, except the sources of a virtual dataset that lie beside it.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import h5py
import numpy as np

from napari_colloids.errors import ColloidsError
from napari_colloids.io.chunks import chunk_grid, lateral_dimensions, recorded_planes, written_grid
from napari_colloids.io.files import plain_file_beside, reading
from napari_colloids.io.isolated.child import show_progress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_KIND = "an HDF5 file"
#: Groups inside groups, and objects, of which more are found in no real file.
_MAX_DEPTH = 32
_MAX_OBJECTS = 100_000
#: A compressed chunk that is longer than its values by more unpacks to something else.
_MAX_EXPANSION = 1.2
_MAX_EXPANSION_BYTES = 10_000
#: How a virtual dataset names the file that it is in.
_SAME_FILE = "."


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file to read; errors of the ``with`` block become a `ColloidsError`."""
    with reading(path, _KIND), h5py.File(path, "r") as file:
        yield file


def datasets(file: h5py.File) -> dict[str, h5py.Dataset]:
    """Return all datasets of a file by their path.

    Links to other files are left out, and so are further links to the same dataset.

    Raises
    ------
    ColloidsError
        If there are more objects than in any real file.
    """
    found: dict[str, h5py.Dataset] = {}
    groups = [("", 0, file["/"])]
    seen = {_address(file["/"])}
    while groups:
        path, depth, group = groups.pop(0)
        for found_name in group:
            # Names that are not UTF-8 come as bytes.
            name = found_name.decode("utf-8", "surrogateescape") if isinstance(found_name, bytes) else found_name
            item = linked(group, name)
            if item is None or _address(item) in seen:
                continue
            seen.add(_address(item))
            if len(seen) > _MAX_OBJECTS:
                raise ColloidsError(f"'{file.filename}' holds more than {_MAX_OBJECTS} groups and datasets.")
            here = f"{path}/{name}".strip("/")
            if isinstance(item, h5py.Dataset):
                found[here] = item
            elif isinstance(item, h5py.Group) and depth < _MAX_DEPTH:
                groups.append((here, depth + 1, item))
    return found


def linked(group: h5py.Group, path: str) -> h5py.Group | h5py.Dataset | None:
    """Return the object at a path below a group, or None where there is none in the same file."""
    show_progress()
    item = group
    for name in encoded(path).split(b"/"):
        if not isinstance(item, h5py.Group):
            return None
        links = item.id.links  # of the library itself: to ask the group whether a link leads anywhere follows it
        if not links.exists(name) or links.get_info(name).type != h5py.h5l.TYPE_HARD:
            return None
        item = item[name]
    return item


def encoded(path: str) -> bytes:
    """Return a path as the file has it, also where it is not UTF-8."""
    return path.encode("utf-8", "surrogateescape")


def values_type(dataset: h5py.Dataset) -> np.dtype[np.generic] | None:
    """Return the type of the values; None for those that NumPy does not have."""
    try:
        dtype: np.dtype[np.generic] = dataset.dtype
    except TypeError:
        return None
    return dtype


@dataclass(frozen=True)
class Stored:
    """What was written of a dataset.

    Attributes
    ----------
    unreadable, recorded, missing_files, notices
        As in `SeriesReader`.
    """

    unreadable: str = ""
    recorded: NDArray[np.bool_] | None = None
    missing_files: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


def stored(path: Path, dataset: h5py.Dataset, axes: str, name: str) -> Stored:
    """Return what was written of a dataset.

    Parameters
    ----------
    path
        The file.
    dataset
        The dataset.
    axes
        One letter per dimension.
    name
        Of the dataset, in messages.
    """
    if dataset.external:
        return Stored(f"'{name}' keeps its values in another file, which is not followed; save it into one file.")
    if dataset.is_virtual:
        return _virtual(path, dataset, axes, name)
    chunks = dataset.chunks
    if chunks is None:
        empty = np.zeros((1,) * dataset.ndim, bool)
        return Stored(recorded=empty if dataset.id.get_storage_size() == 0 else None)
    try:
        written = written_chunks(dataset, name)
    except ColloidsError as error:
        return Stored(str(error))
    recorded, notices = recorded_planes(written, chunks, dataset.shape, axes, name)
    return Stored(recorded=recorded, notices=notices)


def written_chunks(dataset: h5py.Dataset, name: str) -> NDArray[np.bool_]:
    """Return which chunks of a dataset are in the file.

    Raises
    ------
    ColloidsError
        If there are more than in any real file, or one is longer than its values.
    """
    chunks = dataset.chunks
    grid = chunk_grid(dataset.shape, chunks, name)
    longest = math.prod(chunks) * dataset.dtype.itemsize * _MAX_EXPANSION + _MAX_EXPANSION_BYTES
    most = math.prod(grid)
    places: list[tuple[int, ...]] = []

    def note(chunk: h5py.h5d.StoreInfo) -> None:
        show_progress()
        if chunk.size > longest:
            raise ColloidsError(f"'{name}' is damaged: a chunk at {chunk.chunk_offset} is longer than its values.")
        if len(places) > most:
            raise ColloidsError(f"'{name}' is damaged: the list of its chunks has no end.")
        places.append(tuple(k // n for k, n in zip(chunk.chunk_offset, chunks, strict=True)))

    dataset.id.chunk_iter(note)
    return written_grid(grid, places)


def _virtual(path: Path, dataset: h5py.Dataset, axes: str, name: str) -> Stored:
    """Return what there is of a dataset that is made of others."""
    lateral = lateral_dimensions(axes)
    shape = tuple(1 if k in lateral else n for k, n in enumerate(dataset.shape))
    recorded = np.zeros(shape, bool)
    missing: dict[str, None] = {}
    for source in dataset.virtual_sources():
        beside = plain_file_beside(path.parent, source.file_name)
        file = path.absolute() if source.file_name == _SAME_FILE else beside
        if file is None:
            missing[source.file_name] = None
            continue
        if not _is_plain(file, source.dset_name):
            return Stored(f"'{name}' refers to '{source.dset_name}' in '{file}', which is no dataset with values.")
        recorded[np.ix_(*_selected(source.vspace, shape))] = True
    return Stored(recorded=None if recorded.all() else recorded, missing_files=tuple(missing))


def _is_plain(path: Path, key: str) -> bool:
    """Return whether a dataset has values itself: a virtual one may go round in a circle, which ends the process."""
    with reading(path, _KIND), h5py.File(path, "r") as file:
        item = linked(file, key.strip("/"))
        return isinstance(item, h5py.Dataset) and not item.is_virtual and not item.external


def _selected(space: h5py.h5s.SpaceID, shape: tuple[int, ...]) -> list[NDArray[np.int_]]:
    """Return the places of a selection along each dimension; 0 for those of length 1."""
    if space.get_select_type() == h5py.h5s.SEL_ALL:
        return [np.arange(n) for n in shape]
    if space.get_select_type() == h5py.h5s.SEL_HYPERSLABS and space.is_regular_hyperslab():
        along = zip(*space.get_regular_hyperslab(), strict=True)
        places = [
            np.add.outer(start + stride * np.arange(min(count, n)), np.arange(min(block, n))).ravel()
            for (start, stride, count, block), n in zip(along, space.shape, strict=True)
        ]
    else:
        places = [np.arange(low, high + 1) for low, high in zip(*space.get_select_bounds(), strict=True)]
    return [one[one < n] if n > 1 else np.zeros(1, int) for one, n in zip(places, shape, strict=True)]


def _address(item: h5py.HLObject) -> tuple[int, int]:
    info = h5py.h5o.get_info(item.id)
    return info.fileno, info.addr
