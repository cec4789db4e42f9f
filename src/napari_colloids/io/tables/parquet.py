"""Parquet tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow  # type: ignore[import-untyped]
from pyarrow import parquet

from napari_colloids.io.files import to_json
from napari_colloids.table_limits import MAX_COLUMNS, MAX_ROWS_PER_BYTE, MIN_CHECKED_ROWS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

#: Key of the metadata in the footer of a file, as JSON.
_METADATA_KEY = "napari-colloids"


class Writer:
    """A Parquet file that is written part by part, one row group per part."""

    def __init__(self, path: Path, metadata: Mapping[str, object]) -> None:
        self._metadata = metadata
        self._writer: parquet.ParquetWriter | None = None
        self._file = path.open("wb")

    def append(self, table: pd.DataFrame) -> None:
        """Write the rows of one part."""
        schema = None if self._writer is None else self._writer.schema
        rows = pyarrow.Table.from_pandas(table, schema=schema, preserve_index=False)
        if self._writer is None:
            self._writer = parquet.ParquetWriter(self._file, rows.schema)
        self._writer.write_table(rows)

    def close(self) -> None:
        """Finish the file."""
        with self._file:
            if self._writer is not None:
                if self._metadata:
                    self._writer.add_key_value_metadata({_METADATA_KEY: to_json(self._metadata)})
                self._writer.close()


def read(path: Path, _index: int) -> pd.DataFrame:
    """Read a particle table.

    Raises
    ------
    OSError, ValueError
        If the file is damaged.
    """
    with path.open("rb") as file, parquet.ParquetFile(file) as content:
        rows, columns = content.metadata.num_rows, content.metadata.num_columns
        if columns > MAX_COLUMNS or rows > max(MIN_CHECKED_ROWS, MAX_ROWS_PER_BYTE * path.stat().st_size):
            raise ValueError(f"{rows} rows of {columns} columns are not in a file of its size")
        # What pandas adds (an index, types) is not trusted: it may be damaged while the columns are not.
        table: pd.DataFrame = content.read().replace_schema_metadata(None).to_pandas()
    return table.drop(columns=[name for name in table if str(name).startswith("__index_level_")])
