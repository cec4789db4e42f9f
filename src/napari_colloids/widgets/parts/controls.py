"""magicgui controls made from settings, and the forms that they stand in."""

from __future__ import annotations

import math
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args, get_origin

from magicgui.widgets import CheckBox, ComboBox, Container
from magicgui.widgets.bases import ValuedContainerWidget
from qtpy.QtWidgets import QFormLayout, QLabel, QSizePolicy, QWidget

from napari_colloids.settings import settings_of
from napari_colloids.widgets.parts.number_box import NumberBox
from napari_colloids.widgets.parts.own_control import wrapped
from napari_colloids.widgets.parts.wheel import leave_wheel_to_panel

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from typing import Unpack

    from magicgui.widgets.bases import BaseValueWidget, Widget

    from napari_colloids.settings import Field
    from napari_colloids.widgets.parts.own_control import About

    Controls = dict[str, BaseValueWidget[Any]]

#: Number of boxes in a row that have room for buttons.
_MAX_BOXES_WITH_BUTTONS = 2


def controls_of(group: type, *, but: Collection[str] = ()) -> Controls:
    """Make a control for each setting of a dataclass, but for some."""
    return {name: control(setting) for name, setting in settings_of(group).items() if name not in but}


def control(field: Field) -> BaseValueWidget[Any]:
    """Make the control of a setting by its type, with its label, unit, bounds and tooltip."""
    setting = field.setting
    about = about_of(field)
    if setting.choices:
        return choice(setting.choices, field.default, **about)
    kind = field.value_types[0]
    if kind is bool:
        return CheckBox(value=bool(field.default), **about)
    if get_origin(kind) is tuple:
        parts = list(zip(get_args(kind), field.default, strict=True))  # type: ignore[call-overload]
        boxes = [_number_box(part, value, field, tooltip=about["tooltip"]) for part, value in parts]
        for box in boxes:
            box.set_unit("")  # told once, by the label
            if len(boxes) > _MAX_BOXES_WITH_BUTTONS:
                box.drop_buttons()
        axes, unit = ", ".join(setting.metavar.lower().split()), f"({setting.unit})" if setting.unit else ""
        label = f"{setting.label}\n{axes} {unit}".strip()
        return Row(boxes, name=field.name, label=label, tooltip=about["tooltip"])
    if kind in (int, float):
        return _number_box(field.type, field.default, field, **about)
    raise TypeError(f"There is no control for {field.name}, {field.type}.")


def about_of(field: Field) -> About:
    """Return the name, label and tooltip of a setting's control."""
    setting = field.setting
    bounded = math.isfinite(setting.low) and math.isfinite(setting.high)
    bounds = f"\nFrom {setting.low:g} to {setting.high:g} {setting.unit}".rstrip() if bounded else ""
    return {"name": field.name, "label": setting.label, "tooltip": wrapped(setting.help) + bounds}


def _number_box(kind: object, value: object, field: Field, **about: Unpack[About]) -> NumberBox:
    """Make the box of a number, or of one of several, of type ``int``, ``float``, ``float | None``, ..."""
    setting, kinds = field.setting, get_args(kind) or (kind,)
    return NumberBox(
        value,  # type: ignore[arg-type]
        setting.low,
        setting.high,
        decimals=0 if int in kinds else setting.decimals,
        unit=setting.unit,
        unset=(setting.unset or "none") if NoneType in kinds else "",
        **about,
    )


def choice(labels: Mapping[Any, str], value: object, **about: Unpack[About]) -> ComboBox:
    """Make a combo box from values and their labels."""
    return shaped(ComboBox(value=value, choices=[(label, item) for item, label in labels.items()], **about))


def shaped(box: ComboBox) -> ComboBox:
    """Keep a combo box so wide that no word is cut, and from changing while the wheel scrolls past it."""
    box.native.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Fixed)
    leave_wheel_to_panel(box.native)
    return box


class Row(ValuedContainerWidget[tuple[Any, ...]]):
    """Controls side by side, whose values are those of one setting."""

    def __init__(self, controls: Iterable[BaseValueWidget[Any]], **about: Unpack[About]) -> None:
        super().__init__(widgets=list(controls), layout="horizontal", labels=False, **about)
        self.margins = (0, 0, 0, 0)
        for one in self.parts():
            one.changed.connect(self._on_part)

    def parts(self) -> Iterator[Any]:
        """Return the controls, from left to right."""
        return iter(self)

    def get_value(self) -> tuple[Any, ...]:
        """Return the values, from left to right."""
        return tuple(one.value for one in self.parts())

    def set_value(self, value: Iterable[Any]) -> None:
        """Set the values, from left to right."""
        for one, part in list(zip(self.parts(), value, strict=True)):  # refused as a whole
            one.value = part

    @property
    def high(self) -> float:
        """The largest number allowed."""
        return float(next(self.parts()).native.maximum())

    def limit(self, low: float, high: float) -> None:
        """Set the smallest and the largest number, for all of them."""
        for one in self.parts():
            one.limit(low, high)

    def _on_part(self) -> None:
        self.changed.emit(self.value)


def beside(first: Widget, *others: Widget) -> Container:
    """Put controls side by side under the label of the first."""
    row = Container(widgets=[first, *others], layout="horizontal", labels=False, label=first.label)
    row.margins = (0, 0, 0, 0)
    return row


class Form(QWidget):
    """Controls below each other, with their labels at the left."""

    def __init__(self, controls: Iterable[Widget]) -> None:
        super().__init__()
        self._rows = QFormLayout(self)
        self._rows.setContentsMargins(0, 0, 0, 0)
        self._rows.setVerticalSpacing(4)
        self._rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for one in controls:
            label = QLabel("" if isinstance(one, CheckBox) else one.label)  # check boxes have their own
            label.setToolTip(one.tooltip or "")
            self._rows.addRow(label, one.native)

    def show_row(self, control: Widget, shown: bool) -> None:
        """Show or hide a control with its label."""
        self._rows.setRowVisible(control.native, shown)
