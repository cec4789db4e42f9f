"""Particle tables in and out: CSV, extended XYZ, HDF5 and Parquet, each with exact floats."""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_colloids.errors import ColloidsError
from napari_colloids.io.atomic import replace_on_success, translating_write_errors
from napari_colloids.io.files import AnyPath, ending, existing_file, one_line, to_json
from napari_colloids.io.formats.challenge_truth import HDF5
from napari_colloids.io.tables.csv import CsvParts, read_csv
from napari_colloids.io.tables.hdf5 import Hdf5Parts, read_hdf5_table
from napari_colloids.io.tables.parquet import ParquetParts, read_parquet
from napari_colloids.io.tables.writer import (
    ParticleWriter,
    PartsFile,
    ordered,
    translating_table_errors,
    with_known_types,
)
from napari_colloids.io.tables.xyz import XyzParts, read_xyz
from napari_colloids.particles import check_particles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pandas as pd

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
    table = ordered(with_known_types(check_particles(table, f"'{path}'"), f"'{path}'"))
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
    with particle_writer(path, metadata=metadata) as writer:
        writer.append(particles)


@contextmanager
def particle_writer(path: AnyPath, *, metadata: Mapping[str, Any] | None = None) -> Iterator[ParticleWriter]:
    """Write a particle table part by part, so that no more than a part is ever in memory.

    The file appears under its name when the ``with`` block has ended and all went well; otherwise a file that was there
    before stays as it was.

    Parameters
    ----------
    path
        File to write: ``.csv``, ``.xyz``, ``.h5``, ``.hdf5`` or ``.parquet``. A part becomes a row group in Parquet.
        XYZ holds one frame in memory (everything, where there is no column ``frame``) and takes the frames in rising
        order only.
    metadata
        As in `write_particles`. ``writer.metadata`` may be changed until the end of the block, except for what gives an
        XYZ file its cell: that is read whenever a frame is complete.

    Yields
    ------
    ParticleWriter
        Its ``append(table)`` takes the next part, its ``metadata`` is a dictionary.

    Raises
    ------
    ColloidsError
        If the ending is unknown, the file cannot be written, or `ParticleWriter.append` failed.

    Examples
    --------
    >>> with particle_writer("particles.parquet", metadata={"input": "stack.tif"}) as writer:  # doctest: +SKIP
    ...     for frame in range(stack.n_frames):
    ...         writer.append(detect(stack, frame=frame).assign(frame=frame))
    ...     writer.metadata["seconds"] = 12.5
    """
    kind = _PARTS.get(ending(path))
    if kind is None:
        raise ColloidsError(f"'{path}' has no known ending; particles are written to {', '.join(PARTICLE_ENDINGS)}.")
    provenance = dict(metadata or {})
    sidecar = _sidecar(path)
    # The table is renamed first (the inner one): a new note beside an old table would say that the old one is new.
    with replace_on_success(sidecar) as beside, replace_on_success(path) as temporary:
        with translating_table_errors(path):
            file = kind(temporary, provenance)
        try:
            writer = ParticleWriter(path, file, provenance)
            yield writer
            writer.finish()
            with translating_table_errors(sidecar):
                beside.write_text(to_json(provenance), encoding="utf-8")
        except BaseException:
            with suppress(Exception):  # what went wrong is known already
                file.close()
            raise
    if not provenance:
        # What an earlier table of this name came from is not where this one comes from.
        with translating_write_errors(sidecar):
            sidecar.unlink(missing_ok=True)


def _sidecar(path: AnyPath) -> Path:
    return Path(f"{Path(path)}.json")


def _read_sidecar(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(_sidecar(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


_READERS: dict[str, Callable[[Path, int], pd.DataFrame]] = {
    ".csv": read_csv,
    ".xyz": read_xyz,
    ".h5": read_hdf5_table,
    ".hdf5": read_hdf5_table,
    ".parquet": read_parquet,
}
_PARTS: dict[str, Callable[[Path, dict[str, Any]], PartsFile]] = {
    ".csv": CsvParts,
    ".xyz": XyzParts,
    ".h5": Hdf5Parts,
    ".hdf5": Hdf5Parts,
    ".parquet": ParquetParts,
}
