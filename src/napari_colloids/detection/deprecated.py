"""Deprecated fields of `Options`, which are parameters of `detect` or fields of `Region` now; still honoured."""

from __future__ import annotations

import warnings
from dataclasses import InitVar, replace
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Group = TypeVar("Group", bound=DataclassInstance)

#: Deprecated fields, and what to give instead.
DEPRECATED = {
    "frame": "detect(stack, frame=...) or detect_series(stack, frames=[...])",
    "channel": "detect(stack, channel=...) or detect_series(stack, channels=[...])",
    "z_range": "region=Region(z_range=...)",
}

Cls = TypeVar("Cls", bound=type)


def accepts_deprecated(options: Cls) -> Cls:
    """Let a class that will be a dataclass be made with the deprecated fields, too, and keep them as attributes."""
    check = options.__post_init__  # type: ignore[attr-defined]
    for name in DEPRECATED:
        # Of this kind, a field takes part in `replace` and in pickling but not in comparison and representation.
        options.__annotations__[name] = InitVar[object]
        setattr(options, name, None)

    def __post_init__(self: object, *deprecated: object) -> None:
        for name, value in zip(DEPRECATED, deprecated, strict=True):
            if value is not None:
                _warn(name, stacklevel=4)
                object.__setattr__(self, name, value)
        check(self)

    options.__post_init__ = __post_init__  # type: ignore[attr-defined]
    return options


def split_deprecated(options: Group, changes: dict[str, object]) -> tuple[Group, dict[str, object]]:
    """Return options without their deprecated fields, and these with those of the changes, which are removed there.

    Parameters
    ----------
    options
        The options.
    changes
        Keywords of `detect` or `detect_series` that change them; the warning is about the line that calls these.
    """
    deprecated = {name: getattr(options, name) for name in DEPRECATED if getattr(options, name) is not None}
    for name in DEPRECATED:
        if name in changes:
            deprecated[name] = changes.pop(name)
            _warn(name, stacklevel=5)
    if deprecated:
        options = replace(options, **dict.fromkeys(DEPRECATED))
    return options, deprecated


def _warn(name: str, stacklevel: int) -> None:
    warnings.warn(
        f"{name} is no detection option any more: use {DEPRECATED[name]}.", DeprecationWarning, stacklevel=stacklevel
    )
