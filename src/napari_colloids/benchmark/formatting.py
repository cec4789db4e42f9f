"""What the reports are made of: tables in Markdown, rows as JSON, settings of the reference methods."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from napari_colloids.jsonable import jsonable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from napari_colloids.benchmark.reference_methods import Tuned


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table in Markdown."""
    return [table_row(header), table_row(["---"] * len(header)), *(table_row(row) for row in rows)]


def table_row(cells: Sequence[str]) -> str:
    """Return a row of a table in Markdown."""
    return f"| {' | '.join(cells)} |"


def records(frame: pd.DataFrame) -> object:
    """Return the rows of a table as JSON holds them; NaN becomes null, and numbers have ten digits."""
    return json.loads(frame.to_json(orient="records"))


def tuned_record(tuned: Tuned) -> dict[str, object]:
    """Return the settings of a reference method as JSON holds them."""
    return {"settings": jsonable(tuned.settings), "cut": tuned.threshold, "reached": tuned.score}


def tuned_line(method: str, tuned: Tuned) -> str:
    """Return the settings of a reference method in a line of text."""
    values = ", ".join(f"{name} {value:g}" for name, value in vars(tuned.settings).items())
    how = "as shipped" if tuned.score is None else "tuned"
    return f"{method}, {how}: {values}; confidence at least {tuned.threshold:g}."
