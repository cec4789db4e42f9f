"""Former fields of `Options` that say where to look, not how: deprecated, and still honoured."""

from __future__ import annotations

import functools
import warnings
from typing import Any, TypeVar

#: Former fields, and what to give instead.
MOVED = {
    "frame": "detect(stack, frame=...) or detect_series(stack, frames=[...])",
    "channel": "detect(stack, channel=...) or detect_series(stack, channels=[...])",
    "z_range": "region=Region(z_range=...)",
}

Cls = TypeVar("Cls", bound=type)


def accepts_moved(options: Cls) -> Cls:
    """Let a dataclass be made with the former fields, too, and remember them for `fields_before`."""
    initialise = options.__init__  # type: ignore[misc]

    @functools.wraps(initialise)
    def __init__(self: object, *arguments: Any, **given: Any) -> None:
        former = former_fields(given)
        initialise(self, *arguments, **given)
        object.__setattr__(self, "_former", former)

    options.__init__ = __init__  # type: ignore[misc]
    return options


def former_fields(given: dict[str, Any]) -> dict[str, Any]:
    """Take the former fields out of keywords, with a warning that says what to give instead."""
    former = {name: given.pop(name) for name in MOVED if name in given}
    for name in former:
        warnings.warn(f"{name} is no detection option any more: use {MOVED[name]}.", DeprecationWarning, stacklevel=4)
    return former


def fields_before(options: object, changes: dict[str, Any]) -> dict[str, Any]:
    """Return the former fields that options were made with, and those among changes, which lose them."""
    return {**getattr(options, "_former", {}), **former_fields(changes)}
