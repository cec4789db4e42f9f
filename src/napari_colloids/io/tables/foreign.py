"""Tables of other programs: which of their columns are positions, radii and frames, and in which unit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from napari_colloids.errors import ColloidsError, UnknownVoxelSizeError, brief
from napari_colloids.io.tables.headers import SAID, UNITS, Unit, heading, unit_of
from napari_colloids.particles import COLUMNS, POSITION, POSITION_UM

if TYPE_CHECKING:
    from napari_colloids.stack import VoxelSize

#: Columns that hold the unit of a row's values, as Imaris writes them.
UNIT_COLUMNS = frozenset({"Unit", "unit", "Units", "units"})
_TRACKMATE = {"POSITION_X", "POSITION_Y", "POSITION_Z"}
#: Numbers of trajectories of TrackMate and Imaris.
_TRACKS = ("TRACK_ID", "TrackID")
_IMARIS = {"Position X", "Position Y", "Position Z", "Unit"}
#: Columns of a table that messages name.
_MAX_NAMED = 12


def checked_columns(columns: Mapping[str, str] | None) -> dict[str, str]:
    """Return a column map: our column, and the name or number of the file's.

    Raises
    ------
    ColloidsError
        If it is no such mapping.
    """
    if columns is None:
        return {}
    if not isinstance(columns, Mapping) or not all(isinstance(name, str) for name in columns.values()):
        raise ColloidsError(
            f"columns is a dictionary of our column and the file's, as in {{'z': 'depth'}}, not {brief(columns)}."
        )
    unknown = [name for name in columns if name not in COLUMNS]
    if unknown:
        known = dict.fromkeys(re.sub(r"^(tcc|intensity)_\w+", r"\1_...", name) for name in COLUMNS)
        raise ColloidsError(f"A particle table has no column {brief(unknown[0])}; it has {', '.join(known)}.")
    return dict(columns)


class ForeignTable:
    """A table as it is in its file, whose columns are understood one after the other.

    Parameters
    ----------
    table
        As read.
    path
        Name of the file in messages.
    columns
        Column map of the user.
    voxel_size
        Micrometres ``(z, y, x)``, where known.
    """

    def __init__(
        self, table: pd.DataFrame, path: object, columns: Mapping[str, str], voxel_size: VoxelSize | None
    ) -> None:
        self._table = table.rename(columns=str)
        self._names = list(self._table.columns)
        self._path = path
        self._size = voxel_size
        self._units: dict[str, str] = table.attrs.get(UNITS, {})
        self.said: list[str] = list(table.attrs.get(SAID, []))
        self._unit_of_rows = self._told_unit()
        self._given = {name: self._column_named(column) for name, column in columns.items()}

    def particles(self) -> pd.DataFrame:
        """Return the table with the columns of particle tables.

        Raises
        ------
        ColloidsError
            If the positions are not told or are ambiguous.
        UnknownVoxelSizeError
            If they are in micrometres and the voxel size is unknown.
        """
        voxels, lengths = self._positions()
        made: dict[str, pd.Series] = {}
        for axis, (column, unit) in (voxels or lengths).items():
            made[axis] = self._in_voxels(column, unit, axis)
        for axis, (column, unit) in lengths.items():
            made[f"{axis}_um"] = self._numbers(column) * unit.micrometres
        used = {column for kind in (voxels, lengths) for column, _ in kind.values()}
        for name, column in self._given.items():
            if name not in (*POSITION, *POSITION_UM):
                made[name] = self._numbers(column)
                used.add(column)
        used |= self._radius(made, bool(lengths) and not voxels, used)
        used |= self._whole(made, "frame", [name for name in self._names if self._is_frame(name)], used)
        used |= self._whole(made, "particle", [name for name in self._names if name in _TRACKS], used)
        others = self._table.drop(columns=list(used))
        clash = [name for name in others if name in made]
        return pd.concat([pd.DataFrame(made), others.drop(columns=clash)], axis=1)

    def _positions(self) -> tuple[dict[str, tuple[str, Unit]], dict[str, tuple[str, Unit]]]:
        """Return the columns of the positions in voxels, and those in a unit of length, by axis; one may be empty."""
        if set(self._given) & {*POSITION, *POSITION_UM}:
            return self._given_positions()
        numbered = self._numbered()
        if numbered:
            return numbered, {}
        kinds: dict[str, list[dict[str, tuple[str, Unit]]]] = {"voxels": [], "length": [], "": []}
        for found in self._triples():
            names = {unit.kind for _, unit in found.values()}
            kinds["length" if "length" in names else "voxels" if "voxels" in names else ""].append(found)
        for kind, triples in kinds.items():
            plain = [one for one in triples if all(heading(column).pattern == "*" for column, _ in one.values())]
            kinds[kind] = plain if len(triples) > 1 and len(plain) == 1 else triples
        if not any(kinds.values()) or any(len(triples) > 1 for triples in kinds.values()):
            raise self._not_told(ambiguous=any(len(triples) > 1 for triples in kinds.values()))
        (voxels,) = kinds["voxels"] or [{}]
        (lengths,) = kinds["length"] or [{}]
        (unnamed,) = kinds[""] or [{}]
        if unnamed and not voxels:
            return self._of_unnamed_unit(unnamed, lengths)
        self._say(voxels or lengths)
        if any(unit.kind != "length" for _, unit in lengths.values()):  # the unit differs from axis to axis
            return voxels or lengths, {}
        return voxels, lengths

    def _of_unnamed_unit(
        self, found: dict[str, tuple[str, Unit]], lengths: dict[str, tuple[str, Unit]]
    ) -> tuple[dict[str, tuple[str, Unit]], dict[str, tuple[str, Unit]]]:
        """Decide what positions without a unit are in: in voxels, unless TrackMate wrote them."""
        if lengths or not set(self._names) >= _TRACKMATE:
            self._say(found)
            if not lengths and set(found) != {column for column, _ in found.values()}:
                self.said.append("no unit is named, so the positions are taken for voxels")
            return found, lengths
        if self._size is None:
            z, y, x = (found[axis][0] for axis in POSITION)
            raise UnknownVoxelSizeError(
                f"'{self._path}' has positions of TrackMate, but not their unit: give the voxel size "
                f"if it is micrometres, or the columns (--columns z={z},y={y},x={x}) if it is voxels."
            )
        in_um = {axis: (column, Unit("length")) for axis, (column, _) in found.items()}
        self._say(in_um)
        self.said.append("no unit is named, so TrackMate's positions are taken for micrometres")
        return {}, in_um

    def _given_positions(self) -> tuple[dict[str, tuple[str, Unit]], dict[str, tuple[str, Unit]]]:
        """Return the positions of the column map; columns with our names need no mention."""
        names = POSITION_UM if set(self._given) & set(POSITION_UM) else POSITION
        found: dict[str, tuple[str, Unit]] = {}
        for axis, name in zip(POSITION, names, strict=True):
            column = self._given.get(name, name if name in self._names else None)
            if column is None:
                raise ColloidsError(f"The columns name {', '.join(self._given)}, but not {name}: {self._choice()}.")
            unit = self._unit(column)
            if names is POSITION_UM and unit.kind != "length":
                unit = Unit("length")
            found[axis] = (column, unit)
        lengths = {unit.kind == "length" for _, unit in found.values()}
        if lengths == {True}:
            self._say(found)
            return {}, found
        return found, {}

    def _numbered(self) -> dict[str, tuple[str, Unit]]:
        """Return positions whose axes have numbers: ``axis-0`` of napari, ``centroid-0`` of scikit-image."""
        for word, program in (("axis", "points of napari"), ("centroid", "centroids of scikit-image")):
            names = [name for name in self._names if name.startswith(f"{word}-")]
            if len(names) == 3 or (len(names) == 4 and word == "axis"):
                self.said.append(f"read as {program}, in voxels")
                if len(names) == 4:
                    self._given.setdefault("frame", names[0])
                return {axis: (name, Unit("voxels")) for axis, name in zip(POSITION, names[-3:], strict=True)}
            if names and word == "axis" and not self._triples():
                raise ColloidsError(
                    f"'{self._path}' has points of {len(names)} axes; particles have z, y, x, or time, z, y, x."
                )
        return {}

    def _triples(self) -> list[dict[str, tuple[str, Unit]]]:
        """Return the positions along all of z, y, x whose headings agree."""
        groups: dict[tuple[str, str], dict[str, list[tuple[str, Unit]]]] = {}
        for name in self._names:
            meaning = heading(name)
            if meaning.pattern:
                unit = self._unit(name)
                for key in (("any", meaning.pattern), (unit.kind, meaning.pattern)):
                    groups.setdefault(key, {}).setdefault(meaning.quantity, []).append((name, unit))
        patterns = dict.fromkeys(pattern for _, pattern in groups)
        found = []
        for pattern in patterns:
            # One column an axis, in whatever units; else those of one kind of unit.
            every = groups["any", pattern]
            kinds = (
                [every]
                if all(len(one) == 1 for one in every.values())
                else [group for (kind, other), group in groups.items() if other == pattern and kind != "any"]
            )
            for group in kinds:
                if set(group) == set(POSITION):
                    units = {unit.kind for one in group.values() for _, unit in one}
                    if any(len(one) > 1 for one in group.values()) or units >= {"", "length"}:
                        raise self._not_told(ambiguous=True)
                    found.append({axis: group[axis][0] for axis in POSITION})
        return found

    def _unit(self, column: str) -> Unit:
        """Return the unit of a column: in its name, below it, in a column of units, or in a comment."""
        for unit in (heading(column).unit, unit_of(self._units.get(column, "")), self._unit_of_rows):
            if unit.kind:
                return unit
        return unit_of(self._units.get("", ""))

    def _told_unit(self) -> Unit:
        """Return the unit that a column of units has in all rows."""
        for name in sorted(UNIT_COLUMNS.intersection(self._names)):
            if self._table[name].nunique() == 1:
                return unit_of(str(self._table[name].dropna().iloc[0]))
        return Unit()

    def _in_voxels(self, column: str, unit: Unit, axis: str) -> pd.Series:
        values = self._numbers(column)
        if unit.kind != "length":
            return values
        if self._size is None:
            raise UnknownVoxelSizeError(
                f"'{self._path}' has positions in micrometres only; give the voxel size of the stack "
                "(voxel_size= in Python)."
            )
        return values * unit.micrometres / self._size[POSITION.index(axis)]

    def _radius(self, made: dict[str, pd.Series], in_um: bool, used: set[str]) -> set[str]:
        """Add the radius, in lateral voxels and micrometres as far as they are known; return its columns."""
        if "radius" in made or "radius_um" in made:
            return set()
        taken: set[str] = set()
        for name in self._names:
            meaning = heading(name)
            is_number = pd.api.types.is_numeric_dtype(self._table[name])
            if name in used or not is_number or meaning.quantity not in ("radius", "diameter"):
                continue
            unit = self._unit(name)
            # Without a unit it is that of the positions; but our own names say it all.
            length = unit.kind == "length" or (not unit.kind and in_um and name != "radius")
            values = self._numbers(name) * (0.5 if meaning.quantity == "diameter" else 1)
            if length and "radius_um" not in made:
                made["radius_um"] = values * unit.micrometres
                taken.add(name)
            elif not length and "radius" not in made:
                made["radius"] = values
                taken.add(name)
        if "radius_um" in made and "radius" not in made and self._size is not None:
            made["radius"] = made["radius_um"] / self._size[2]
        return taken

    def _is_frame(self, name: str) -> bool:
        return heading(name).quantity == "frame" or (name == "Time" and set(self._names) >= _IMARIS)

    def _whole(self, made: dict[str, pd.Series], column: str, names: list[str], used: set[str]) -> set[str]:
        """Add a column of whole numbers from the first of these that has them in all rows; return its name."""
        if column in made or column in self._names:
            return set()
        for name in names:
            values = pd.to_numeric(self._table[name], errors="coerce")
            if name not in used and np.isfinite(values).all() and (values % 1 == 0).all():
                made[column] = values - 1 if name == "Time" else values  # Imaris counts from 1
                return {name}
        return set()

    def _numbers(self, column: str) -> pd.Series:
        values = self._table[column]
        if values.empty:
            return values.astype(float)
        if not pd.api.types.is_numeric_dtype(values) or values.dtype.kind not in "biuf":
            raise ColloidsError(f"'{self._path}' has a column '{column}' that should hold numbers but does not.")
        return values.astype(float)

    def _column_named(self, name: str) -> str:
        """Return the column with a name or, failing that, a number."""
        if name in self._names:
            return name
        if name.isdecimal() and len(name) < 5 and int(name) < len(self._names):
            return self._names[int(name)]
        raise ColloidsError(f"'{self._path}' has no column '{name}'; it has {self._named()}.")

    def _say(self, found: dict[str, tuple[str, Unit]]) -> None:
        """Note how the positions were understood, unless their names are our own."""
        names = set(self._names)
        program = "spots of TrackMate" if names >= _TRACKMATE else "spots of Imaris" if names >= _IMARIS else ""
        columns = [column for column, _ in found.values()]
        kinds = {unit.kind for _, unit in found.values()}
        if columns == POSITION_UM or (columns == POSITION and "length" not in kinds):
            return
        unit = "voxels" if "length" not in kinds else "a unit of length" if len(kinds) == 1 else "mixed units"
        if all(one.kind == "length" and one.micrometres == 1 for _, one in found.values()):
            unit = "micrometres"
        text = f"{', '.join(columns)} are read as z, y, x in {unit}"
        self.said.append(f"read as {program}: {text}" if program else text)
        if program == "spots of Imaris":
            self.said.append("Imaris may count positions from the stage or the edge of a voxel: compare with the image")

    def _named(self) -> str:
        names = self._names
        more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
        return ", ".join(names[:_MAX_NAMED]) + more if names else "none"

    def _choice(self) -> str:
        return f"the file has the columns {self._named()}"

    def _not_told(self, *, ambiguous: bool) -> ColloidsError:
        """Return the error that positions are not told, with a column map to complete."""
        if all(name.isdecimal() for name in self._names) and len(self._names) >= 3:
            return ColloidsError(
                f"'{self._path}' has {len(self._names)} columns without names; say which they are, counted "
                "from 0: --columns z=2,y=1,x=0 for x y z, or --columns z=0,y=1,x=2 for z y x."
            )
        proposal = ",".join(f"{axis}={self._likely(axis)}" for axis in POSITION)
        problem = "could be read in several ways" if ambiguous else "has no columns that are known as positions"
        return ColloidsError(
            f"'{self._path}' {problem}; it needs z, y, x in voxels (its columns are: {self._named()}). "
            f"Name them: --columns {proposal}"
        )

    def _likely(self, axis: str) -> str:
        for name in self._names:
            if heading(name).quantity == axis or name.casefold().endswith(axis):
                return name
        return "NAME"
