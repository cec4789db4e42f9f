"""Command-line options made from settings, and help in groups."""

import inspect
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from napari_colloids.settings import Field, settings_of

if TYPE_CHECKING:
    from typer._click import Context, HelpFormatter

#: Name of the parameter of a command that takes what was given of the settings.
PARAMETER = "settings"


class GroupedCommand(TyperCommand):
    """A command whose help lists the options under headings (their ``rich_help_panel``)."""

    def format_options(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        """Write the options, group by group in the order in which the groups first appear."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for option in self.get_params(ctx):
            record = option.get_help_record(ctx)
            if record is not None:
                groups.setdefault(getattr(option, "rich_help_panel", None) or "Options", []).append(record)
        for heading in sorted(groups, key=lambda name: name == "Options"):
            with formatter.section(heading):
                formatter.write_dl(groups[heading])


def takes_settings(group: type, *, but: Collection[str] = ()) -> Callable[[Callable[..., int | None]], Any]:
    """Make a decorator that gives a command an option for each setting of a group.

    The command has a parameter ``settings``, a dict: what was given, by the name of the setting.

    Parameters
    ----------
    group
        A dataclass with settings.
    but
        Names of settings that the command has options of its own for.
    """
    offered = [one for name, one in settings_of(group).items() if name not in but]

    def decorate(command: Callable[..., int | None]) -> Callable[..., int | None]:
        signature = inspect.signature(command, eval_str=True)
        own = signature.parameters

        def wrapped(**given: Any) -> int | None:
            settings = {one.name: given.pop(one.name) for one in offered}
            given[PARAMETER] = {name: value for name, value in settings.items() if value is not None}
            return command(**given)

        parameters: list[inspect.Parameter] = []
        for parameter in own.values():
            parameters += [_parameter(one) for one in offered] if parameter.name == PARAMETER else [parameter]
        # None first has no default, and must come before those that have one.
        wrapped.__signature__ = signature.replace(parameters=_required_first(parameters))  # type: ignore[attr-defined]
        wrapped.__annotations__ = {one.name: one.annotation for one in parameters}
        wrapped.__name__, wrapped.__doc__ = command.__name__, command.__doc__
        return wrapped

    return decorate


def _required_first(parameters: Iterable[inspect.Parameter]) -> list[inspect.Parameter]:
    return sorted(
        (one.replace(kind=inspect.Parameter.POSITIONAL_OR_KEYWORD) for one in parameters),
        key=lambda one: one.default is not inspect.Parameter.empty,
    )


def _parameter(one: Field) -> inspect.Parameter:
    return inspect.Parameter(
        one.name,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        default=None,
        annotation=Annotated[_type(one) | None, _option(one)],
    )


def _type(one: Field) -> Any:
    (kind,) = one.value_types
    if one.setting.choices and kind is not bool and kind is not int:
        return Literal[tuple(one.setting.choices)]
    return kind


def _option(one: Field) -> Any:
    setting = one.setting
    name = "--" + one.name.replace("_", "-")
    default = setting.unset if one.default is None else _written(one.default)
    text = f"{setting.help.rstrip('.')}{f'  [default: {default}]' if default else '.'}"
    (kind,) = one.value_types
    declared = f"{name}/--no-{name[2:]}" if kind is bool else name
    metavar = setting.metavar or None
    return typer.Option(declared, metavar=metavar, help=text, rich_help_panel=setting.group or None)


def _written(value: object) -> str:
    if isinstance(value, bool):
        return ""
    return " ".join(map(str, value)) if isinstance(value, tuple) else f"{value}"
