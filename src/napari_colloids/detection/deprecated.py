"""Deprecated fields of `Options`, which are parameters of `detect` or fields of `Region` now; still honoured."""

from __future__ import annotations

import functools
import warnings
from typing import TypeVar

#: Deprecated fields, and what to give instead.
DEPRECATED = {
    "frame": "detect(stack, frame=...) or detect_series(stack, frames=[...])",
    "channel": "detect(stack, channel=...) or detect_series(stack, channels=[...])",
    "z_range": "region=Region(z_range=...)",
}

Cls = TypeVar("Cls", bound=type)


def accepts_deprecated(options: Cls) -> Cls:
    """Let a dataclass be made with the deprecated fields, too, and keep them for `deprecated_fields`."""
    initialise = options.__init__  # type: ignore[misc]

    @functools.wraps(initialise)
    def __init__(self: object, *arguments: object, **given: object) -> None:
        deprecated = _removed_from(given)
        initialise(self, *arguments, **given)
        object.__setattr__(self, "_deprecated", deprecated)

    options.__init__ = __init__  # type: ignore[misc]
    return options


def deprecated_fields(options: object, changes: dict[str, object]) -> dict[str, object]:
    """Return the deprecated fields of options and of changes; they are removed from the changes."""
    return {**getattr(options, "_deprecated", {}), **_removed_from(changes)}


def _removed_from(given: dict[str, object]) -> dict[str, object]:
    """Remove the deprecated fields from keywords and return them, with a warning that says what to give instead."""
    deprecated = {name: given.pop(name) for name in DEPRECATED if name in given}
    for name in deprecated:
        warnings.warn(
            f"{name} is no detection option any more: use {DEPRECATED[name]}.", DeprecationWarning, stacklevel=4
        )
    return deprecated
