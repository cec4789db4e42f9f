"""Definition of settings: label, help, unit, bounds and choices as the annotation of a dataclass field.

A group of settings is a frozen dataclass whose fields are annotated with a `Setting`. Validation, documentation and the
public signature are generated from these annotations here, options and controls by the command line and the window.

Examples
--------
>>> from dataclasses import dataclass
>>> from typing import Annotated
>>> @dataclass(frozen=True)
... class Smoothing:
...     sigma: Annotated[float, Setting(label="Sigma", help="Width of the Gaussian.", unit="px", low=0, high=50)] = 1.0
...
...     def __post_init__(self) -> None:
...         check_settings(self)
>>> Smoothing(sigma=60)
Traceback (most recent call last):
    ...
napari_colloids.errors.ColloidsError: sigma must lie between 0 and 50 px, not 60.
"""

from __future__ import annotations

import inspect
import math
import textwrap
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import lru_cache
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, TypeVar, Union, get_args, get_origin, get_type_hints

from napari_colloids.errors import ColloidsError, brief

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Group = TypeVar("Group", bound=DataclassInstance)

Decorated = TypeVar("Decorated", bound=Callable[..., object])

#: Heading in the command line's help of settings that say how something is done.
HOW = "How"
#: The same, of what is read.
INPUT = "Input"
#: Replaced in docstrings by the list of settings.
PLACEHOLDER = "{settings}"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Description and allowed values of one setting.

    Attributes
    ----------
    label
        Name in a form.
    help
        One or two sentences for tooltips, the command line's help and docstrings.
    unit
        Unit of the value: ``px`` (lateral voxels), ``voxels``, ``µm``, ...
    low, high
        Smallest and largest value; of several values, of each.
    decimals
        Digits after the point that a control offers.
    choices
        Allowed values with their labels; empty where any value within the bounds is.
    unset
        Meaning of None, in a word or two: ``estimated``.
    metavar
        Placeholder of the value in the command line's help.
    group
        Heading in the command line's help.
    more
        Further explanation, for docstrings only.
    """

    label: str
    help: str
    unit: str = ""
    low: float = -math.inf
    high: float = math.inf
    decimals: int = 2
    choices: Mapping[object, str] = field(default_factory=dict)
    unset: str = ""
    metavar: str = ""
    group: str = ""
    more: str = ""


@dataclass(frozen=True)
class Field:
    """A setting with its name, type and default.

    Attributes
    ----------
    name
        Of the field.
    type
        Annotation without the `Setting`: ``float | None``, ``tuple[int, int, int]``, ...
    default
        Default value; `dataclasses.MISSING` where a value must be given.
    setting
        Description and allowed values.
    """

    name: str
    type: object
    default: object
    setting: Setting

    @property
    def optional(self) -> bool:
        """Whether it may be None."""
        return NoneType in _alternatives(self.type)

    @property
    def value_types(self) -> tuple[object, ...]:
        """The types that a value other than None may have."""
        return tuple(kind for kind in _alternatives(self.type) if kind is not NoneType)

    def check(self, value: object) -> None:
        """Refuse a value of a wrong type or out of bounds.

        Raises
        ------
        ColloidsError
            If it is; the message names the setting and what it takes.
        """
        setting = self.setting
        if value is None and self.optional:
            return
        if setting.choices:
            if not _is_one_of(value, setting.choices):
                known = [str(choice) for choice in setting.choices]
                if not all(isinstance(choice, str) for choice in setting.choices):
                    raise ColloidsError(f"{self.name} must be {' or '.join(known)}, not {brief(value)}.")
                raise ColloidsError(f"There is no {self.name} {brief(value)}; choose one of {', '.join(known)}.")
            return
        if not any(_fits(value, kind) for kind in self.value_types):
            kinds = " or ".join(_in_words(kind) for kind in self.value_types)
            raise ColloidsError(f"{self.name} must be {kinds}, not {brief(value)}.")
        if not all(setting.low <= number <= setting.high and math.isfinite(number) for number in _numbers(value)):
            bounds = _bounds_in_words(setting) or "be finite"
            raise ColloidsError(f"{self.name} must {bounds}, not {_short(value)}.")


@lru_cache
def settings_of(group: type) -> dict[str, Field]:
    """Return the settings of a dataclass by name, in the order of its fields; fields without a `Setting` are left out.

    Parameters
    ----------
    group
        A dataclass whose fields are annotated as ``Annotated[float, Setting(...)]``.
    """
    hints = get_type_hints(group, include_extras=True)
    found = {}
    for one in fields(group):
        hint = hints[one.name]
        notes = [note for note in getattr(hint, "__metadata__", ()) if isinstance(note, Setting)]
        if notes:
            default = one.default if one.default_factory is MISSING else one.default_factory()
            found[one.name] = Field(one.name, get_args(hint)[0], default, notes[0])
    return found


def check_settings(settings: DataclassInstance) -> None:
    """Refuse settings of which one has a wrong type or is out of bounds.

    Raises
    ------
    ColloidsError
        If one is.
    """
    for name, one in settings_of(type(settings)).items():
        one.check(getattr(settings, name))


def check_value(
    name: str, value: object, kind: object, *, low: float = -math.inf, high: float = math.inf, unit: str = ""
) -> None:
    """Refuse an argument of a function that has a wrong type or is out of bounds, as `check_settings` does a setting.

    Parameters
    ----------
    name
        Of the parameter.
    value
        The argument.
    kind
        Type that it must have: ``int``, ``float | None``, ``tuple[int, int, int]``, ...
    low, high, unit
        As in `Setting`.

    Raises
    ------
    ColloidsError
        If it is refused.
    """
    Field(name, kind, MISSING, Setting(label=name, help="", low=low, high=high, unit=unit)).check(value)


def changed(settings: Group, changes: Mapping[str, object], what: str) -> Group:
    """Return settings with some fields changed.

    Parameters
    ----------
    settings
        A dataclass with settings.
    changes
        New values by name.
    what
        Name of one of them in the message: ``detection option``.

    Raises
    ------
    ColloidsError
        If there is no such field, or a value is refused.
    """
    unknown = set(changes) - {one.name for one in fields(settings)}
    if unknown:
        raise ColloidsError(f"There is no {what} {', '.join(sorted(unknown))}.")
    return replace(settings, **dict(changes))


def documented(group: type[Group]) -> type[Group]:
    """List the settings of a dataclass in its signature, and in its docstring in place of `PLACEHOLDER`."""
    settings = settings_of(group)
    own = {one.name: inspect.signature(group.__init__).parameters[one.name] for one in fields(group) if one.init}
    shown = [_parameter(settings[name], one.kind) if name in settings else one for name, one in own.items()]
    group.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    group.__doc__ = _filled_in(group.__doc__, group, settings)
    return group


def takes_settings(group: type, *, but: Iterable[str] = ()) -> Callable[[Decorated], Decorated]:
    """Make a decorator that lists settings as keywords in the signature and docstring of a function.

    The function takes them as ``**changes: Unpack[...]`` for type checkers; `inspect.signature`, ``help`` and the
    completion of a console see each of them with its type and default.

    Parameters
    ----------
    group
        A dataclass with settings.
    but
        Names of settings that the function has as parameters of its own.
    """
    every = settings_of(group)
    names = [name for name in every if name not in set(but)]

    def decorate(function: Decorated) -> Decorated:
        signature = inspect.signature(function)
        own = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
        given = [_parameter(every[name], inspect.Parameter.KEYWORD_ONLY) for name in names]
        function.__signature__ = signature.replace(parameters=[*own, *given])  # type: ignore[attr-defined]
        function.__doc__ = _filled_in(function.__doc__, group, names)
        return function

    return decorate


def _parameter(one: Field, kind: inspect._ParameterKind) -> inspect.Parameter:
    default = inspect.Parameter.empty if one.default is MISSING else one.default
    return inspect.Parameter(one.name, kind, default=default, annotation=_written(one.type))


def _filled_in(docstring: str | None, group: type, names: Iterable[str]) -> str:
    """Replace `PLACEHOLDER` in a docstring by numpydoc entries of settings."""
    text = inspect.cleandoc(docstring or "")
    return text.replace(PLACEHOLDER, "\n".join(_entry(settings_of(group)[name]) for name in names))


def _entry(one: Field) -> str:
    setting = one.setting
    unit = f" Unit: {setting.unit}." if setting.unit else ""
    bounds = f" It must {_bounds_in_words(replace(setting, unit=''))}." if _bounds_in_words(setting) else ""
    unset = f" None: {setting.unset}." if setting.unset and one.optional else ""
    choices = f" One of {', '.join(f'``{choice}``' for choice in setting.choices)}." if setting.choices else ""
    text = " ".join(f"{setting.help}{choices}{unset}{unit}{bounds} {setting.more}".split())
    body = textwrap.fill(text, 112, initial_indent="    ", subsequent_indent="    ")
    return f"{one.name} : {_written(one.type)}, default {one.default!r}\n{body}"


def _alternatives(kind: object) -> tuple[object, ...]:
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _fits(value: object, kind: object) -> bool:
    """Tell whether a value is of a type; numbers and sequences of NumPy count as Python's."""
    if kind is bool:
        return _is_one_of(value, {False, True})
    if kind is int:
        return isinstance(value, Integral) and not isinstance(value, bool)
    if kind is float:
        return isinstance(value, Real) and not isinstance(value, bool)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is tuple:
        if not isinstance(value, Collection) or isinstance(value, str | bytes | Set | Mapping):
            return False
        if not getattr(value, "shape", True):  # an array of no dimension
            return False
        return len(value) == len(arguments) and all(map(_fits, value, arguments))
    return isinstance(value, kind) if isinstance(kind, type) else True


def _is_one_of(value: object, choices: Set[object] | Mapping[object, str]) -> bool:
    try:
        return value in choices
    except TypeError:  # unhashable: a list, an array
        return False


def _numbers(value: object) -> list[float]:
    """Return the numbers that a value is or holds."""
    if isinstance(value, str):
        return []
    parts = value if isinstance(value, Iterable) else [value]
    return [_as_float(part) for part in parts if isinstance(part, Real)]


def _as_float(number: Real) -> float:
    """Return a number as it is compared with bounds: infinite where it is beyond the floats."""
    try:
        return float(number)
    except OverflowError:
        return math.inf


def _in_words(kind: object) -> str:
    if get_origin(kind) is tuple:
        parts = get_args(kind)
        return f"{len(parts)} {'whole ' if parts[0] is int else ''}numbers"
    words = {bool: "True or False", int: "a whole number", float: "a number", str: "a text", Path: "a path"}
    return words.get(kind, getattr(kind, "__name__", str(kind)))  # type: ignore[call-overload]


def _bounds_in_words(setting: Setting) -> str:
    """Return the bounds in words that follow "must"; empty where there are none."""
    unit = f" {setting.unit}" if setting.unit else ""
    if math.isfinite(setting.low) and math.isfinite(setting.high):
        return f"lie between {_short(setting.low)} and {_short(setting.high)}{unit}"
    if math.isfinite(setting.low):
        return f"be at least {_short(setting.low)}{unit}"
    return f"be at most {_short(setting.high)}{unit}" if math.isfinite(setting.high) else ""


def _short(value: object) -> str:
    return f"{float(value):g}" if isinstance(value, Real) and not isinstance(value, Integral) else f"{value}"


def _written(kind: object) -> str:
    """Return a type as it is written in code: ``float | None``."""
    if isinstance(kind, type) and get_origin(kind) is None:
        return "None" if kind is NoneType else kind.__name__
    alternatives = _alternatives(kind)
    if len(alternatives) > 1:
        return " | ".join(_written(one) for one in alternatives)
    if get_origin(kind) is tuple:
        return f"tuple[{', '.join(_written(one) for one in get_args(kind))}]"
    return str(kind).replace("typing.", "")
