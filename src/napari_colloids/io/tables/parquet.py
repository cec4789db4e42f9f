"""Parquet tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pyarrow  # type: ignore[import-untyped]
from pyarrow import parquet

from napari_colloids.io.files import to_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

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
    return pd.read_parquet(path, engine="pyarrow")
