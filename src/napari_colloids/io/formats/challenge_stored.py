"""What an HDF5 file of the challenge holds of one volume, as it is read in another process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.errors import ColloidsError
from napari_colloids.io.formats.hdf5 import attributes_of, dataset_array, element_size, is_number, volumes
from napari_colloids.io.formats.hdf5_file import opened
from napari_colloids.io.isolated.array import IsolatedArray

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import h5py
    from numpy.typing import NDArray

    from napari_colloids.stack import VoxelSize


@dataclass(frozen=True)
class StoredVolume:
    """A numbered volume.

    Attributes
    ----------
    key
        Its number, as text.
    image
        The pixels, which stay in the file.
    voxel_size
        Edges of a voxel ``(z, y, x)`` in micrometres, or None.
    attributes
        Those of its dataset.
    positions, diameters
        Of its true particles, as they are in the file; None where it has none.
    """

    key: str
    image: IsolatedArray
    voxel_size: VoxelSize | None
    attributes: Mapping[str, object]
    positions: NDArray[np.float64] | None
    diameters: NDArray[np.float64] | None


def stored_volume(path: Path, index: int) -> StoredVolume | None:
    """Return a volume by its place in the file, or None where the volumes of the file are not numbered.

    Raises
    ------
    ColloidsError
        If the file is damaged or there is no such volume.
    """
    with opened(path) as file:
        keys = list(volumes(path, file))
        if not 0 <= index < len(keys):
            raise ColloidsError(
                f"'{path}' holds {len(keys)} volume{'s' if len(keys) > 1 else ''}; there is no volume {index} "
                "(the first one is 0)."
            )
        return _stored(path, file, keys[index]) if is_number(keys[index]) else None


def numbered_volume(path: Path, number: int) -> StoredVolume | None:
    """Return a volume by its number, or None where there is none.

    Raises
    ------
    ColloidsError
        If the file is damaged.
    """
    with opened(path) as file:
        return _stored(path, file, str(number)) if str(number) in file else None


def _stored(path: Path, file: h5py.File, key: str) -> StoredVolume:
    dataset = file[key]
    return StoredVolume(
        key,
        IsolatedArray.of(dataset_array(path, key, dataset)),
        element_size(dataset),
        attributes_of(dataset),
        _numbers(file, f"{key}_positions"),
        _numbers(file, f"{key}_diameters"),
    )


def _numbers(file: h5py.File, key: str) -> NDArray[np.float64] | None:
    return np.asarray(file[key], dtype=float) if key in file else None
