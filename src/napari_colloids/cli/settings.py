"""Command-line options made from settings."""

import inspect
from collections.abc import Callable, Collection
from typing import Annotated, Literal

import typer
from typer.models import OptionInfo

from napari_colloids.errors import ColloidsError
from napari_colloids.settings import Field, settings_of

#: A command: what typer calls with the values of all arguments and options.
Command = Callable[..., int | None]

#: Words of which the text of an option has one, so that it tells the unit of a value in this unit.
_UNIT_WORDS = {
    **{"px": "voxels", "voxels": "voxel", "µm": "micrometres"},
    **{"1/px": "per lateral voxel", "1/µm": "per micrometre"},
}


def takes_settings(group: type, parameter: str, *, but: Collection[str] = ()) -> Callable[[Command], Command]:
    """Make a decorator that gives a command an option for each setting of a group.

    The command gets a dict of those that were given on the command line, by the name of the setting. Where one is
    refused the message names its option.

    Parameters
    ----------
    group
        A dataclass with settings.
    parameter
        Parameter of the command that takes the dict; the options stand in its place.
    but
        Names of settings that the command has options of its own for.
    """
    offered = [one for name, one in settings_of(group).items() if name not in but]

    def decorate(command: Command) -> Command:
        signature = inspect.signature(command, eval_str=True)

        def wrapped(**values: object) -> int | None:
            given = {one.name: values.pop(one.name) for one in offered}
            values[parameter] = {name: value for name, value in given.items() if value is not None}
            try:
                return command(**values)
            except ColloidsError as error:
                name, _, demand = str(error).partition(" must ")
                if name not in given:
                    raise
                raise ColloidsError(f"{_option_name(name)} must {demand}") from error

        parameters: list[inspect.Parameter] = []
        for own in signature.parameters.values():
            parameters += [_parameter(one) for one in offered] if own.name == parameter else [own]
        # Of keywords those without a default may come after others.
        keywords = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
        wrapped.__signature__ = signature.replace(parameters=keywords)  # type: ignore[attr-defined]
        wrapped.__annotations__ = {one.name: one.annotation for one in keywords}
        wrapped.__name__, wrapped.__doc__ = command.__name__, command.__doc__
        return wrapped

    return decorate


def help_of(one: Field) -> str:
    """Return the help of the option of a setting: the first sentence of its text, with its unit and default."""
    setting = one.setting
    text = setting.help.partition(". ")[0].rstrip(".")
    if setting.unit and _UNIT_WORDS.get(setting.unit, setting.unit) not in text:
        text += f" ({setting.unit})"
    default = setting.unset if one.default is None else _written(one.default)
    return f"{text}.{f'  [default: {default}]' if default else ''}"


def _parameter(one: Field) -> inspect.Parameter:
    return inspect.Parameter(
        one.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[_type(one) | None, _option(one)],  # type: ignore[operator]
    )


def _type(one: Field) -> object:
    """Return the type that typer converts the words of the command line to."""
    (kind,) = one.value_types
    if one.setting.choices and kind is not bool and kind is not int:
        return Literal[tuple(one.setting.choices)]
    return kind


def _option(one: Field) -> OptionInfo:
    setting = one.setting
    (kind,) = one.value_types
    name = _option_name(one.name)
    declared = f"{name}/--no-{name[2:]}" if kind is bool else name
    metavar = setting.metavar or "|".join(map(str, setting.choices)) or None
    option: OptionInfo = typer.Option(
        declared, metavar=metavar, help=help_of(one), rich_help_panel=setting.group or None
    )
    return option


def _option_name(name: str) -> str:
    return "--" + name.replace("_", "-")


def _written(value: object) -> str:
    """Return a default as it would be typed; nothing for flags, whose names say it."""
    if isinstance(value, bool):
        return ""
    values = value if isinstance(value, tuple) else (value,)
    return " ".join(f"{one:g}" if isinstance(one, float) else str(one) for one in values)
