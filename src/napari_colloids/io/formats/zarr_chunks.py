"""The chunks of a Zarr array that are in its folder: those that are not stand for the fill value."""

from __future__ import annotations

import math
import os
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_colloids.errors import ColloidsError
from napari_colloids.io.chunks import chunk_grid, written_grid
from napari_colloids.io.isolated.child import show_progress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import zarr
    from numpy.typing import NDArray

#: Names of a chunk in versions 2 and 3: its place in the grid, with points or as folders.
_CHUNK = re.compile(r"(?:c[/.])?([0-9]{1,9}(?:[/.][0-9]{1,9})*)")
#: Place and length of a chunk in a shard that does not hold it.
_ABSENT = 2**64 - 1
#: Bytes of place and length, and of the check sum after all of them.
_ENTRY_BYTES = 16
_CHECK_SUM_BYTES = 4


def chunks_in_folder(folder: Path, array: zarr.Array, name: str) -> NDArray[np.bool_]:
    """Return which chunks of an array exist, in the grid of its chunks.

    Parameters
    ----------
    folder
        Of the array.
    array
        The array.
    name
        Of the array, in messages.

    Raises
    ------
    ColloidsError
        If it promises more chunks than any array has, or one is no plain file.
    """
    grid = chunk_grid(array.shape, array.chunks, name)
    files = ((place, file) for place, file in _chunk_files(folder, "", array.ndim) if len(place) == array.ndim)
    if array.shards is None:
        return written_grid(grid, (place for place, _ in files))
    per_shard = tuple(whole // n for whole, n in zip(array.shards, array.chunks, strict=True))
    written = np.zeros(grid, bool)
    for place, file in files:
        part = written[tuple(slice(k * n, (k + 1) * n) for k, n in zip(place, per_shard, strict=True))]
        part[...] = _chunks_in_shard(file, array, per_shard)[tuple(slice(n) for n in part.shape)]
    return written


def _chunk_files(folder: Path, below: str, levels: int) -> Iterator[tuple[tuple[int, ...], str]]:
    """Yield the place in the grid and the path of each file of a chunk."""
    with os.scandir(folder / below) as entries:
        for entry in entries:
            show_progress()
            if entry.is_dir():
                if levels >= 0:
                    yield from _chunk_files(folder, f"{below}{entry.name}/", levels - 1)
            elif match := _CHUNK.fullmatch(f"{below}{entry.name}"):
                if not entry.is_file():
                    raise ColloidsError(f"'{entry.path}', a chunk of a Zarr array, is no file.")
                yield tuple(int(number) for number in re.split("[/.]", match[1])), entry.path


def _chunks_in_shard(file: str, array: zarr.Array, per_shard: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return which chunks a shard holds, by the index at its end; all of them where it has another kind of index."""
    metadata: dict[str, Any] = array.metadata.to_dict()
    about = metadata["codecs"][0]["configuration"]
    names = [codec["name"] for codec in about.get("index_codecs", ())]
    if about.get("index_location") != "end" or names not in (["bytes"], ["bytes", "crc32c"]):
        return np.ones(per_shard, bool)
    check_sum = _CHECK_SUM_BYTES if len(names) > 1 else 0
    length = math.prod(per_shard) * _ENTRY_BYTES
    with open(file, "rb") as opened:
        opened.seek(-length - check_sum, os.SEEK_END)
        places = np.frombuffer(opened.read(length), "<u8").reshape(*per_shard, 2)
    there: NDArray[np.bool_] = (places != _ABSENT).any(axis=-1)
    return there
