"""Parquet tables, by pyarrow, which is an optional library."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pandas as pd

from napari_colloids.errors import ColloidsError
from napari_colloids.io.files import to_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

#: Under this key the footer of a file says where its table comes from, as JSON.
PROVENANCE = "napari-colloids"


class ParquetParts:
    """A Parquet file that is written part by part, one row group a part."""

    def __init__(self, path: Path, metadata: Mapping[str, Any]) -> None:
        with _needing_pyarrow():
            import pyarrow  # type: ignore[import-untyped]
            import pyarrow.parquet  # type: ignore[import-untyped]
        self._arrow, self._parquet = pyarrow, pyarrow.parquet
        self._metadata = metadata
        self._writer: Any = None
        self._file = path.open("wb")

    def append(self, table: pd.DataFrame) -> None:
        """Write the rows of one part."""
        schema = None if self._writer is None else self._writer.schema
        rows = self._arrow.Table.from_pandas(table, schema=schema, preserve_index=False)
        if self._writer is None:
            self._writer = self._parquet.ParquetWriter(self._file, rows.schema)
        self._writer.write_table(rows)

    def close(self) -> None:
        """Finish the file."""
        with self._file:
            if self._writer is not None:
                if self._metadata:
                    self._writer.add_key_value_metadata({PROVENANCE: to_json(self._metadata)})
                self._writer.close()


def read_parquet(path: Path, _index: int) -> pd.DataFrame:
    """Read a table."""
    with _needing_pyarrow():
        return pd.read_parquet(path, engine="pyarrow")


@contextmanager
def _needing_pyarrow() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise ColloidsError(
            'Parquet files need one more package: pip install "napari-colloids[formats]" (or use .csv).'
        ) from error
