"""CSV tables: every float in the shortest text that is exact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from napari_colloids.io.truth import IMAGE_INDEX, WEBSITE_POSITION, website_positions
from napari_colloids.particles import POSITION, particle_table

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
    table = pd.read_csv(path, float_precision="round_trip", encoding="utf-8-sig")
    if {IMAGE_INDEX, *WEBSITE_POSITION} <= set(table.columns):
        return particle_table(website_positions(path, index))
    if not set(POSITION) & set(table.columns):
        # napari's own points files: index, axis-0, axis-1, axis-2.
        table = table.rename(columns=dict(zip(["axis-0", "axis-1", "axis-2"], POSITION, strict=True)))
    return table
