"""CSV tables, with the shortest exact text of every float."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import pandas as pd

from napari_colloids.io.formats.challenge_truth import IMAGE_INDEX, WEBSITE_POSITION, website_particles
from napari_colloids.particles import POSITION

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
    """Read a particle table, napari's own points, or one volume of a challenge's ``y_NAME.csv``.

    Raises
    ------
    ColloidsError
        If the file is one of the challenge and does not hold the volume.
    OSError, ValueError
        If it is no table.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            # index_col: without it the first value of rows with more values than names would be an index.
            table = pd.read_csv(
                path, float_precision="round_trip", encoding="utf-8-sig", index_col=False, skipinitialspace=True
            )
        except pd.errors.ParserWarning as error:
            raise ValueError("there are rows with more values than the header has names") from error
    if {IMAGE_INDEX, *WEBSITE_POSITION} <= set(table.columns):
        return website_particles(path, index)
    return table if set(POSITION) & set(table.columns) else _from_napari_points(table)


def _from_napari_points(table: pd.DataFrame) -> pd.DataFrame:
    """Rename the columns of napari's own points files: index, axis-0, axis-1 ..."""
    axes = [name for name in table if str(name).startswith("axis-")]
    names = {3: POSITION, 4: ["frame", *POSITION]}.get(len(axes))
    if axes and names is None:
        raise ValueError(f"there are points of {len(axes)} axes; particles have z, y, x, or time, z, y, x")
    return table.rename(columns=dict(zip(axes, names or [], strict=True)))
