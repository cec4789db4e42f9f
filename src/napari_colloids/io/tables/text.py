"""Text tables of other programs: encoding, separator, decimal sign and header are detected."""

from __future__ import annotations

import csv
import re
import warnings
from collections import Counter
from dataclasses import dataclass
from io import StringIO
from statistics import median
from typing import TYPE_CHECKING

import pandas as pd

from napari_colloids.io.tables.headers import SAID, UNITS, heading, is_unit, unit_in_text
from napari_colloids.table_limits import MAX_COLUMNS, MAX_LINE_CHARACTERS

if TYPE_CHECKING:
    from pathlib import Path

#: Lines from which the layout is detected.
_SAMPLE_LINES = 200
#: Length of the beginning of a file that shows whether it is a table of particles.
_HEAD_BYTES = 1 << 16
#: Separators, the likeliest first where several would do; a space stands for any white space.
_SEPARATORS = {"\t": "tabs", ";": "';'", "|": "'|'", ",": "','", " ": "spaces"}
#: What begins a comment.
_COMMENT = ("#", "%", "//")
#: Positions in files without a header, as the programs after Crocker and Grier write them.
_ORDER = ("x", "y", "z")
_BYTE_ORDER_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
_EXPONENT = r"(?:[eE][+-]?\d+)?"
_POINT = re.compile(rf"[+-]?(?:\d+\.?\d*|\.\d+){_EXPONENT}|[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
_COMMA = re.compile(rf"[+-]?(?:\d{{1,3}}(?:\.\d{{3}})+|\d+)?,\d+{_EXPONENT}")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:\.\d{3})+,\d+")


@dataclass(frozen=True)
class _Layout:
    """Where the values of a text stand: the separator, the decimal sign, the lines of the header."""

    separator: str
    decimal: str
    thousands: str | None
    names: list[str]
    units: dict[str, str]
    first: int
    has_header: bool


def read(path: Path, _index: int) -> pd.DataFrame:
    """Read a text table.

    Its ``attrs`` say how: `SAID` is a list of sentences, `UNITS` the unit of a column as the file writes it. Columns
    without a header are named by their numbers, from 0.

    Raises
    ------
    ValueError
        If it is no table.
    """
    text, encoding = _decoded(path.read_bytes())
    lines = [line for line in text.splitlines() if line.strip()]
    if any(len(line) > MAX_LINE_CHARACTERS for line in lines):
        raise ValueError("a line is too long for a table of particles")
    rows = [line for line in lines if not _is_comment(line)]
    comments = [line.strip().lstrip("#%/ ") for line in lines if _is_comment(line)][:_SAMPLE_LINES]
    colloids = _of_colloids(rows)
    layout = _layout(rows[:_SAMPLE_LINES], comments) if colloids is None else colloids
    if len(rows) > layout.first:
        _refuse_a_cut_end(rows[-1], layout.separator, len(layout.names), text)
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            table = pd.read_csv(
                StringIO("\n".join(rows[layout.first :])),
                sep=r"\s+" if layout.separator == " " else layout.separator,
                decimal=layout.decimal,
                thousands=layout.thousands,
                header=None,
                names=layout.names,
                index_col=False,
                float_precision="round_trip",
                skipinitialspace=True,
            )
        except pd.errors.ParserWarning as error:
            raise ValueError("there are rows with more values than the header has names") from error
    table = table.drop(
        columns=[name for name in layout.names if name.startswith("Unnamed") and table[name].isna().all()]
    )
    table.attrs[SAID] = _said(layout, encoding)
    if colloids is not None:
        table.attrs[SAID].append("read as a file of centres of PyColloids: x, y, z in pixels")
    elif not layout.has_header and path.suffix.lower() == ".dat" and len(layout.names) >= len(_ORDER):
        table = table.rename(columns=dict(zip(layout.names, _ORDER, strict=False)))
        table.attrs[SAID].append("it has no header: read as x, y, z in pixels, the usual order of .dat files")
    table.attrs[UNITS] = layout.units
    overall = next((unit for unit in map(unit_in_text, comments) if unit), "")
    if overall:
        table.attrs[UNITS] = {"": overall, **layout.units}
    return table


def looks_like_particles(path: Path) -> bool:
    """Whether the first lines of a text are those of a table with positions."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        lines = _decoded(head[: len(head) - len(head) % 4])[0].splitlines()
        lines = [line for line in (lines[:-1] if len(head) == _HEAD_BYTES else lines) if line.strip()]
        rows = [line for line in lines if not _is_comment(line)]
        layout = _layout(rows, [line.strip().lstrip("#%/ ") for line in lines if _is_comment(line)])
    except (OSError, ValueError, csv.Error):
        return False
    quantities = {heading(name).quantity for name in layout.names}
    return quantities >= set("zyx") or (path.suffix.lower() == ".dat" and not layout.has_header)


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith(_COMMENT)


def _said(layout: _Layout, encoding: str) -> list[str]:
    """Return what was detected, as sentences, as far as it is unusual."""
    parts = []
    if layout.separator != ",":
        parts.append(f"{_SEPARATORS[layout.separator]} between values")
    if layout.decimal == ",":
        parts.append("',' as the decimal sign")
    if encoding not in ("utf-8", "utf-8-sig"):
        parts.append(f"encoding {encoding}")
    return [f"read with {', '.join(parts)}"] if parts else []


def _decoded(content: bytes) -> tuple[str, str]:
    """Return the text and the name of its encoding."""
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            return content.decode(encoding), encoding
    head = content[:1000]
    if head.count(0) > len(head) // 4:  # every second byte of UTF-16 without a mark
        encoding = "utf-16-le" if head[1::2].count(0) > head[::2].count(0) else "utf-16-be"
        return content.decode(encoding), encoding
    if 0 in head:
        raise ValueError("it is no text")
    try:
        return content.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        # Latin-1 has a character for each byte, but those of Windows mean what is seen.
        return content.decode("cp1252", errors="replace"), "cp1252"


def _fields(line: str, separator: str) -> list[str]:
    if separator == " ":
        return line.split()
    (fields,) = csv.reader([line], delimiter=separator, skipinitialspace=True)
    return [field.strip() for field in fields]


def _is_number(field: str) -> bool:
    return bool(_POINT.fullmatch(field) or _COMMA.fullmatch(field))


def _numbers_in(row: list[str]) -> int:
    return sum(map(_is_number, row))


def _layout(lines: list[str], comments: list[str]) -> _Layout:
    """Detect the layout from the first lines.

    Raises
    ------
    ValueError
        If there are no rows of numbers, or the header does not fit them.
    """
    best: tuple[float, str, list[list[str]]] = (0, ",", [])
    for separator in _SEPARATORS:
        rows = [_fields(line, separator) for line in lines]
        numbers = [count for count in map(_numbers_in, rows) if count >= 2]
        if numbers and median(numbers) > best[0]:
            best = (median(numbers), separator, rows)
    _, separator, rows = best
    is_data = [_numbers_in(row) >= 2 for row in rows]
    if not any(is_data):
        return _layout_without_rows(lines)
    width = Counter(len(row) for row, data in zip(rows, is_data, strict=True) if data).most_common(1)[0][0]
    if width > MAX_COLUMNS:
        raise ValueError(f"it has {width} columns")
    first = next(n for n, row in enumerate(rows) if is_data[n] and len(row) == width)
    data = [row for row, numeric in zip(rows[first:], is_data[first:], strict=True) if numeric]
    values = [field for row in data for field in row]
    decimal = "," if any(map(_COMMA.fullmatch, values)) else "."
    thousands = "." if decimal == "," and any(map(_THOUSANDS.fullmatch, values)) else None
    start = first
    heads = [_header_fields(line, separator) for line in lines[:first]]
    while start > 0 and len(heads[start - 1]) == width:
        start -= 1
    header = heads[start:first]
    if not header and first and len(heads[-1]) > 1:
        header = [_widened(heads[-1], data, width)]
    for comment in reversed([] if header else comments):  # numpy.savetxt writes its header as a comment
        words = _header_fields(comment, separator)
        if len(words) == width and not any(map(_is_number, words)):
            header = [words]
            break
    names = _named(header[0] if header else [], width)
    below = [field.strip("()[] ") for field in header[-1]] if len(header) > 1 else []
    units = {name: unit for name, unit in zip(names, below, strict=False) if is_unit(unit)}
    return _Layout(separator, decimal, thousands, names, units, first, bool(header))


def _layout_without_rows(lines: list[str]) -> _Layout:
    """Return the layout of a table that has a header only."""
    separator = max(_SEPARATORS, key=lambda one: len(_header_fields(lines[0], one)) if lines else 0)
    names = _header_fields(lines[0], separator) if lines else []
    if len(lines) != 1 or {heading(name).quantity for name in names} < set("zyx"):
        raise ValueError("no rows of numbers are found in it")
    return _Layout(separator, ".", None, _named(names, len(names)), {}, 1, has_header=True)


def _header_fields(line: str, separator: str) -> list[str]:
    """Split a line of the header; between white space ``z [um]`` is one name."""
    return _fields(re.sub(r"\s+(?=[\[(])", "", line) if separator == " " else line, separator)


def _widened(names: list[str], data: list[list[str]], width: int) -> list[str]:
    """Return the names for rows that have one value more: an empty last one, or the number of the row.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if len(names) == width - 1 and not any(row[-1] for row in data if len(row) == width):
        return [*names, ""]
    numbers = [row[0] for row in data]
    if len(names) == width - 1 and numbers in ([str(n + start) for n in range(len(data))] for start in (0, 1)):
        return ["", *names]
    raise ValueError(
        f"there are rows with more values than the header has names: {width}, but {len(names)} names"
        if len(names) < width
        else f"the header has {len(names)} names, but the rows have {width} values"
    )


def _named(names: list[str], width: int) -> list[str]:
    """Return a name for each column: as it is in the header, or its number.

    Raises
    ------
    ValueError
        If two columns of positions have the same name.
    """
    if not names:
        return [str(number) for number in range(width)]
    names = [name.strip().strip('"') or f"Unnamed: {number}" for number, name in enumerate(names)]
    twice = {name for name, count in Counter(names).items() if count > 1}
    if any(heading(name).quantity in tuple("zyx") for name in twice):
        raise ValueError(f"two of its columns are named {min(twice)}")
    return [f"{name}.{number}" if name in twice else name for number, name in enumerate(names)]


def _of_colloids(rows: list[str]) -> _Layout | None:
    """Return the layout of PyColloids' ``.dat``: 1, number, 1; the size of the box; then x, y, z a line."""
    if len(rows) < 2:
        return None
    counts, box = rows[0].split(), rows[1].split()
    is_one = len(counts) == len(box) == 3 and counts == ["1", str(len(rows) - 2), "1"]
    return _Layout(" ", ".", None, list(_ORDER), {}, 2, has_header=True) if is_one else None


def refuse_an_incomplete_end(path: Path, width: int) -> None:
    """Refuse a file whose last line has fewer values, between commas, than there are columns, and no end.

    Raises
    ------
    ValueError
        If it is such a file.
    """
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - MAX_LINE_CHARACTERS))
        end = file.read().decode("utf-8", errors="replace")
    _refuse_a_cut_end(end.splitlines()[-1], ",", width, end)


def _refuse_a_cut_end(line: str, separator: str, width: int, text: str) -> None:
    if not text.endswith(("\n", "\r")) and len(_fields(line, separator)) < width:
        raise ValueError("its last line is incomplete: it was cut short; copy it again")
