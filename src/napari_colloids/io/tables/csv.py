"""CSV tables, with the shortest exact text of every float."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import pandas as pd

from napari_colloids.io.formats.challenge_truth import IMAGE_INDEX, WEBSITE_POSITION, website_particles
from napari_colloids.io.tables import text
from napari_colloids.particles import POSITION
from napari_colloids.table_limits import csv_names

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Writer:
    """A CSV file that is written part by part, one line per row."""

    def __init__(self, path: Path, _metadata: Mapping[str, object]) -> None:
        self._text = path.open("w", encoding="utf-8", newline="")
        self._header = True

    def append(self, table: pd.DataFrame) -> None:
        """Write the rows of one part."""
        table.to_csv(self._text, index=False, header=self._header, lineterminator="\n")
        self._header = False

    def close(self) -> None:
        """Finish the file."""
        self._text.close()


def read(path: Path, index: int) -> pd.DataFrame:
    """Read a particle table, one volume of a challenge's ``y_NAME.csv``, or a table of another program.

    Raises
    ------
    ColloidsError
        If the file is one of the challenge and does not hold the volume.
    OSError, ValueError
        If it is no table.
    """
    names = csv_names(path)
    if {IMAGE_INDEX, *WEBSITE_POSITION} <= set(names):
        return website_particles(path, index)
    if not set(POSITION) <= set(names):
        return text.read(path, index)
    if sum(name in POSITION for name in names) > len(POSITION):
        raise ValueError("two of its columns are named z, y or x")
    try:
        table = _read_own(path)
    except UnicodeDecodeError:
        return text.read(path, index)
    own = all(pd.api.types.is_numeric_dtype(table[name]) for name in POSITION) or table.empty
    return table if own else text.read(path, index)


def _read_own(path: Path) -> pd.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            # index_col: without it the first value of rows with more values than names would be an index.
            table = pd.read_csv(
                path, float_precision="round_trip", encoding="utf-8-sig", index_col=False, skipinitialspace=True
            )
        except pd.errors.ParserWarning as error:
            raise ValueError("there are rows with more values than the header has names") from error
    if not table.empty and table.iloc[-1].isna().any():
        text.refuse_an_incomplete_end(path, len(table.columns))
    return table
