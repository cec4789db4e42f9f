"""Conversion of units of length and time, in the spellings that files use."""

from __future__ import annotations

import re

#: Micrometres per unit, keyed by the folded name or symbol.
_MICROMETRES = {
    "m": 1e6,
    "cm": 1e4,
    "mm": 1e3,
    "um": 1.0,
    "nm": 1e-3,
    "pm": 1e-6,
    "å": 1e-4,
    "angstrom": 1e-4,
    "inch": 25400.0,
    "in": 25400.0,
    "meter": 1e6,
    "centimeter": 1e4,
    "millimeter": 1e3,
    "micrometer": 1.0,
    "micron": 1.0,
    "nanometer": 1e-3,
}
#: Seconds per unit, keyed by the folded name or symbol.
_SECONDS = {
    "h": 3600.0,
    "min": 60.0,
    "s": 1.0,
    "sec": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "ns": 1e-9,
    "hour": 3600.0,
    "minute": 60.0,
    "second": 1.0,
    "millisecond": 1e-3,
    "microsecond": 1e-6,
    "nanosecond": 1e-9,
}


def unit_in_micrometres(unit: object) -> float | None:
    r"""Return a unit of length in micrometres; None for other units (``"pixel"``, empty).

    Understands names and symbols, both micro signs and ImageJ's escape ``\u00B5m``.
    """
    key = _folded(unit).replace("metre", "meter").replace("\u212b", "å")
    return _MICROMETRES.get(key, _MICROMETRES.get(key.removesuffix("s")))


def unit_in_seconds(unit: object) -> float | None:
    """Return a unit of time in seconds; None for other units."""
    key = _folded(unit)
    return _SECONDS.get(key, _SECONDS.get(key.removesuffix("s")))


def _folded(unit: object) -> str:
    """Return a unit in lower case with its micro sign as ``u``."""
    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), str(unit or "")).strip()
    # Both micro signs (U+00B5, and the Greek letter U+03BC, which is also what casefold makes of the first).
    return text.casefold().replace("\u03bc", "u")
