"""Reading of the true particles of the challenge's volumes, in either layout."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from napari_colloids.errors import ColloidsError
from napari_colloids.io.files import HDF5_ENDINGS, AnyPath, ending, existing_file, one_line
from napari_colloids.io.formats.challenge_metadata import volume_metadata
from napari_colloids.io.formats.challenge_stored import StoredVolume, numbered_volume, stored_volume
from napari_colloids.io.isolated.process import run_isolated
from napari_colloids.particles import particle_table
from napari_colloids.table_limits import csv_names

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

#: Columns of the website's truth with z, y, x.
WEBSITE_POSITION = ["Z", "Y", "X"]
#: Column of the website's truth with the number of the volume.
IMAGE_INDEX = "image_index"


def read_truth(path: AnyPath, index: int = 0) -> pd.DataFrame | None:
    """Read the true particles of one simulated volume.

    They are searched in the HDF5 file itself (``"<n>_positions"``), then for ``x_NAME.hdf5`` in ``y_NAME.csv``
    beside it.

    Parameters
    ----------
    path
        File of the volumes.
    index
        Number of the volume, as in `read_stack`.

    Returns
    -------
    pandas.DataFrame or None
        ``z, y, x`` in voxels and, where the file or its metadata hold it, ``radius`` in lateral voxels; also in
        micrometres where the volume has a voxel size. None where the true particles are not known.

    Raises
    ------
    ColloidsError
        If there is no such volume, or the file of its true particles is damaged.

    See Also
    --------
    read_stack : Reads the volume.
    napari_colloids.score : Compares detected particles with the true ones.

    Examples
    --------
    >>> from napari_colloids import read_truth, simulate
    >>> from napari_colloids.io import write_challenge
    >>> volume = simulate(shape=(16, 24, 24), radius=4, volume_fraction=0.2, seed=0)
    >>> write_challenge("volumes.h5", [volume])
    >>> list(read_truth("volumes.h5", index=0).columns)
    ['z', 'y', 'x', 'radius']
    """
    if ending(path) not in HDF5_ENDINGS:
        return None
    file = existing_file(path)
    volume = run_isolated(file, stored_volume, file, index, nbytes=file.stat().st_size)
    if volume is None:
        return None
    radius = volume_metadata(file, volume.key, volume.attributes).get("r")
    if volume.positions is not None:
        return _from_file(file, volume, volume.positions, radius)
    beside = website_truth(file)
    if beside is None or not beside.is_file():
        return None
    positions = in_image_order(website_positions(beside, int(volume.key)), volume.image.read())
    return particle_table(positions, radius=radius, voxel_size=volume.voxel_size)


def website_particles(path: Path, index: int) -> pd.DataFrame:
    """Return the true particles of one image in a ``y_NAME.csv``.

    Where the image lies beside it, in ``x_NAME.hdf5``, y and x are those of the image; else those of the columns.

    Raises
    ------
    ColloidsError
        If the table cannot be read or does not hold the image.
    """
    positions = website_positions(path, index)
    images = path.with_name(f"x_{path.stem[2:]}.hdf5")
    if path.stem.startswith("y_") and images.is_file():
        volume = run_isolated(images, numbered_volume, images, index)
        if volume is not None:
            return particle_table(in_image_order(positions, volume.image.read()))
    return particle_table(positions)


def website_truth(path: Path) -> Path | None:
    """Return the path of the true particles of ``x_NAME.hdf5`` in the website layout; None for other names."""
    return path.with_name(f"y_{path.stem[2:]}.csv") if path.stem.startswith("x_") else None


def website_positions(path: Path, index: int) -> NDArray[np.float64]:
    """Return the positions ``(N, 3)`` of one image in a ``y_NAME.csv``.

    Raises
    ------
    ColloidsError
        If the table cannot be read or does not hold the image.
    """
    table = _website_table(path, path.stat().st_mtime_ns)
    rows = table[table[IMAGE_INDEX] == index]
    if rows.empty:
        known = np.unique(table[IMAGE_INDEX].dropna()).astype(int)
        span = f"it has images {known[0]} to {known[-1]}" if len(known) else "it is empty"
        raise ColloidsError(f"'{path}' has no particles of image {index}; {span}.")
    return rows[WEBSITE_POSITION].dropna().to_numpy(dtype=float)


def in_image_order(positions: NDArray[np.float64], image: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return the positions ``(N, 3)``, with y and x exchanged if the image is brighter at the exchanged ones.

    The challenge's own scripts wrote the second array axis into the column X and the third into Y, other programs
    follow the names; the file does not tell them apart, but the particles are bright.
    """
    exchanged = positions[:, [0, 2, 1]]
    if len(positions) == 0:
        return positions

    def brightness(centres: NDArray[np.float64]) -> float:
        voxels = np.clip(np.rint(centres).astype(int), 0, np.array(image.shape) - 1)
        return float(image[tuple(voxels.T)].mean())

    return exchanged if brightness(exchanged) > brightness(positions) else positions


@lru_cache(maxsize=1)  # 1400 images in one table of 2,800,000 rows: do not read it again for each
def _website_table(path: Path, _modified: int) -> pd.DataFrame:
    try:
        csv_names(path)
        return pd.read_csv(path, usecols=[IMAGE_INDEX, *WEBSITE_POSITION], float_precision="round_trip", dtype=float)
    except (OSError, ValueError) as error:
        raise ColloidsError(f"'{path}' is not a truth table of the challenge ({one_line(error)}).") from error


def _from_file(
    path: Path, volume: StoredVolume, positions: NDArray[np.float64], radius: float | NDArray[np.float64] | None
) -> pd.DataFrame:
    diameters = volume.diameters
    if positions.ndim != 2 or positions.shape[1] != 3:
        raise ColloidsError(f"'{path}': '{volume.key}_positions' must be (N, 3), not {positions.shape}.")
    if diameters is not None:
        radius = diameters.ravel() / 2
        if diameters.size != len(positions):
            raise ColloidsError(
                f"'{path}': volume {volume.key} has {len(positions)} positions but {diameters.size} diameters."
            )
    return particle_table(positions, radius=radius, voxel_size=volume.voxel_size)
