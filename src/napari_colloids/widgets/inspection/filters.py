"""Filters of particles that are typed: ``confidence < 0.5 and 3 < z < 7``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.errors import ColloidsError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]

_COMPARISONS: dict[str, np.ufunc] = {
    **{"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal},
    **{"=": np.equal, "==": np.equal, "!=": np.not_equal},
}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
#: Between conditions; a comma with a space behind it, as without one it is a decimal comma.
_SEPARATOR = re.compile(r"\s*(?:\band\b|&&?|;|,\s)\s*", re.IGNORECASE)
_OPERATOR = re.compile(r"\s*(<=|>=|==|!=|<|>|=)\s*")
_EXAMPLE = "write for example: confidence < 0.5 and 3 < z < 7"


def matching(text: str, columns: Mapping[str, NDArray[np.generic]]) -> Mask | None:
    """Return which particles match a typed filter; None where nothing is typed.

    Parameters
    ----------
    text
        Comparisons of columns with values, joined by "and"; a column may be cut, as long as it is clear which one is
        meant. Numbers may have a decimal comma.
    columns
        By name, each of shape ``(N,)``, in the units that the numbers are typed in.

    Raises
    ------
    ColloidsError
        If the text cannot be understood, or there is no such column.
    """
    found: Mask | None = None
    for condition in filter(None, _SEPARATOR.split(text.strip())):
        for name, sign, value in _comparisons(condition, columns):
            mask = _compared(columns[name], sign, value)
            found = mask if found is None else found & mask
    return found


def _comparisons(condition: str, columns: Collection[str]) -> Iterator[tuple[str, str, str]]:
    """Return the comparisons of a condition, ``column < value`` or ``value < column < value``."""
    parts = [part.strip() for part in _OPERATOR.split(condition)]
    if len(parts) == 3 and all(parts):
        left, sign, right = parts
        if _number(left) is None or sign not in _MIRRORED:
            yield _column(left, columns), sign, right
        else:
            yield _column(right, columns), _MIRRORED[sign], left
    elif len(parts) == 5 and all(parts) and parts[1] in _MIRRORED and parts[3] in _MIRRORED:
        name = _column(parts[2], columns)
        yield name, _MIRRORED[parts[1]], parts[0]
        yield name, parts[3], parts[4]
    else:
        raise ColloidsError(f"'{condition}' is no condition: {_EXAMPLE}.")


def _column(typed: str, columns: Collection[str]) -> str:
    name = re.sub(r"\s+", "_", typed.lower())
    lowered = {column.lower(): column for column in columns}
    if name in lowered:
        return lowered[name]
    begun = [column for low, column in lowered.items() if low.startswith(name)]
    if len(begun) == 1:
        return begun[0]
    which = f"'{typed}' may be {' or '.join(begun)}" if begun else f"There is no column '{typed}'"
    raise ColloidsError(f"{which}; the columns are {', '.join(columns)}.")


def _compared(values: NDArray[np.generic], sign: str, typed: str) -> Mask:
    number = _number(typed)
    if values.dtype.kind == "U" and sign in ("=", "==", "!="):
        return np.asarray(_COMPARISONS[sign](values, typed))
    if number is None or values.dtype.kind == "U":
        raise ColloidsError(f"'{typed}' is no number that a column can be compared with: {_EXAMPLE}.")
    return np.asarray(_COMPARISONS[sign](values, number))


def _number(text: str) -> float | None:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return None
