"""Particle tables in and out: CSV, extended XYZ, HDF5 and Parquet, each with exact floats."""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pandas as pd

from napari_colloids.errors import ColloidsError
from napari_colloids.io.atomic import replacing
from napari_colloids.io.files import AnyPath, ending, existing_file, one_line, to_json
from napari_colloids.io.hdf5 import opened
from napari_colloids.io.truth import HDF5, IMAGE_INDEX, WEBSITE_POSITION, read_truth, website_positions
from napari_colloids.io.xyz import read_xyz, write_xyz
from napari_colloids.particles import COLUMNS, POSITION, check_particles, particle_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_GROUP = "particles"
#: Endings of the files that `read_particles` and `write_particles` understand.
PARTICLE_ENDINGS = (".csv", ".xyz", *HDF5, ".parquet")


def read_particles(path: AnyPath, *, index: int = 0) -> pd.DataFrame:
    """Read a particle table, or the true particles of a challenge volume.

    Parameters
    ----------
    path
        A ``.csv``, ``.xyz``, ``.h5`` or ``.parquet`` file of `write_particles` or with its columns; a CSV of napari's
        points; a challenge HDF5 file, or the ``y_NAME.csv`` of its website.
    index
        Which volume, for a challenge file.

    Returns
    -------
    pandas.DataFrame
        At least ``z, y, x`` in voxels; rows without a position are dropped. What was written as `metadata` is in its
        ``attrs``.

    Raises
    ------
    ColloidsError
        If the file is missing, damaged, of another kind, or holds no positions.
    """
    kind = ending(path)
    file = existing_file(path)
    reader = _READERS.get(kind)
    if reader is None:
        raise ColloidsError(
            f"'{path}' is not of a known kind; particles are read from {', '.join(PARTICLE_ENDINGS)} files."
        )
    try:
        table = reader(file, index)
    except (OSError, ValueError, KeyError) as error:
        raise ColloidsError(f"'{path}' cannot be read as a particle table ({one_line(error)}).") from error
    table = _ordered(check_particles(_as_numbers(table, file), f"'{path}'"))
    table.attrs.update(_read_sidecar(file))
    return table


def write_particles(path: AnyPath, particles: pd.DataFrame, *, metadata: Mapping[str, Any] | None = None) -> None:
    """Write a particle table in the format that the ending names.

    Parameters
    ----------
    path
        File to write: ``.csv``, ``.xyz``, ``.h5``, ``.hdf5`` or ``.parquet``.
    particles
        A particle table; other columns are kept.
    metadata
        Where the table comes from (parameters, versions, ...); written as JSON to ``<path>.json``. ``shape`` (z, y, x
        voxels) and ``voxel_size`` (z, y, x micrometres) give an XYZ file its cell.

    Raises
    ------
    ColloidsError
        If the table lacks z, y, x, the ending is unknown, or the file cannot be written.
    """
    writer = _WRITERS.get(ending(path))
    if writer is None:
        raise ColloidsError(f"'{path}' has no known ending; particles are written to {', '.join(PARTICLE_ENDINGS)}.")
    table = check_particles(particles)
    table = _ordered(table).copy()
    table.attrs.clear()
    with ExitStack() as files:
        temporary = files.enter_context(replacing(path))
        if metadata is not None:
            beside = files.enter_context(replacing(_sidecar(path)))
            beside.write_text(to_json(metadata), encoding="utf-8")
        try:
            writer(temporary, table, metadata)
        except (TypeError, ValueError) as error:
            raise ColloidsError(f"The table cannot be written to '{path}' ({one_line(error)}).") from error
    if metadata is None:
        # What an earlier table of this name came from is not where this one comes from.
        _sidecar(path).unlink(missing_ok=True)


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    return table[[c for c in COLUMNS if c in table] + [c for c in table.columns if c not in COLUMNS]]


def _sidecar(path: AnyPath) -> Path:
    return Path(f"{Path(path)}.json")


def _read_sidecar(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(_sidecar(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _as_numbers(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Give the known columns their type, which an empty table does not show."""
    kinds = {column: int if column == "frame" else float for column in COLUMNS if column in table}
    try:
        return table.astype(kinds)
    except (TypeError, ValueError) as error:
        raise ColloidsError(f"'{path}' has columns that should be numbers but are not ({one_line(error)}).") from error


def _read_csv(path: Path, index: int) -> pd.DataFrame:
    table = pd.read_csv(path, float_precision="round_trip", encoding="utf-8-sig")
    if {IMAGE_INDEX, *WEBSITE_POSITION} <= set(table.columns):
        return particle_table(website_positions(path, index))
    if not set(POSITION) & set(table.columns):
        # napari's own points files: index, axis-0, axis-1, axis-2.
        table = table.rename(columns=dict(zip(["axis-0", "axis-1", "axis-2"], POSITION, strict=True)))
    return table


def _write_csv(path: Path, particles: pd.DataFrame, _metadata: Mapping[str, Any] | None) -> None:
    particles.to_csv(path, index=False, encoding="utf-8", lineterminator="\n")


def _read_hdf5(path: Path, index: int) -> pd.DataFrame:
    with opened(path) as file:
        if _GROUP in file:
            group = file[_GROUP]
            return pd.DataFrame({name: _column(group[name]) for name in group.attrs["columns"]})
    truth = read_truth(path, index)
    if truth is None:
        raise ColloidsError(f"'{path}' holds volumes but no particles.")
    return truth


def _column(dataset: h5py.Dataset) -> Any:
    return dataset.asstr()[()] if h5py.check_string_dtype(dataset.dtype) else dataset[()]


def _write_hdf5(path: Path, particles: pd.DataFrame, _metadata: Mapping[str, Any] | None) -> None:
    with h5py.File(path, "w") as file:
        group = file.create_group(_GROUP)
        names = [str(column) for column in particles.columns]
        group.attrs["columns"] = names
        for name, column in zip(names, particles.columns, strict=True):
            values = particles[column].to_numpy()
            # Whatever is no number is kept as text.
            group[name] = values if values.dtype.kind in "uifb" else np.array([str(v) for v in values], dtype=object)


def _read_parquet(path: Path, _index: int) -> pd.DataFrame:
    with _needing_pyarrow():
        return pd.read_parquet(path, engine="pyarrow")


def _write_parquet(path: Path, particles: pd.DataFrame, _metadata: Mapping[str, Any] | None) -> None:
    with _needing_pyarrow():
        particles.to_parquet(path, engine="pyarrow", index=False)


@contextmanager
def _needing_pyarrow() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise ColloidsError(
            'Parquet files need one more package: pip install "napari-colloids[formats]" (or use .csv).'
        ) from error


def _read_xyz(path: Path, _index: int) -> pd.DataFrame:
    return read_xyz(path)


_READERS: dict[str, Callable[[Path, int], pd.DataFrame]] = {
    ".csv": _read_csv,
    ".xyz": _read_xyz,
    ".h5": _read_hdf5,
    ".hdf5": _read_hdf5,
    ".parquet": _read_parquet,
}
_WRITERS: dict[str, Callable[[Path, pd.DataFrame, Mapping[str, Any] | None], None]] = {
    ".csv": _write_csv,
    ".xyz": write_xyz,
    ".h5": _write_hdf5,
    ".hdf5": _write_hdf5,
    ".parquet": _write_parquet,
}
