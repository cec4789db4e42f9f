"""Reading and writing of particle tables, with exact floats in every format."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from napari_colloids.errors import ColloidsError, brief
from napari_colloids.io.atomic import replace_on_success, translating_write_errors
from napari_colloids.io.files import AnyPath, existing_file, one_line
from napari_colloids.io.tables.foreign import UNIT_COLUMNS, ForeignTable, checked_columns
from napari_colloids.io.tables.headers import SAID, UNITS
from napari_colloids.io.tables.note import Note, has_line_end, note_path, note_text
from napari_colloids.io.tables.registry import (
    PARTICLE_ENDINGS,
    READ_ENDINGS,
    TableFormat,
    readable_format,
    table_format,
)
from napari_colloids.io.tables.writer import ParticleWriter, ordered, translating_table_errors, with_known_types
from napari_colloids.particles import POSITION, POSITION_UM, check_particles, with_micrometres
from napari_colloids.settings import check_value
from napari_colloids.stack import checked_voxel_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pandas as pd

#: Key in a table's ``attrs`` of what was detected or assumed when it was read.
READING = "reading"


def read_particles(
    path: AnyPath,
    *,
    index: int = 0,
    columns: Mapping[str, str] | None = None,
    voxel_size: Sequence[float] | None = None,
) -> pd.DataFrame:
    r"""Read a particle table, or the true particles of a simulated volume.

    Parameters
    ----------
    path
        A file that ends in one of `PARTICLE_ENDINGS`, as `write_particles` writes it or with the same columns; a table
        of another program (.csv, .tsv, .txt, .dat; TrackMate, trackpy, Imaris, napari, PyColloids, ...), whose
        separator, decimal sign, encoding, columns and units are detected; an array of positions (.npy); an HDF5 file of
        the challenge, or the ``y_NAME.csv`` of its website.
    index
        Number of the volume in a file of the challenge.
    columns
        Which columns of the file are which, where it is not detected: ``{"z": "depth"}``; columns without names are
        numbered from 0. ``z_um, y_um, x_um`` name positions in micrometres.
    voxel_size
        Micrometres ``(z, y, x)``, by which positions in micrometres are converted; adds the columns in micrometres.
        None takes that of the note beside the table.

    Returns
    -------
    pandas.DataFrame
        With at least ``z, y, x`` in voxels; rows without a position are dropped. The `metadata` that were written are
        in its ``attrs``; ``attrs["reading"]`` lists in sentences what was detected or assumed, if anything.

    Raises
    ------
    ColloidsError
        If the file is missing, damaged, cut short or of another format, its positions are not found, or they are in
        micrometres and the voxel size is unknown.

    See Also
    --------
    write_particles : Writes a particle table.
    read_truth : Reads the true particles of a simulated volume.

    Examples
    --------
    >>> from napari_colloids import particle_table, read_particles, write_particles
    >>> write_particles("particles.csv", particle_table([[1, 2.5, 3]]), metadata={"input": "stack.tif"})
    >>> particles = read_particles("particles.csv")
    >>> particles
         z    y    x
    0  1.0  2.5  3.0
    >>> particles.attrs
    {'input': 'stack.tif'}

    A table of another program:

    >>> from pathlib import Path
    >>> _ = Path("spots.txt").write_text("X (nm);Y (nm);Z (nm)\n300,0;250,0;600,0\n")
    >>> spots = read_particles("spots.txt", voxel_size=(0.2, 0.1, 0.1))
    >>> spots[["z", "y", "x"]].round(6).to_numpy().tolist()
    [[3.0, 2.5, 3.0]]
    >>> spots.attrs["reading"][0]
    "read with ';' between values, ',' as the decimal sign"
    """
    check_value("index", index, int)
    given, size = checked_columns(columns), checked_voxel_size(voxel_size)
    file = existing_file(path)
    form = readable_format(path)
    if form is None:
        raise ColloidsError(f"'{path}' has no known ending; particles are read from {', '.join(READ_ENDINGS)} files.")
    table = _read_as(form, file, path, index)
    note = Note(file)
    note.check(len(table))
    said = [note.problem] if note.problem else []
    in_voxels = set(POSITION) <= set(table.columns) and not table.attrs.get(UNITS)
    if given or not in_voxels or {"Frame", "FRAME", *UNIT_COLUMNS}.intersection(table.columns):
        foreign = ForeignTable(table, path, given, size or note.voxel_size)
        table, said = foreign.particles(), [*said, *foreign.said]
    else:
        said += table.attrs.get(SAID, [])
    if form.is_text and not has_line_end(file):
        said.append("its last line has no end: if the file was cut, its last number is too short")
    rows = len(table)
    table = ordered(with_known_types(check_particles(table, f"'{path}'"), f"'{path}'"))
    if len(table) < rows:
        said.append(f"{rows - len(table)} of {rows} rows have no position and are left out")
    if not set(POSITION_UM) <= set(table.columns) or in_voxels:
        table = with_micrometres(table, size)
    table.attrs.update(note.content)
    if size is not None:
        table.attrs["voxel_size"] = list(size)
    if said:
        table.attrs[READING] = said
    return table


def _read_as(form: TableFormat, file: Path, path: AnyPath, index: int) -> pd.DataFrame:
    """Read the columns of a file as they are.

    Raises
    ------
    ColloidsError
        If it is damaged.
    """
    try:
        table = form.read(file, index)
        if not table.columns.is_unique:
            raise ValueError("two of its columns have the same name")
    except ColloidsError:
        raise
    except MemoryError as error:
        raise ColloidsError(f"'{path}' does not fit into memory.") from error
    except Exception as error:  # parsers raise nearly anything on damaged bytes
        raise ColloidsError(f"'{path}' cannot be read as a particle table ({one_line(error)}).") from error
    return table


def write_particles(path: AnyPath, particles: pd.DataFrame, *, metadata: Mapping[str, object] | None = None) -> None:
    """Write a particle table in the format of the file's ending.

    Parameters
    ----------
    path
        File to write, which ends in one of `PARTICLE_ENDINGS`: CSV, extended XYZ, HDF5 or Parquet.
    particles
        A particle table; columns of other names are written too.
    metadata
        Where the table comes from (parameters, versions, ...); written as JSON to ``<path>.json``. ``shape`` (z, y, x
        voxels) and ``voxel_size`` (z, y, x micrometres) give an XYZ file its cell.

    Raises
    ------
    ColloidsError
        If the table lacks z, y, x, the ending is unknown, or the file cannot be written.

    See Also
    --------
    read_particles : Reads the table.
    particle_writer : Writes a table in parts.

    Examples
    --------
    >>> from pathlib import Path
    >>> from napari_colloids import particle_table, write_particles
    >>> particles = particle_table([[1, 2, 3], [4, 5, 6]], radius=4)
    >>> write_particles("particles.csv", particles)
    >>> print(Path("particles.csv").read_text())
    z,y,x,radius
    1.0,2.0,3.0,4.0
    4.0,5.0,6.0,4.0
    """
    with particle_writer(path, metadata=metadata) as writer:
        writer.append(particles)


@contextmanager
def particle_writer(path: AnyPath, *, metadata: Mapping[str, object] | None = None) -> Iterator[ParticleWriter]:
    """Write a particle table in parts, with only one part in memory.

    The file appears under its name when the ``with`` block has ended without an error; otherwise a file that was there
    before stays as it was.

    Parameters
    ----------
    path
        File to write, which ends in one of `PARTICLE_ENDINGS`. A part becomes a row group in Parquet. XYZ holds one
        frame in memory (everything, where there is no column ``frame``) and needs the frames in ascending order.
    metadata
        As in `write_particles`. ``writer.metadata`` may be changed until the end of the block, except for ``shape`` and
        ``voxel_size`` of an XYZ file, which are read when a frame is complete.

    Yields
    ------
    ParticleWriter
        Its ``append(table)`` writes the next part, its ``metadata`` is a dictionary.

    Raises
    ------
    ColloidsError
        If the ending is unknown, the file cannot be written, or `ParticleWriter.append` failed.

    See Also
    --------
    write_particles : Writes a table at once.
    napari_colloids.iter_detect : Yields the particles of a series in parts.

    Examples
    --------
    >>> from napari_colloids import particle_table, particle_writer, read_particles
    >>> with particle_writer("particles.csv", metadata={"input": "stack.tif"}) as writer:
    ...     for frame in range(3):
    ...         writer.append(particle_table([[1, 2, 3 + frame]], frame=frame))
    ...     writer.metadata["seconds"] = 12.5
    >>> read_particles("particles.csv")
       frame    z    y    x
    0      0  1.0  2.0  3.0
    1      1  1.0  2.0  4.0
    2      2  1.0  2.0  5.0
    """
    form = table_format(path)
    if form is None:
        raise ColloidsError(f"'{path}' has no known ending; particles are written to {', '.join(PARTICLE_ENDINGS)}.")
    if not isinstance(metadata, Mapping | None):
        raise ColloidsError(f"Metadata are a dictionary, not {brief(metadata)}.")
    provenance = dict(metadata or {})
    sidecar = note_path(path)
    # The table is renamed first (the inner one): new metadata beside an old table would be wrong about it.
    with replace_on_success(sidecar) as beside, replace_on_success(path) as temporary:
        with translating_table_errors(path):
            file = form.writer(temporary, provenance)
        try:
            writer = ParticleWriter(path, file, provenance)
            yield writer
            writer.finish()
            with translating_table_errors(sidecar):
                beside.write_text(note_text(provenance, writer.rows), encoding="utf-8")
        except BaseException:
            with suppress(Exception):  # the first error is the one to raise
                file.close()
            raise
    if not provenance:
        # The metadata of an earlier table of this name do not describe this one.
        with translating_write_errors(sidecar):
            sidecar.unlink(missing_ok=True)
