"""Numbers in the names of files that hold one stack together: which are z, t and c, and which files are missing."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise, product
from typing import TYPE_CHECKING

from napari_colloids.errors import ColloidsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Meaning of the words before a number, in lower case: an axis, or "p" for what makes stacks of their own.
_MEANINGS = {
    **dict.fromkeys(("t", "tp", "time", "timepoint", "timestep", "frame", "cycle"), "t"),
    **dict.fromkeys(("c", "ch", "chan", "channel", "w", "wave", "wavelength", "color", "colour"), "c"),
    **dict.fromkeys(("z", "slice", "plane", "section", "depth", "layer", "focus", "zslice", "zplane"), "z"),
    **dict.fromkeys(("series", "scene", "pos", "position", "site", "field", "fov", "tile", "region", "well"), "p"),
}
#: Letters that mean positions beside a number for z, and alone are as good as no letter.
_POSITION_LETTERS = ("s", "p", "m", "xy")
#: What may stand between a word and its number.
_SEPARATORS = " _-=.#("
_WORD = re.compile(rf"([A-Za-z]+)[{re.escape(_SEPARATORS)}]*$")
#: Parts of a word in camel case: "beadsCh" has "beads" and "Ch".
_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_NUMBER = re.compile(r"[0-9]+")
_DECIMAL = re.compile(r"[0-9]+\.[0-9]+")
_NUMERIC = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_ENDING = re.compile(r"(\.ome)?\.[^.]*$", re.IGNORECASE)
#: Micro-Manager 1: time, the name of the channel, slice.
_MICRO_MANAGER = re.compile(r"^.*img_(?P<t>[0-9]{9})_(?P<c>.+)_(?P<z>[0-9]{3,})$")
#: MetaMorph: number and name of a wavelength, such as "_w1CFP".
_METAMORPH = re.compile(r"(?<=_w)[0-9]+[A-Za-z][^_]*(?=_|$)")
#: A number in names, or a word.
Value = Decimal | str
#: Largest number of files that a pattern may promise.
_MAX_FILES = 1_000_000
#: Largest number that counts slices, frames or channels; decimal numbers are exact up to there.
_MAX_NUMBER = 10**15


@dataclass(frozen=True)
class Name:
    """A file name, cut into numbers and what stands between them.

    Attributes
    ----------
    texts
        What stands before, between and after the values; one more than these.
    values
        The numbers as they are written, or words where the program writes words.
    meanings
        For each value "t", "c", "z", "p" (positions: stacks of their own), "s" (perhaps positions) or "" (unknown).
    """

    texts: tuple[str, ...]
    values: tuple[str, ...]
    meanings: tuple[str, ...]

    @classmethod
    def of(cls, name: str) -> Name:
        """Cut a file name.

        Examples
        --------
        >>> Name.of("beads_z003_ch01.tif")
        Name(texts=('beads_z', '_ch', '.tif'), values=('003', '01'), meanings=('z', 'c'))
        """
        stem = _ENDING.sub("", name)
        if found := _MICRO_MANAGER.match(stem):
            known = {found.span(axis): axis for axis in "tcz"}
        else:
            known = {match.span(): "c" for match in _METAMORPH.finditer(stem)}
            # Positions of the stage: "z1.50um". Elsewhere a dot separates.
            lengths = (match.span() for match in _DECIMAL.finditer(stem))
            known |= {span: "z" for span in lengths if _meaning(stem[: span[0]]) == "z"}
        numbers = [match.span() for match in _NUMBER.finditer(stem)]
        inside = [span for span in numbers if any(start <= span[0] < stop for start, stop in known)]
        spans = sorted([*known, *(span for span in numbers if span not in inside)])
        edges = [0, *(edge for span in spans for edge in span), len(stem)]
        texts = [stem[start:stop] for start, stop in zip(edges[::2], edges[1::2], strict=True)]
        meanings = [known.get(span) or _meaning(text) for span, text in zip(spans, texts, strict=False)]
        texts[-1] += name[len(stem) :]
        return cls(tuple(texts), tuple(stem[start:stop] for start, stop in spans), tuple(meanings))

    def with_values(self, values: Sequence[str]) -> str:
        """Return the file name with other values."""
        return "".join(f"{text}{value}" for text, value in zip(self.texts, [*values, ""], strict=True))

    def without(self, places: Iterable[int]) -> str:
        """Return the stem of the name without some values and the words and separators before them."""
        dropped = set(places)
        out = ""
        for k, (text, value) in enumerate(zip(self.texts, self.values, strict=False)):
            kept = text
            if k in dropped:
                word = _label(text) if self.meanings[k] else ""
                kept = text.rstrip(_SEPARATORS)
                kept = (kept.removesuffix(word) if word else kept).rstrip(_SEPARATORS)
            out += kept + ("" if k in dropped else value)
        return (out + _ENDING.sub("", self.texts[-1])).strip(_SEPARATORS + ")")


@dataclass(frozen=True)
class Grid:
    """Files as cells of a grid along t, c and z.

    Attributes
    ----------
    pattern
        Their names, with ``*`` for what varies.
    label
        What the names have in common, for the name of the stack; may be empty.
    axes
        Letters out of ``"tcz"``, in that order.
    values
        Along each axis, what the names say: numbers, or words of channels.
    cells
        Numbers of the files, in the order of the grid, the last axis first; None for a file that is missing.
    missing
        Names of the files that are missing.
    """

    pattern: str
    label: str
    axes: str
    values: tuple[tuple[Value, ...], ...]
    cells: tuple[int | None, ...]
    missing: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Length along each axis."""
        return tuple(len(values) for values in self.values)

    def words(self) -> str:
        """Return what the names mean.

        Examples
        --------
        >>> [(places, grid)] = grids_of(["a_z2.tif", "a_z10.tif", "a_z6.tif"], flat=True)
        >>> grid.words()
        "3 files 'a_z*.tif': z from 2 to 10 in steps of 4"
        """
        parts = []
        for axis, values in zip(self.axes, self.values, strict=True):
            first, last = values[0], values[-1]
            if isinstance(first, str):
                parts.append(f"{axis}: {', '.join(map(str, values))}")
            else:
                step = _step([value for value in values if isinstance(value, Decimal)])
                parts.append(f"{axis} from {first} to {last}" + (f" in steps of {step}" if step != 1 else ""))
        number = sum(cell is not None for cell in self.cells)
        return f"{number} files '{self.pattern}': {', '.join(parts)}"


def families_of(names: Sequence[str]) -> list[list[int]]:
    """Return the places of names that are alike but for their numbers; names without a number are alone."""
    alike: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for place, name in enumerate(names):
        alike[tuple(text.casefold() for text in Name.of(name).texts)].append(place)
    return list(alike.values())


def grids_of(names: Sequence[str], *, flat: bool) -> list[tuple[list[int], Grid]]:
    """Return the stacks that files of one family make, each as the places of its files and their grid.

    Of flat images (2D) one number that varies and has no other meaning is z; of volumes only the numbers of frames and
    channels join files. Files that belong to no others are left out.

    Parameters
    ----------
    names
        File names that are alike but for their values (see `families_of`), in natural order.
    flat
        Whether the files hold single 2D images.

    Raises
    ------
    ColloidsError
        If two files have the same place, or the numbers leave nearly everything out.
    """
    cut = [Name.of(name) for name in names]
    axes, splits = _roles(cut, flat=flat)
    if not axes:
        return []
    stacks: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for place, name in enumerate(cut):
        stacks[tuple(name.values[k] for k in splits)].append(place)
    return [(places, _grid([cut[k] for k in places], axes)) for places in stacks.values() if len(places) > 1]


def _roles(names: Sequence[Name], *, flat: bool) -> tuple[dict[str, int], list[int]]:
    """Return which value is which axis, and which values tell stacks apart."""
    meanings = names[0].meanings
    varying = [k for k in range(len(meanings)) if len({name.values[k] for name in names}) > 1]
    axes = {meanings[k]: k for k in varying if meanings[k] in ("t", "c", "z")}
    splits = [k for k in varying if meanings[k] == "p"]
    maybe = [k for k in varying if meanings[k] == "s"]
    unknown = [k for k in varying if k not in (*axes.values(), *splits, *maybe)]

    def unique(places: Iterable[int]) -> bool:
        return len({tuple(name.values[k] for k in places) for name in names}) == len(names)

    if flat and "z" not in axes and (unknown or maybe):
        free = unknown or maybe
        # Of several numbers without a letter, z is one that tells all files apart, or else the last one.
        telling = [k for k in free if unique([*axes.values(), *splits, k])]
        even = [k for k in telling if _is_even({name.values[k] for name in names})]
        axes["z"] = (even or telling or free)[-1]
        unknown, maybe = ([k for k in some if k != axes["z"]] for some in (unknown, maybe))
    if not flat and ("z" in axes or not axes):
        return {}, []
    splits += maybe
    if not unique([*axes.values(), *splits]):
        # Numbers that only go along with the others, such as the time of day, tell nothing apart.
        splits += next(([k] for k in unknown if unique([*axes.values(), *splits, k])), unknown)
    return {axis: axes[axis] for axis in "tcz" if axis in axes}, splits


def _is_even(written: set[str]) -> bool:
    """Return whether numbers follow each other without a gap."""
    numbers = [Decimal(word) for word in written]
    return len(numbers) == (max(numbers) - min(numbers)) / _step(numbers) + 1


def _grid(names: Sequence[Name], roles: dict[str, int]) -> Grid:
    """Return the grid of the files of one stack."""
    axes = "".join(axis for axis, k in roles.items() if _varies(names, k))
    where = [roles[axis] for axis in axes]
    spans = [_Span.of({name.values[k] for name in names}) for k in where]
    if math.prod(span.count for span in spans) > _MAX_FILES:
        raise ColloidsError(
            f"The numbers in '{_pattern(names)}' lie far apart, and there are only {len(names)} files: rename them by "
            "the number of the slice."
        )
    found: dict[tuple[Value, ...], int] = {}
    for place, name in enumerate(names):
        key = tuple(span.value(name.values[k]) for k, span in zip(where, spans, strict=True))
        if key in found:
            both = " and ".join(f"'{one.with_values(one.values)}'" for one in (names[found[key]], name))
            raise ColloidsError(f"{both} are the same slice by their numbers: move one of them away.")
        found[key] = place
    values = tuple(span.values() for span in spans)
    keys = list(product(*values))
    missing = tuple(_name_at(names, where, key) for key in keys if key not in found)
    label = names[0].without(k for k in range(len(names[0].values)) if k in where or _varies(names, k))
    return Grid(_pattern(names), label, axes, values, tuple(found.get(key) for key in keys), missing)


def _varies(names: Sequence[Name], place: int) -> bool:
    return len({name.values[place] for name in names}) > 1


def _pattern(names: Sequence[Name]) -> str:
    first = names[0]
    return first.with_values(["*" if _varies(names, k) else value for k, value in enumerate(first.values)])


def _name_at(names: Sequence[Name], where: Sequence[int], key: tuple[Value, ...]) -> str:
    """Return the name that the file of a cell would have."""
    first = names[0]
    values = ["*" if _varies(names, k) else value for k, value in enumerate(first.values)]
    for k, value in zip(where, key, strict=True):
        widths = {len(name.values[k]) for name in names}
        # Numbers of one width are padded with zeros, or are so without.
        values[k] = str(value).zfill(widths.pop()) if isinstance(value, Decimal) and len(widths) == 1 else str(value)
    return first.with_values(values)


@dataclass(frozen=True)
class _Span:
    """What the names say along one axis: words, or numbers from the smallest to the largest in their common steps."""

    words: tuple[str, ...]
    first: Decimal = Decimal(0)
    step: Decimal = Decimal(1)
    count: int = 1

    @classmethod
    def of(cls, written: set[str]) -> _Span:
        if not all(map(_NUMERIC.fullmatch, written)):
            return cls(tuple(sorted(written)), count=len(written))
        numbers = [Decimal(word) for word in written]
        if max(numbers) > _MAX_NUMBER:
            return cls((), count=_MAX_FILES + 1)
        step = _step(numbers)
        return cls((), min(numbers), step, int((max(numbers) - min(numbers)) / step) + 1)

    def value(self, word: str) -> Value:
        return word if self.words else Decimal(word)

    def values(self) -> tuple[Value, ...]:
        return self.words or tuple(self.first + k * self.step for k in range(self.count))


def _step(numbers: Sequence[Decimal]) -> Decimal:
    """Return the largest step of which all differences are multiples; 1 where there are none."""
    unit = Decimal(10) ** min(int(number.as_tuple().exponent) for number in numbers)
    ordered = sorted(int(number / unit) for number in numbers)
    return math.gcd(*(after - before for before, after in pairwise(ordered))) * unit or Decimal(1)


def _meaning(text: str) -> str:
    """Return what a number after this text counts."""
    word = _label(text).lower()
    return _MEANINGS.get(word, "s" if word in _POSITION_LETTERS else "")


def _label(text: str) -> str:
    """Return the word right before a number: all letters, or the last part of a word in camel case."""
    found = _WORD.search(text)
    if not found:
        return ""
    word = found[1]
    if word.lower() in _MEANINGS:
        return word
    parts = _CAMEL.findall(word)
    return parts[-1] if parts else word
