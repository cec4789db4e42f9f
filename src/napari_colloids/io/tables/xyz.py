"""Extended XYZ tables, for OVITO and ASE.

Positions are x, y, z in micrometres where the table has them, and so are radii and standard errors (those in voxels
follow in properties of their own), else in voxels. Several frames make one block per frame. OVITO takes
``radius`` as the size of the particles and ``id``, our column ``particle``, as their identity from frame to frame.
"""

from __future__ import annotations

import re
from io import StringIO
from itertools import groupby
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
import pandas as pd

from napari_colloids.errors import ColloidsError
from napari_colloids.particles import ERRORS, POSITION, POSITION_UM, implied_voxel_size
from napari_colloids.table_limits import MAX_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

_VOXEL = "voxel"
_RADIUS_VOXEL = "radius_voxel"
#: Properties with the standard errors in voxels, in a file in micrometres.
_ERRORS_VOXEL = {name: f"{name}_voxel" for name in ERRORS}
#: OVITO's name of the property that identifies a particle over the frames.
_IDENTIFIER = "id"
#: Placeholder for the chemical element.
_SPECIES = "X"
#: Properties whose names no column may have.
_RESERVED = ("species", "pos", _VOXEL, _RADIUS_VOXEL, *_ERRORS_VOXEL.values(), _IDENTIFIER)


#: Limit of the number of a frame: whole floats are exact below it.
_MAX_FRAME = 2**53


class Writer:
    """An XYZ file that is written part by part.

    A block begins with the number of its particles, so the parts of a frame are kept until the next frame begins;
    without a column ``frame`` all are one block. ``shape`` (z, y, x voxels) in the metadata gives a block its cell;
    for a table in micrometres with ``voxel_size`` (z, y, x micrometres), else with what its columns imply.
    """

    def __init__(self, path: Path, metadata: Mapping[str, object]) -> None:
        self._text = path.open("w", encoding="utf-8", newline="\n")
        self._metadata = metadata
        self._frame: int | None = None
        self._parts: list[pd.DataFrame] = []

    def append(self, table: pd.DataFrame) -> None:
        """Add the rows of one part; all columns must be numbers, and the frames must not decrease.

        Raises
        ------
        ColloidsError
            If a column is not a number, its name would break the format, or a frame is out of order.
        """
        for column in table.columns:
            plain = re.fullmatch(r"[\w.\-]+", str(column)) and column not in _RESERVED
            if not (plain and pd.api.types.is_numeric_dtype(table[column])):
                raise ColloidsError(
                    f"XYZ files hold numbers under plain names (and not {', '.join(_RESERVED)}); "
                    f"drop column '{column}' or write .csv."
                )
        if "frame" not in table or table.empty:
            self._parts.append(table)
            return
        frames: Iterable[tuple[Any, pd.DataFrame]] = table.groupby("frame", sort=True)
        for frame, rows in frames:
            if self._frame is not None and frame < self._frame:
                raise ColloidsError(
                    f"XYZ files are written frame after frame, but frame {frame} comes after frame {self._frame}; "
                    "append the parts in the order of their frames or write .parquet."
                )
            if frame != self._frame:
                self._write()
            self._frame = frame
            self._parts.append(rows)

    def close(self) -> None:
        """Finish the file."""
        with self._text:
            self._write()

    def _write(self) -> None:
        """Write the block of the frame that is complete."""
        if self._parts:
            _write_block(self._text, pd.concat(self._parts), self._frame, self._metadata)
        self._parts = []


def _write_block(text: TextIO, rows: pd.DataFrame, frame: int | None, metadata: Mapping[str, object]) -> None:
    """Write the particles of one frame."""
    in_um = set(POSITION_UM) <= set(rows.columns)
    triples = {"pos": (POSITION_UM if in_um else POSITION)[::-1]}
    rows = rows.rename(columns={"particle": _IDENTIFIER})
    if in_um:
        triples[_VOXEL] = POSITION[::-1]
        rows = _errors_in_um(rows).rename(columns={"radius": _RADIUS_VOXEL, "radius_um": "radius"})
    if frame is not None:
        rows = rows.drop(columns="frame")
    taken = {column for triple in triples.values() for column in triple}
    scalars = sorted((c for c in rows.columns if c not in taken), key=lambda c: c != "radius")
    # All floats as 64 bits: their shortest text is exact then.
    numbers = {c: rows[c].astype(float if pd.api.types.is_float_dtype(rows[c]) else np.int64) for c in scalars}
    properties = ["species:S:1", *(f"{name}:R:3" for name in triples)]
    properties += [f"{c}:{'R' if numbers[c].dtype == float else 'I'}:1" for c in scalars]
    header = [f"Properties={':'.join(properties)}", f"Units={'um' if in_um else 'voxel'}"]
    if frame is not None:
        header.append(f"frame={frame}")
    text.write(f"{len(rows)}\n{_cell(metadata, rows, in_um)}{' '.join(header)}\n")
    table = pd.concat([*(rows[triple].astype(float) for triple in triples.values()), pd.DataFrame(numbers)], axis=1)
    table.insert(0, "species", _SPECIES)
    table.to_csv(text, sep=" ", header=False, index=False, na_rep="nan", lineterminator="\n")


def _errors_in_um(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with their standard errors in micrometres, and those in voxels under names of their own."""
    errors = [name for name in ERRORS if name in rows]
    # A single particle at the centre of the first voxel does not imply the voxel size.
    z, y, x = implied_voxel_size(rows) or (np.nan,) * 3
    in_um = rows[errors] * pd.Series([z, y, x, x], ERRORS)[errors]
    return rows.rename(columns=_ERRORS_VOXEL).assign(**in_um)


def _cell(metadata: Mapping[str, Any], rows: pd.DataFrame, in_um: bool) -> str:
    """Return the cell of a block: the box of the stack, from half a voxel below 0, as voxel centres lie at integers."""
    shape, size = metadata.get("shape"), metadata.get("voxel_size") if in_um else (1.0, 1.0, 1.0)
    if size is None:
        size = implied_voxel_size(rows)
    if shape is None or size is None:
        return ""
    z, y, x = (float(n) * float(length) for n, length in zip(shape, size, strict=True))
    origin = " ".join(repr(-float(length) / 2) for length in reversed(size))
    return f'Lattice="{x!r} 0.0 0.0 0.0 {y!r} 0.0 0.0 0.0 {z!r}" Origin="{origin}" pbc="F F F" '


def read(path: Path, _index: int) -> pd.DataFrame:
    """Read an XYZ file, extended or plain; positions in a plain one are x, y, z in voxels.

    Raises
    ------
    ColloidsError
        If the text is not XYZ.
    ValueError
        If its properties cannot be understood.
    """
    blocks = list(_blocks(path, path.read_text(encoding="utf-8").splitlines()))
    tables = []
    # Frames with the same properties are parsed together: a series may have thousands, some of them empty.
    for _, same in groupby(enumerate(blocks), key=lambda block: _layout_of(block[1][0])):
        tables.append(_table(path, list(same), several=len(blocks) > 1))
    return pd.concat(tables, ignore_index=True)


def _blocks(path: Path, lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Split the lines into (comment, particles) of each frame."""
    start = 0
    while start < len(lines) and (lines[start].strip() or start == 0):
        count = lines[start].strip()
        end = start + 2 + int(count) if count.isdecimal() else -1
        if not start + 2 <= end <= len(lines):
            raise ColloidsError(
                f"'{path}' is not an XYZ file or is cut short: line {start + 1} should be the number of particles "
                "that follow its comment line."
            )
        yield lines[start + 1], lines[start + 2 : end]
        start = end


def _header(comment: str) -> dict[str, str]:
    """Return the entries of the comment line of a block."""
    return {key: quoted or plain for key, quoted, plain in re.findall(r'(?<!\w)(\w+)=(?:"([^"]*)"|(\S+))', comment)}


def _layout_of(comment: str) -> tuple[str, str, bool]:
    """Return what must agree in blocks that are parsed together: properties, unit, whether there is a frame."""
    header = _header(comment)
    return header.get("Properties", "species:S:1:pos:R:3"), header.get("Units", ""), "frame" in header


def _names(properties: str) -> list[str]:
    """Return the names of the columns.

    Raises
    ------
    ValueError
        If there are far too many, or two have the same name.
    """
    parts = properties.split(":")
    widths = [(name, int(width)) for name, width in zip(parts[::3], parts[2::3], strict=True)]
    if sum(width for _, width in widths) > MAX_COLUMNS or any(width < 1 for _, width in widths):
        raise ValueError("its Properties have a width that no particle has")
    return [f"{name}.{axis}" if width > 1 else name for name, width in widths for axis in range(width)]


def _table(path: Path, blocks: list[tuple[int, tuple[str, list[str]]]], *, several: bool) -> pd.DataFrame:
    """Return the table of frames, each with its number and its lines, of the same properties."""
    properties, units, has_frame = _layout_of(blocks[0][1][0])
    names = _names(properties)
    lines = [line for _, (_, rows) in blocks for line in rows]
    table = pd.read_csv(
        StringIO("\n".join(lines)),
        sep=r"\s+",
        header=None,
        names=names,
        usecols=range(len(names)),
        index_col=False,
        float_precision="round_trip",
        skip_blank_lines=False,
    )
    if any(f"pos.{axis}" not in table for axis in range(3)):
        raise ColloidsError(f"'{path}' has no positions: its Properties have no pos:R:3.")
    for row in np.flatnonzero(table.isna().any(axis=1)):
        if len(lines[row].split()) < len(names):
            raise ColloidsError(f"'{path}' has a line with fewer values than its Properties say: '{lines[row][:40]}'.")
    in_um = units == "um"
    names_of = {f"pos.{axis}": column for axis, column in enumerate((POSITION_UM if in_um else POSITION)[::-1])}
    names_of[_IDENTIFIER] = "particle"
    if in_um:
        names_of |= {f"{_VOXEL}.{axis}": column for axis, column in enumerate(POSITION[::-1])}
        names_of |= {"radius": "radius_um", _RADIUS_VOXEL: "radius"}
        table = table.drop(columns=[name for name, voxel in _ERRORS_VOXEL.items() if voxel in table])
        names_of |= {voxel: name for name, voxel in _ERRORS_VOXEL.items()}
    table = table.drop(columns="species", errors="ignore").rename(columns=names_of)
    if not table.columns.is_unique:
        raise ValueError("two of its columns have the same name")
    frames = [_frame(path, comment) if has_frame else number for number, (comment, _) in blocks]
    if has_frame or (several and "frame" not in table):
        table.insert(0, "frame", np.repeat(np.array(frames, np.int64), [len(rows) for _, (_, rows) in blocks]))
    return table


def _frame(path: Path, comment: str) -> int:
    frame = float(_header(comment)["frame"])
    if not (frame.is_integer() and abs(frame) < _MAX_FRAME):
        raise ColloidsError(f"'{path}' has a frame {frame:g}; frames are whole numbers.")
    return int(frame)
