"""Limits of what a table may promise, so that a small damaged file does not fill the memory, or keep a reader busy."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

#: A table of more rows than the first number may have at most the second per byte of its file: positions cannot be
#: compressed further.
MIN_CHECKED_ROWS, MAX_ROWS_PER_BYTE = 10_000_000, 20
#: Largest number of columns, and of characters in a line.
MAX_COLUMNS, MAX_LINE_CHARACTERS = 4096, 1 << 20


def csv_names(path: Path) -> list[str]:
    """Return the names in the first line of a CSV file, where it is UTF-8 and they are separated by commas.

    pandas compares each name with all before it, so that a damaged file of one long line would keep it busy for hours.

    Raises
    ------
    ValueError
        If the line is too long for a table.
    OSError
        If the file cannot be read.
    """
    with path.open("rb") as file:
        line = file.readline(MAX_LINE_CHARACTERS + 1)
    if len(line) > MAX_LINE_CHARACTERS or line.count(b",") >= MAX_COLUMNS:
        raise ValueError("its first line is too long for a table of particles")
    return [name.strip().strip('"') for name in line.decode("utf-8-sig", errors="replace").split(",")]
