"""CSV tables: every float in the shortest text that is exact."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import pandas as pd

from napari_colloids.io.formats.challenge_truth import IMAGE_INDEX, WEBSITE_POSITION, website_particles
from napari_colloids.particles import POSITION

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class CsvParts:
    """A CSV file that is written part by part, one line a row."""

    def __init__(self, path: Path, _metadata: Mapping[str, Any]) -> None:
        self._text = path.open("w", encoding="utf-8", newline="")
        self._header = True

    def append(self, table: pd.DataFrame) -> None:
        """Write the rows of one part."""
        table.to_csv(self._text, index=False, header=self._header, lineterminator="\n")
        self._header = False

    def close(self) -> None:
        """Finish the file."""
        self._text.close()


def read_csv(path: Path, index: int) -> pd.DataFrame:
    """Read a table of ours, napari's own points, or one volume out of a challenge's ``y_NAME.csv``."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            # Else the first value of rows with more values than names is silently taken for a label.
            table = pd.read_csv(
                path, float_precision="round_trip", encoding="utf-8-sig", index_col=False, skipinitialspace=True
            )
        except pd.errors.ParserWarning as error:
            raise ValueError("there are rows with more values than the header has names") from error
    if {IMAGE_INDEX, *WEBSITE_POSITION} <= set(table.columns):
        return website_particles(path, index)
    return table if set(POSITION) & set(table.columns) else _of_napari(table)


def _of_napari(table: pd.DataFrame) -> pd.DataFrame:
    """Give the columns of napari's own points files, index, axis-0, axis-1 ..., the names of ours."""
    axes = [name for name in table if str(name).startswith("axis-")]
    names = {3: POSITION, 4: ["frame", *POSITION]}.get(len(axes))
    if axes and names is None:
        raise ValueError(f"there are points of {len(axes)} axes; particles have z, y, x, or these after the time")
    return table.rename(columns=dict(zip(axes, names or [], strict=True)))
