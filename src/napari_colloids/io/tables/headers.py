"""Meaning of the headings of a table: quantity, axis and unit."""

from __future__ import annotations

import re
from dataclasses import dataclass

from napari_colloids.io.units import unit_in_micrometres

#: Keys in the ``attrs`` of a table as it is read from a file: what was detected, and units that stand beside the names.
SAID, UNITS = "said", "units"
#: Words that stand beside the letter of an axis in the heading of a position.
_POSITION_WORDS = frozenset(
    (
        *("position", "positions", "pos", "location", "loc", "coord", "coords", "coordinate", "coordinates"),
        *("center", "centre", "centers", "centres", "centroid", "com"),
    )
)
_VOXEL_WORDS = frozenset(["px", "pix", "pixel", "pixels", "voxel", "voxels", "vox", "vx", "slice", "slices"])
#: Units that may end a heading without brackets; others, such as m or in, are words too.
_PLAIN_UNITS = frozenset(
    ("um", "nm", "mm", "micron", "microns", *(f"{prefix}meter{s}" for prefix in ("micro", "nano") for s in ("", "s")))
)
_FRAMES = {("frame",), ("frames",), ("frame", "number"), ("frame", "index"), ("timepoint",), ("time", "point"), ("t",)}
_QUANTITIES: dict[tuple[str, ...], str] = {("radius",): "radius", ("diameter",): "diameter"}


@dataclass(frozen=True)
class Unit:
    """A unit of length.

    Attributes
    ----------
    kind
        ``"voxels"``, ``"length"``, or nothing where none is named.
    micrometres
        Micrometres per unit, of a length.
    """

    kind: str = ""
    micrometres: float = 1.0


@dataclass(frozen=True)
class Heading:
    """Meaning of the heading of a column.

    Attributes
    ----------
    quantity
        ``z``, ``y``, ``x``, ``frame``, ``radius``, ``diameter``, or nothing.
    pattern
        Of a position, the words with a star for the axis: those of one kind of position agree.
    unit
        Of a length.
    """

    quantity: str = ""
    pattern: str = ""
    unit: Unit = Unit()


def unit_of(text: str) -> Unit:
    """Return the unit that a word stands for."""
    word = text.strip().replace("µ", "u").replace("μ", "u")
    if word.casefold() in _VOXEL_WORDS:
        return Unit("voxels")
    length = unit_in_micrometres(word)
    return Unit() if length is None else Unit("length", length)


def is_unit(text: str) -> bool:
    """Whether a word is the unit of a length."""
    return bool(unit_of(text).kind)


def unit_in_text(comment: str) -> str:
    """Return the unit of length that a comment gives to the positions, as it writes it; empty where it gives none."""
    if re.search(r"(voxel|pixel)[\s_-]*size", comment, re.IGNORECASE):
        return ""
    words = r"(?:units?|positions?|coordinates?|lengths?|centers?|centres?)"
    found = re.search(rf"\b{words}\b[^\w\n]*(?:(?:are|is|in)\W+)*(\w+)", comment, re.IGNORECASE)
    return found[1] if found and is_unit(found[1]) else ""


def heading(name: str) -> Heading:
    """Return the meaning of a heading."""
    text = name.strip().replace("µ", "u").replace("μ", "u")
    unit = Unit()
    bracket = re.search(r"[\[(]([^\[\]()]*)[\])]\s*$", text)
    if bracket:
        unit = unit_of(bracket[1])
        if not unit.kind:
            return Heading()
        text = text[: bracket.start()]
    words = _words(text)
    if (
        not bracket
        and len(words) > 1
        and (words[-1].replace("metre", "meter") in _PLAIN_UNITS or words[-1] in _VOXEL_WORDS)
    ):
        unit = unit_of(words.pop())
    if tuple(words) in _FRAMES and not unit.kind:
        return Heading("frame")
    if tuple(words) in _QUANTITIES:
        return Heading(_QUANTITIES[tuple(words)], unit=unit)
    axes = [word for word in words if word in ("z", "y", "x")]
    if len(axes) != 1 or not _POSITION_WORDS.issuperset(word for word in words if word not in axes):
        return Heading(unit=unit)
    return Heading(axes[0], " ".join("*" if word in axes else word for word in words), unit)


def _words(text: str) -> list[str]:
    """Split a heading into words in lower case: ``PositionX``, ``pos_x`` and ``xpos`` each are two."""
    parts = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    words: list[str] = []
    for word in re.split(r"[^a-z0-9]+", parts.casefold()):
        glued = next(
            (
                (a, b)
                for a, b in ((word[:1], word[1:]), (word[-1:], word[:-1]))
                if a in tuple("zyx") and b in _POSITION_WORDS
            ),
            None,
        )
        words += glued or ([word] if word else [])
    return words
