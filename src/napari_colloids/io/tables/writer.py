"""Writing of a particle table in parts, which must agree in their columns and types."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd

from napari_colloids.errors import ColloidsError
from napari_colloids.io.atomic import translating_write_errors
from napari_colloids.io.files import AnyPath, one_line
from napari_colloids.particles import COLUMNS, WHOLE, check_particles, particle_table

if TYPE_CHECKING:
    from collections.abc import Iterator


class PartWriter(Protocol):
    """A file in one of the formats that is written part by part."""

    def append(self, table: pd.DataFrame) -> None:
        """Write the rows of one part; only a table without any rows has an empty one."""

    def close(self) -> None:
        """Finish the file."""


class ParticleWriter:
    """Writer of the parts of one particle table, as returned by `particle_writer`.

    Parameters
    ----------
    path
        Name of the file in messages.
    file
        The file, in its format.
    metadata
        Where the table comes from.

    Attributes
    ----------
    metadata
        Where the table comes from; may be changed until the file is complete.
    rows
        Number of rows that were appended.

    See Also
    --------
    particle_writer : Opens a file to write in parts.

    Examples
    --------
    >>> from napari_colloids import particle_table, particle_writer, read_particles
    >>> with particle_writer("particles.csv") as writer:
    ...     for frame in range(3):
    ...         writer.append(particle_table([[1, 2, 3]], frame=frame))
    >>> read_particles("particles.csv")["frame"].tolist()
    [0, 1, 2]
    """

    def __init__(self, path: AnyPath, file: PartWriter, metadata: dict[str, object]) -> None:
        self._path = path
        self._file = file
        self.metadata = metadata
        self.rows = 0
        # A table without rows: the columns of the first part, and the types of the first part with rows.
        self._example: pd.DataFrame | None = None
        self._has_rows = False
        self._failure: ColloidsError | None = None

    def append(self, particles: pd.DataFrame) -> None:
        """Append the rows of one part.

        Parameters
        ----------
        particles
            A particle table with the columns of the parts before, in any order; it may be empty.

        Raises
        ------
        ColloidsError
            If the table lacks z, y, x, its columns are not those of the parts before or of other types, or it cannot
            be written. Then the file is not written at all, whatever is appended afterwards.
        """
        try:
            if isinstance(particles, pd.DataFrame) and not particles.columns.is_unique:
                raise ColloidsError("Two columns of the particle table have the same name; rename one of them.")
            self._append(ordered(with_known_types(check_particles(particles), "The particle table")))
        except ColloidsError as error:
            self._failure = error
            raise

    def _append(self, table: pd.DataFrame) -> None:
        if self._example is None:
            self._example = table.iloc[:0].copy()
        if set(table.columns) != set(self._example.columns):
            raise ColloidsError(
                f"All parts of a particle table must have the same columns; the first had "
                f"{', '.join(map(str, self._example.columns))}, this one has {', '.join(map(str, table.columns))}."
            )
        if table.empty:
            return
        if not self._has_rows:
            self._example, self._has_rows = table.iloc[:0].copy(), True
        table = _with_types_of(self._example, table[list(self._example.columns)])
        with translating_table_errors(self._path):
            self._file.append(table)
        self.rows += len(table)

    def finish(self) -> None:
        """Complete the file.

        Raises
        ------
        ColloidsError
            If that fails, or an earlier part could not be written.
        """
        if self._failure is not None:
            raise self._failure
        with translating_table_errors(self._path):
            if not self._has_rows:
                self._file.append(particle_table([]) if self._example is None else self._example)
            self._file.close()


@contextmanager
def translating_table_errors(path: AnyPath) -> Iterator[None]:
    """Convert errors of the libraries that write a table to a `ColloidsError`."""
    try:
        with translating_write_errors(path):
            yield
    except (RuntimeError, TypeError, ValueError) as error:
        raise ColloidsError(f"The table cannot be written to '{path}' ({one_line(error)}).") from error


def ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with the known columns first, and without ``attrs``."""
    table = table[[c for c in COLUMNS if c in table] + [c for c in table.columns if c not in COLUMNS]]
    table.attrs = {}
    return table


def with_known_types(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Convert the known columns to their types, which an empty table does not have.

    Raises
    ------
    ColloidsError
        If a value cannot be converted.
    """
    known = {column: np.int64 if column in WHOLE else np.float64 for column in COLUMNS if column in table}
    try:
        with np.errstate(invalid="ignore"):
            typed = table.astype(known)
        broken = [c for c in known if c in WHOLE and (typed[c] != table[c].astype(float)).any()]
    except (TypeError, ValueError) as error:
        raise ColloidsError(f"{name} has columns that should be numbers but are not ({one_line(error)}).") from error
    if broken:
        raise ColloidsError(f"{name} has a column {broken[0]} that should hold whole numbers but does not.")
    return typed


def _with_types_of(example: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Convert the other columns to their earlier types, if no value changes by it."""
    changed = {}
    for column in table.columns:
        before, now = example[column].dtype, table[column].dtype
        numbers = [pd.api.types.is_numeric_dtype(dtype) for dtype in (before, now)]
        if before == now or not any(numbers):
            continue
        if not (
            all(numbers) and isinstance(before, np.dtype) and isinstance(now, np.dtype) and np.can_cast(now, before)
        ):
            raise ColloidsError(
                f"Column '{column}' was {before} in the first part and is {now} now; all parts need the same types."
            )
        changed[column] = before
    return table.astype(changed)
