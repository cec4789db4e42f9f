"""Qt widgets of our own as magicgui controls."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Generic, TypedDict, TypeVar

from magicgui.backends._qtpy.widgets import QBaseValueWidget
from magicgui.widgets.bases import ValueWidget

from napari_colloids.widgets.parts.wheel import leave_wheel_to_panel

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Unpack

    from qtpy.QtWidgets import QWidget

Value = TypeVar("Value")

#: Characters in a line of a tooltip.
_TOOLTIP_CHARACTERS = 80


class About(TypedDict, total=False):
    """Name, label and tooltip of a control."""

    name: str
    label: str
    tooltip: str


def wrapped(text: str) -> str:
    """Break a text into the lines of a tooltip."""
    return textwrap.fill(text, _TOOLTIP_CHARACTERS, break_on_hyphens=False)


class _Backend(QBaseValueWidget):
    """Passes the value between magicgui and a Qt widget, by the names of its methods and its signal."""

    def __init__(
        self, make: Callable[[], QWidget], getter: str, setter: str, signal: str, parent: QWidget | None = None
    ) -> None:
        super().__init__(lambda parent: make(), getter, setter, signal, parent=parent)  # type: ignore[arg-type]


class OwnControl(ValueWidget[Value], Generic[Value]):
    """A magicgui control around a Qt widget, whose value is got, set and signalled by the methods of these names."""

    def __init__(
        self, make: Callable[[], QWidget], getter: str, setter: str, signal: str, **about: Unpack[About]
    ) -> None:
        backend = {"make": make, "getter": getter, "setter": setter, "signal": signal}
        super().__init__(widget_type=_Backend, backend_kwargs=backend, nullable=True, **about)
        leave_wheel_to_panel(self.native)

    def _on_value_change(self, value: object = None) -> None:
        self.changed.emit(self.get_value())
