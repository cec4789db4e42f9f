"""All formats of particle tables.

A new one is a module in this folder with a function ``read(path, index)``, which returns the table with the columns of
the file, and a class ``Writer(path, metadata)``, a `napari_colloids.io.tables.writer.PartWriter`; and its line in
`TABLE_FORMATS`. One that is only read has no ``Writer`` and its line in `READ_FORMATS`. napari's manifest lists its
endings too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_colloids.io.files import HDF5_ENDINGS, AnyPath
from napari_colloids.io.format import FileFormat, endings_of, format_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

    from napari_colloids.io.tables.writer import PartWriter


@dataclass(frozen=True)
class TableFormat(FileFormat):
    """A format of particle tables.

    Attributes
    ----------
    is_text
        Whether its files are lines of text.
    """

    is_text: bool = False

    package = __name__.rpartition(".")[0]

    def read(self, path: Path, index: int) -> pd.DataFrame:
        """Read a table; `index` is the number of the volume in a file of the challenge.

        Raises
        ------
        ColloidsError
            If a package that the format needs is not installed, or the file is damaged.
        OSError, ValueError, KeyError
            If the file is damaged.
        """
        table: pd.DataFrame = self.load().read(path, index)
        return table

    def writer(self, path: Path, metadata: Mapping[str, object]) -> PartWriter:
        """Create a file that is written part by part; `metadata` says where the table comes from.

        Raises
        ------
        ColloidsError
            If a package that the format needs is not installed.
        OSError
            If the file cannot be created.
        """
        writer: PartWriter = self.load().Writer(path, metadata)
        return writer


#: Formats that are read and written.
TABLE_FORMATS = (
    TableFormat("CSV table", (".csv",), "csv", is_text=True),
    TableFormat("Extended XYZ", (".xyz",), "xyz", is_text=True),
    TableFormat("HDF5", HDF5_ENDINGS, "hdf5"),
    TableFormat("Parquet", (".parquet",), "parquet"),
)
#: Formats of other programs, which are only read.
READ_FORMATS = (
    TableFormat("Text table", (".txt", ".tsv", ".dat"), "text", is_text=True),
    TableFormat("NumPy array", (".npy",), "npy"),
)
#: Endings of the files that `napari_colloids.write_particles` writes.
PARTICLE_ENDINGS = endings_of(TABLE_FORMATS)
#: Endings of the files that `napari_colloids.read_particles` reads.
READ_ENDINGS = endings_of((*TABLE_FORMATS, *READ_FORMATS))


def table_format(path: AnyPath) -> TableFormat | None:
    """Return the format in which a table of this name is written, or None for an unknown ending."""
    return format_of(path, TABLE_FORMATS)


def readable_format(path: AnyPath) -> TableFormat | None:
    """Return the format in which a table of this name is read, or None for an unknown ending."""
    return format_of(path, (*TABLE_FORMATS, *READ_FORMATS))
